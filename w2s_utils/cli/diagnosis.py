"""The commands that predict from features: ``w2s diagnose`` and ``rank``."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2s_utils._files import write_atomically
from w2s_utils.cli.requests import check_targets, request
from w2s_utils.cli.sets import SetFiles, by_name, shown

if TYPE_CHECKING:
    from w2s_utils.diagnosis import (
        Diagnosis,
        Meter,
        RankingReport,
        Report,
        RoutesReport,
        ShiftReport,
    )

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
_Loss = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Of models of classes: squared, or cross-entropy for logistic probes."
    ),
]
_POOL = "features of inputs to be pseudo-labelled."
_COUNTS = "features of the inputs that count."
_OneWeakPool = Annotated[
    str | None, typer.Option("--unlabelled-weak", metavar="FILE", help=f"Weak {_POOL}")
]
_OneStrongPool = Annotated[
    str | None, typer.Option("--unlabelled-strong", metavar="FILE", help=f"Strong {_POOL}")
]
_OneWeakTest = Annotated[
    str | None, typer.Option("--test-weak", metavar="FILE", help=f"Weak {_COUNTS}")
]
_WeakPools = Annotated[
    list[str] | None,
    typer.Option(
        "--unlabelled-weak", metavar="FILE", help=f"Weak {_POOL[:-1]}, for each teacher or pool."
    ),
]
_StrongPools = Annotated[
    list[str] | None,
    typer.Option(
        "--unlabelled-strong", metavar="FILE", help=f"Strong {_POOL[:-1]}, for each pool."
    ),
]
_WeakTests = Annotated[
    list[str] | None,
    typer.Option("--test-weak", metavar="FILE", help=f"Weak {_COUNTS[:-1]}, for each teacher."),
]
_StrongTest = Annotated[
    str | None, typer.Option("--test-strong", metavar="FILE", help=f"Strong {_COUNTS}")
]
_TestLabels = Annotated[
    str | None, typer.Option(metavar="FILE", help="Labels of the inputs that count, if any.")
]
_Split = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="In place of these: says of each row labelled, unlabelled or test.",
    ),
]
_Groups = Annotated[
    str | None, typer.Option(metavar="FILE", help="Names the group of each input that counts.")
]
_Group = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Names rows that belong together, such as copies: bands leave them out together.",
        show_default="all independent",
    ),
]
_Ids = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="COLUMN",
        help="Ids by which rows belong together.",
        show_default="row i of all files",
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
    loss: _Loss = "squared",
    as_given: _AsGiven = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Also train the four models on these rows, to check the prediction."
        ),
    ] = False,
    teacher_says: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What a trained teacher predicts of fresh inputs."),
    ] = None,
    student_says: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same of its student, which was taught on --N."),
    ] = None,
    unlabelled_weak: _OneWeakPool = None,
    unlabelled_strong: _OneStrongPool = None,
    test_weak: _OneWeakTest = None,
    test_strong: _StrongTest = None,
    test_labels: _TestLabels = None,
    split: _Split = None,
    groups: _Groups = None,
    group: _Group = None,
    ids: _Ids = None,
    out: _Out = None,
) -> None:
    """Will this teacher help this student? Predict it from their features, without training.

    Files are .npy, .npz, .safetensors, .pt, .csv, .parquet or .arrow; FILE::NAME names one of
    several arrays or columns. A folder or a pattern in quotes stands for its files, one under the
    other. A .npy or .safetensors file may be larger than memory. Examples:

    w2s diagnose --weak weak.npy --strong strong.npy --labels labels.npy

    w2s diagnose --weak a.npz::small --strong a.npz::large --labels people.csv::age --n 1000
    --N 10000 --verify --out report

    w2s diagnose --weak easy_w.npy --strong easy_s.npy --labels easy.npy --test-weak hard_w.npy
    --test-strong hard_s.npy --unlabelled-weak hard_w.npy --unlabelled-strong hard_s.npy

    w2s diagnose --weak weak.npy --strong strong.npy --labels labels.npy --n 1000 --N 10000
    --ridge 0 --teacher-says teacher.npy --student-says student.npy
    """
    from w2s_utils import diagnosis
    from w2s_utils.io import files
    from w2s_utils.io.joining import Joined

    how: dict[str, Any] = {
        "noise_variance": sigma2, "n": n, "N": N, "ridge": ridge or "tuned", "energy": energy,
        "classes": classes, "as_given": as_given,
    }  # fmt: skip
    of_classes: dict[str, Any] = {"loss": loss}
    report: Report | ShiftReport

    def meter(d: "Diagnosis") -> "Meter | None":
        if teacher_says is None or student_says is None:
            return None
        teacher, student = files.read_labels(teacher_says), files.read_labels(student_says)
        strong, taught = d.strong, int(d.N[0])
        return diagnosis.gain_from_misfit(teacher, student, strong.d, taught, radii=strong.radii)

    with request():
        _check_folder(out, "diagnosis.json")
        if (teacher_says is None) != (student_says is None):
            raise ValueError("Give both --teacher-says and --student-says, or neither.")
        if teacher_says and (N is None or len(N) > 1):
            raise ValueError("Say with one --N on how many pseudo-labels the student was trained.")
        names = {"teacher": shown(weak), "student": shown(strong)}
        sets = SetFiles(
            [weak], strong, labels, _listed(unlabelled_weak), _listed(unlabelled_strong),
            _listed(test_weak), test_strong, test_labels, split, groups, ids,
        )  # fmt: skip
        if sets.shifted:
            if verify or replicates or group or loss != "squared" or teacher_says or student_says:
                raise ValueError(
                    "--verify, --replicates, --group, --loss and --teacher-says are for inputs of "
                    "one kind."
                )
            with sets.reading() as given:
                found = diagnosis.diagnose_shift(**_of_one(given), **how)
            report = diagnosis.ShiftReport(found, **names)
        else:
            rows = Joined(ids)
            y, W, S = rows.labels(labels), rows.features(weak), rows.features(strong)
            of_classes["group"] = None if group is None else rows.labels(group)
            more = None if replicates is None else rows.replicates(replicates)
            with _watched(W, S) as (watched_W, watched_S):
                plain = diagnosis.diagnose(
                    watched_W, watched_S, y, replicates=more, **of_classes, **how
                )
            check = diagnosis.verify(plain, W, S, y) if verify else None
            report = diagnosis.Report(plain, check, meter=meter(plain), **names)
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
    loss: _Loss = "squared",
    by: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of the student: risk (squared error or cross-entropy), or accuracy.",
        ),
    ] = "risk",
    as_given: _AsGiven = False,
    chain: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Middle model's features: rank one step, through it, and committees with it.",
        ),
    ] = None,
    unlabelled_weak: _WeakPools = None,
    unlabelled_strong: _StrongPools = None,
    test_weak: _WeakTests = None,
    test_strong: _StrongTest = None,
    test_labels: _TestLabels = None,
    split: _Split = None,
    groups: _Groups = None,
    group: _Group = None,
    ids: _Ids = None,
    out: _Out = None,
) -> None:
    """Rank teachers, pools, or ways through middle models by the student's predicted risk.

    Several --weak are teachers; several --unlabelled-weak of one teacher are pools; --chain with
    one teacher compares one step with ways through middle models and committees, at equal n and N.
    Files as of w2s diagnose; a model or pool is named by its file. Of other inputs give the weak
    features of each teacher in the same order. Examples:

    w2s rank --weak small.npy --weak medium.npy --strong large.npy --labels labels.npy --n 1000
    --N 10000

    w2s rank --weak w.npy --strong s.npy --labels y.npy --unlabelled-weak news_w.npy
    --unlabelled-strong news_s.npy --unlabelled-weak blogs_w.npy --unlabelled-strong blogs_s.npy
    --test-weak test_w.npy --test-strong test_s.npy

    w2s rank --weak small.npy --chain medium.npy --strong large.npy --labels labels.npy
    """
    with request():
        _check_folder(out, "ranking.json")
        report: RankingReport | RoutesReport
        if chain:
            refused = {
                "--replicates": replicates, "--split": split, "--groups": groups,
                "--unlabelled-weak": unlabelled_weak, "--test-weak": test_weak,
                "--group": group, "--loss": loss != "squared", "--by": by != "risk",
            }  # fmt: skip
            if any(refused.values()):
                first = next(name for name, given in refused.items() if given)
                raise ValueError(f"--chain has risks on inputs of one kind: leave out {first}.")
            report = _routes(weak, chain, strong, labels, n, N, ridge, ids, {
                "noise_variance": sigma2, "energy": energy, "classes": classes,
                "as_given": as_given,
            })  # fmt: skip
        else:
            sets = SetFiles(
                weak, strong, labels, unlabelled_weak or (), unlabelled_strong or (),
                test_weak or (), test_strong, test_labels, split, groups, ids, replicates, group,
            )  # fmt: skip
            report = _ranking(sets, n, N, loss, by, {
                "noise_variance": sigma2, "ridge": ridge or "tuned", "energy": energy,
                "classes": classes, "as_given": as_given,
            })  # fmt: skip
    _show(report, out, "ranking.json")


def _ranking(
    sets: SetFiles,
    n: int | None,
    N: int | None,
    loss: str,
    by: str,
    how: dict[str, Any],
) -> "RankingReport":
    """Several teachers, or several pools of one."""
    from w2s_utils import diagnosis

    with sets.reading() as given:
        how |= _sizes(n, N, given["teachers"].values(), given["strong"])
        if sets.pools:
            if "replicates" in given or "group" in given:
                raise ValueError("--replicates and --group are for inputs of one kind.")
            if "test" not in given:
                raise ValueError("Say which inputs count: --test-weak and --test-strong.")
            if loss != "squared" or by != "risk":
                raise ValueError("--loss and --by are for teachers, on inputs of one kind.")
            found = diagnosis.rank_pools(**_of_one(given), **how)
        else:
            of_classes: dict[str, Any] = {"loss": loss, "by": by}
            found = diagnosis.rank_teachers(**given, **of_classes, **how)
    return diagnosis.RankingReport(found, student=shown(sets.strong))


def _routes(
    weak: list[str],
    chain: list[str],
    strong: str,
    labels: str,
    n: int | None,
    N: int | None,
    ridge: list[float] | None,
    ids: str | None,
    how: dict[str, Any],
) -> "RoutesReport":
    """Ways from one teacher to the student, also through the middle models."""
    from w2s_utils import diagnosis
    from w2s_utils.io.joining import Joined

    if len(weak) > 1:
        raise ValueError(f"--chain starts at one teacher, got {len(weak)} --weak.")
    if ridge and len(ridge) > 1:
        raise ValueError(f"--chain takes one --ridge for all fits, got {len(ridge)}.")
    rows = Joined(ids)
    y, W, S = rows.labels(labels), rows.features(weak[0]), rows.features(strong)
    middles = by_name({file: rows.features(file) for file in chain}, "middle models")
    how |= _sizes(n, N, (W, *middles.values()), S)
    tuned: dict[str, Any] = {"ridge": ridge[0] if ridge else "tuned"}
    found = diagnosis.rank_routes(W, middles, S, y, **tuned, **how)
    return diagnosis.RoutesReport(found, teacher=shown(weak[0]), student=shown(strong))


def _sizes(n: int | None, N: int | None, weak: Iterable[Any], strong: Any) -> dict[str, int]:
    """Sizes that a ranking is for: those given, or some that suit the widths."""
    widest = max(X.shape[1] for X in weak)
    return {
        "n": min(4 * widest, strong.shape[0] // 2) if n is None else n,
        "N": 10 * strong.shape[1] if N is None else N,
    }


def _of_one(given: dict[str, Any]) -> dict[str, Any]:
    """The same for the only teacher."""
    (name,) = given["teachers"]
    own = {key: value for key, value in given.items() if key != "teachers"}
    for role in ("unlabelled", "test"):
        if role in own:
            weak, *rest = own[role]
            own[role] = weak[name], *rest
    return {"weak": given["teachers"][name], **own}


def _listed(file: str | None) -> list[str]:
    return [] if file is None else [file]


@contextmanager
def _watched(*matrices: Any) -> Iterator[list[Any]]:
    """The matrices, which are read twice, under a progress bar."""
    from w2s_utils._progress import Watched, counted

    with counted(2 * sum(map(len, matrices)), "reading") as tell:
        yield [Watched(matrix, tell) for matrix in matrices]


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


def _show(
    report: "Report | ShiftReport | RankingReport | RoutesReport", out: Path | None, json_file: str
) -> None:
    """Print a report, and write its two files."""
    typer.echo(report.text)
    if out is not None:
        for file, content in ((json_file, report.json), ("report.html", report.html)):
            write_atomically(out / file, content)
            typer.echo(f"Written: {out / file}")
