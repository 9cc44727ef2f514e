"""The command ``w2s diagnose``: what features tell of a pair."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2s_utils.cli.options import (
    AsGiven,
    Classes,
    Dask,
    Energy,
    Group,
    Groups,
    Ids,
    LabelFile,
    Loss,
    OneStrongPool,
    OneWeakPool,
    OneWeakTest,
    Out,
    Replicates,
    Ridge,
    Sigma2,
    Split,
    StrongFile,
    StrongTest,
    TestLabels,
)
from w2s_utils.cli.reports import check_folder, show
from w2s_utils.cli.requests import request
from w2s_utils.cli.sets import SetFiles, of_one, shown

if TYPE_CHECKING:
    from w2s_utils.diagnosis import Diagnosis, Meter, Report, ShiftReport


def diagnose(
    weak: Annotated[
        str, typer.Option(metavar="FILE", help="Weak features, the teacher's; one row an input.")
    ],
    strong: StrongFile,
    labels: LabelFile,
    sigma2: Sigma2 = None,
    replicates: Replicates = None,
    n: Annotated[
        list[int] | None,
        typer.Option("--n", help="Labels; may be repeated.", show_default="a range"),
    ] = None,
    N: Annotated[
        list[int] | None,
        typer.Option("--N", help="Pseudo-labels; may be repeated.", show_default="a range"),
    ] = None,
    ridge: Ridge = None,
    energy: Energy = 1.0,
    classes: Classes = None,
    loss: Loss = "squared",
    as_given: AsGiven = False,
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
    unlabelled_weak: OneWeakPool = None,
    unlabelled_strong: OneStrongPool = None,
    test_weak: OneWeakTest = None,
    test_strong: StrongTest = None,
    test_labels: TestLabels = None,
    split: Split = None,
    groups: Groups = None,
    group: Group = None,
    ids: Ids = None,
    out: Out = None,
    dask: Dask = None,
) -> None:
    """Will this teacher help this student? Predict it from their features, without training.

    Files are .npy, .npz, .safetensors, .pt, .csv, .parquet or .arrow; FILE::NAME names one of
    several arrays or columns. A folder or a pattern in quotes stands for its files, one under the
    other. A .npy or .safetensors file may be larger than memory. With --dask the workers of a
    cluster read the rows, a part each; they open such files under the same path. Examples:

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
        check_folder(out, "diagnosis.json")
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
            of_one_kind = verify, replicates, group, loss != "squared", teacher_says, dask
            if any(of_one_kind):
                raise ValueError(
                    "--verify, --replicates, --group, --loss, --teacher-says and --dask are for "
                    "inputs of one kind."
                )
            with sets.reading() as given:
                found = diagnosis.diagnose_shift(**of_one(given), **how)
            report = diagnosis.ShiftReport(found, **names)
        else:
            rows = Joined(ids)
            y, W, S = rows.labels(labels), rows.features(weak), rows.features(strong)
            of_classes["group"] = None if group is None else rows.labels(group)
            more = None if replicates is None else rows.replicates(replicates)
            with _watched(W, S) if dask is None else nullcontext((W, S)) as (rows_W, rows_S):
                plain = diagnosis.diagnose(
                    rows_W, rows_S, y, replicates=more, cluster=dask, **of_classes, **how
                )
            check = diagnosis.verify(plain, W, S, y) if verify else None
            report = diagnosis.Report(plain, check, meter=meter(plain), **names)
    show(report, out, "diagnosis.json")


def _listed(file: str | None) -> list[str]:
    return [] if file is None else [file]


@contextmanager
def _watched(*matrices: Any) -> Iterator[list[Any]]:
    """The matrices, which are read twice, under a progress bar."""
    from w2s_utils._progress import Watched, counted

    with counted(2 * sum(map(len, matrices)), "reading") as tell:
        yield [Watched(matrix, tell) for matrix in matrices]
