"""The commands that predict from features: ``w2s diagnose`` and ``rank``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2s_utils._files import printable, write_atomically
from w2s_utils.cli.requests import check_targets, request

if TYPE_CHECKING:
    from w2s_utils.diagnosis import RankingReport, Report

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
_Ridge = Annotated[
    list[float] | None,
    typer.Option(
        "--ridge",
        help="Penalty of all four models; or four times, for teacher, student, baseline, ceiling.",
        show_default="the best of each model",
    ),
]
_Energy = Annotated[float, typer.Option(help="Share of the features' energy to keep.")]
_AsGiven = Annotated[
    bool,
    typer.Option("--as-given", help="No intercept, and columns are not brought to variance 1."),
]
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
    ridge: _Ridge = None,
    energy: _Energy = 1.0,
    classes: _Classes = None,
    as_given: _AsGiven = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Also train the four models on these rows, to check the prediction."
        ),
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
    from w2s_utils.io import files

    with request():
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
                ridge=ridge or "tuned",
                energy=energy,
                classes=classes,
                as_given=as_given,
            )
        check = diagnosis.verify(found, W, S, y) if verify else None
    report = diagnosis.Report(found, check, teacher=_shown(weak), student=_shown(strong))
    _show(report, out, "diagnosis.json")


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
    ridge: _Ridge = None,
    energy: _Energy = 1.0,
    classes: _Classes = None,
    as_given: _AsGiven = False,
    out: _Out = None,
) -> None:
    """Which teacher should this student take? Rank teachers by their student's predicted risk.

    Files as of w2s diagnose; a teacher is named by its file. Example:

    w2s rank --weak small.npy --weak medium.npy --strong large.npy --labels labels.npy --n 1000
    --N 10000
    """
    from w2s_utils import diagnosis
    from w2s_utils.io import files

    with request():
        _check_folder(out, "ranking.json")
        teachers = {_shown(file): files.open_features(file) for file in weak}
        if len(teachers) < len(weak):
            raise ValueError("Two teachers have files of the same name: rename one of them.")
        S = files.open_features(strong)
        with _watched(*teachers.values(), S, more=len(teachers) - 1) as watched:
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
                ridge=ridge or "tuned",
                energy=energy,
                classes=classes,
                as_given=as_given,
            )
    _show(diagnosis.RankingReport(found, student=_shown(strong)), out, "ranking.json")


@contextmanager
def _watched(*matrices: Any, more: int = 0) -> Iterator[list[Any]]:
    """The matrices, which are read twice and the last some times more, under a progress bar."""
    from w2s_utils._progress import Watched, counted

    total = 2 * sum(map(len, matrices)) + more * len(matrices[-1])
    with counted(total, "reading") as tell:
        yield [Watched(matrix, tell) for matrix in matrices]


def _shown(file: str) -> str:
    """Name of a file of features without its folder, fit to be printed."""
    path, separator, name = file.partition("::")
    return printable(f"{Path(path).name}{separator}{name}")


def _check_folder(out: Path | None, json_file: str) -> None:
    """Make the folder of a report before hours are spent."""
    if out is not None:
        if not out.is_dir():
            check_targets(out)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ValueError(
                f"The folder {out} cannot be made ({reason}): give --out another name."
            ) from error
        check_targets(out / json_file, out / "report.html")


def _show(report: "Report | RankingReport", out: Path | None, json_file: str) -> None:
    """Print a report, and write its two files."""
    typer.echo(report.text)
    if out is not None:
        for file, content in ((json_file, report.json), ("report.html", report.html)):
            write_atomically(out / file, content)
            typer.echo(f"Written: {out / file}")
