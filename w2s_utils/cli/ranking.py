"""The command ``w2s rank``: teachers, pools, ways of teaching, or all pairs of two models."""

from collections.abc import Iterable
from pathlib import Path
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
    Out,
    Replicates,
    Ridge,
    Sigma2,
    Split,
    StrongPools,
    StrongTest,
    TestLabels,
    WeakPools,
    WeakTests,
)
from w2s_utils.cli.reports import check_folder, show
from w2s_utils.cli.requests import request
from w2s_utils.cli.sets import SetFiles, by_name, of_one, shown

if TYPE_CHECKING:
    from w2s_utils.diagnosis import RankingReport, RoutesReport, StudyReport


def rank(
    weak: Annotated[
        list[str],
        typer.Option(
            metavar="FILE",
            help="A teacher's features; repeat it for each teacher, or name a folder of layers.",
        ),
    ],
    strong: Annotated[
        list[str],
        typer.Option(
            metavar="FILE", help="Strong features; more than one: all pairs are compared."
        ),
    ],
    labels: LabelFile,
    sigma2: Sigma2 = None,
    replicates: Replicates = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", help="Labels.", show_default="4 a weak column, at most half of the rows"
        ),
    ] = None,
    N: Annotated[
        int | None, typer.Option("--N", help="Pseudo-labels.", show_default="10 a strong column")
    ] = None,
    ridge: Ridge = None,
    energy: Energy = 1.0,
    classes: Classes = None,
    loss: Loss = "squared",
    by: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of the student: risk (squared error or cross-entropy), or accuracy.",
        ),
    ] = "risk",
    as_given: AsGiven = False,
    chain: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Middle model's features: rank one step, through it, and committees with it.",
        ),
    ] = None,
    unlabelled_weak: WeakPools = None,
    unlabelled_strong: StrongPools = None,
    test_weak: WeakTests = None,
    test_strong: StrongTest = None,
    test_labels: TestLabels = None,
    split: Split = None,
    groups: Groups = None,
    group: Group = None,
    ids: Ids = None,
    out: Out = None,
    dask: Dask = None,
) -> None:
    """Rank teachers, pools, or ways through middle models by the student's predicted risk.

    Several --weak are teachers; several --unlabelled-weak of one teacher are pools; --chain with
    one teacher compares one step with ways through middle models and committees, at equal n and N.
    Several --strong, or a folder from w2s features text, are students: all pairs are compared, and
    those that are finished are kept in the folder of --out. With --dask the workers of a cluster
    diagnose the pairs; they open .npy and .safetensors files under the same path. Files as of w2s
    diagnose; a model or pool is named by its file. Of other inputs give the weak features of each
    teacher in the same order. Examples:

    w2s rank --weak small.npy --weak medium.npy --strong large.npy --labels labels.npy --n 1000
    --N 10000

    w2s rank --weak w.npy --strong s.npy --labels y.npy --unlabelled-weak news_w.npy
    --unlabelled-strong news_s.npy --unlabelled-weak blogs_w.npy --unlabelled-strong blogs_s.npy
    --test-weak test_w.npy --test-strong test_s.npy

    w2s rank --weak small.npy --chain medium.npy --strong large.npy --labels labels.npy

    w2s rank --weak small/ --strong large/ --labels ratings.csv::rating --id id --out study
    """
    from w2s_utils.io.shards import layers_of

    how: dict[str, Any] = {
        "noise_variance": sigma2, "energy": energy, "classes": classes, "as_given": as_given,
    }  # fmt: skip
    with request():
        check_folder(out, "ranking.json")
        report: RankingReport | RoutesReport | StudyReport
        teachers, students = (
            [layer for file in files for layer in layers_of(file)] for files in (weak, strong)
        )
        of_other_inputs = {
            "--unlabelled-weak": unlabelled_weak, "--test-weak": test_weak, "--split": split,
            "--groups": groups,
        }  # fmt: skip
        if chain:
            refused = of_other_inputs | {
                "--replicates": replicates, "--group": group, "--loss": loss != "squared",
                "--by": by != "risk", "more than one --strong": len(students) > 1, "--dask": dask,
            }  # fmt: skip
            _refuse("--chain has risks on inputs of one kind", refused)
            report = _routes(teachers, chain, students[0], labels, n, N, ridge, ids, how)
        elif len(students) > 1:
            _refuse("Several students are compared on inputs of one kind", of_other_inputs)
            of_rows = {"labels": labels, "replicates": replicates, "group": group}
            how |= {"ridge": ridge or "tuned", "loss": loss, "cluster": dask}
            report = _study(teachers, students, of_rows, n, N, ids, out, how)
        else:
            sets = SetFiles(
                teachers, students[0], labels, unlabelled_weak or (), unlabelled_strong or (),
                test_weak or (), test_strong, test_labels, split, groups, ids, replicates, group,
            )  # fmt: skip
            report = _ranking(sets, n, N, loss, by, dask, how | {"ridge": ridge or "tuned"})
    show(report, out, "ranking.json")


def _refuse(why: str, options: dict[str, Any]) -> None:
    """Raise ValueError if one of the options was given."""
    first = next((name for name, given in options.items() if given), None)
    if first is not None:
        raise ValueError(f"{why}: leave out {first}.")


def _ranking(
    sets: SetFiles,
    n: int | None,
    N: int | None,
    loss: str,
    by: str,
    dask: str | None,
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
            if loss != "squared" or by != "risk" or dask:
                raise ValueError("--loss, --by and --dask are for teachers, on inputs of one kind.")
            found = diagnosis.rank_pools(**of_one(given), **how)
        else:
            own: dict[str, Any] = {"loss": loss, "by": by, "cluster": dask}
            found = diagnosis.rank_teachers(**given, **own, **how)
    return diagnosis.RankingReport(found, student=shown(sets.strong))


def _study(
    weak: list[str],
    strong: list[str],
    of_rows: dict[str, str | None],
    n: int | None,
    N: int | None,
    ids: str | None,
    out: Path | None,
    how: dict[str, Any],
) -> "StudyReport":
    """All teachers with all students."""
    from w2s_utils import diagnosis
    from w2s_utils.io.joining import Joined

    for option, files in (("--weak", weak), ("--strong", strong)):
        if len(set(files)) < len(files):
            raise ValueError(f"The same file was given for {option} twice.")
    rows = Joined(ids)
    labels, replicates, group = of_rows.values()
    given: dict[str, Any] = {"labels": rows.labels(str(labels))}
    teachers = by_name({file: rows.features(file) for file in weak}, "teachers")
    students = by_name({file: rows.features(file) for file in strong}, "students")
    given["replicates"] = None if replicates is None else rows.replicates(replicates)
    given["group"] = None if group is None else rows.labels(group)
    how |= _sizes(n, N, teachers.values(), next(iter(students.values())))
    kept = None if out is None else out / "pairs"
    found = diagnosis.study(teachers, students, **given, checkpoints=kept, **how)
    names = (shown(str(Path(files[0].partition("::")[0]).parent)) for files in (weak, strong))
    teacher, student = (
        name or alone for name, alone in zip(names, ("weak", "strong"), strict=True)
    )
    return diagnosis.StudyReport(found, teachers=teacher, students=student)


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
