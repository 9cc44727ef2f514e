"""Several teachers for one student, or several pools of inputs for one pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from w2s_utils.diagnosis.classification import LossName
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.diagnose_shift import Set, ShiftDiagnosis, diagnose_shift
from w2s_utils.diagnosis.pairs import diagnosed
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.rows import Rows
from w2s_utils.diagnosis.wording import risk_name

if TYPE_CHECKING:
    from distributed import Client

Sets = tuple[Mapping[str, Rows], Rows] | tuple[Mapping[str, Rows], Rows, ArrayLike | None]
SURE = 0.95  # probability; the 90 % band of a difference leaves out zero exactly above it


@dataclass(frozen=True, eq=False)
class Ranking:
    """Teachers or pools in the order of the student's expected risk.

    Attributes
    ----------
    kind : {"teacher", "pool"}
        What is ranked.
    n, N : int
        Labels and pseudo-labels that the order holds for.
    table : DataFrame
        One row a teacher or pool, the best first: its name under its kind, of teachers d_w and
        d_sw, then student, pgr and opr with their bands (``student_low`` and so on, as in
        `Predicted.table`), and ``probability``: that this student is expected to be better than
        the next one, NaN in the last row. By accuracy ``student`` is the share of wrong answers.
    ties : tuple of pairs of str
        Neighbours whose order is not sure at 95 %: ``probability`` is at most 0.95, so that the
        (two-sided) 90 % band of the difference of their students' risks contains zero.
    diagnoses : dict of Diagnosis or ShiftDiagnosis
        Of each, in the order of the table.
    by : {"risk", "accuracy", "cross-entropy"}
        What of the student they are ordered by.
    """

    kind: Literal["teacher", "pool"]
    n: int
    N: int
    table: pd.DataFrame
    ties: tuple[tuple[str, str], ...]
    diagnoses: dict[str, Diagnosis | ShiftDiagnosis]
    by: Literal["risk", "accuracy", "cross-entropy"] = "risk"

    @property
    def best(self) -> Diagnosis | ShiftDiagnosis:
        """Diagnosis of the first."""
        return next(iter(self.diagnoses.values()))

    @property
    def measure(self) -> str:
        """What students are ranked by, in words."""
        if self.by == "risk":
            return risk_name(self.best)
        return "share of wrong answers" if self.by == "accuracy" else "expected cross-entropy"


def rank_teachers(
    teachers: Mapping[str, Rows],
    strong: Rows,
    labels: ArrayLike,
    *,
    n: int,
    N: int,
    unlabelled: Sets | None = None,
    test: Sets | None = None,
    groups: ArrayLike | None = None,
    noise_variance: float | None = None,
    replicates: ArrayLike | None = None,
    ridge: Literal["tuned"] | float | Sequence[float] = "tuned",
    energy: float = 1.0,
    classes: bool | None = None,
    loss: LossName = "squared",
    by: Literal["risk", "accuracy"] = "risk",
    as_given: bool = False,
    group: ArrayLike | None = None,
    cluster: str | Client | None = None,
) -> Ranking:
    """Rank candidate teachers of one student by the student's expected risk.

    Parameters
    ----------
    teachers : mapping of str to (M, width) matrix
        Weak features under the names of their teachers, at least two.
    strong, labels, noise_variance, replicates, ridge, energy, classes, loss, as_given, group
        As in `diagnose`.
    n, N : int
        Labels and pseudo-labels.
    by : {"risk", "accuracy"}
        What the student is judged by; its risk is the cross-entropy of logistic probes.
    unlabelled, test : (teachers, strong) or (teachers, strong, labels), optional
        As in `diagnose_shift`, the weak features by the same names as in `teachers`.
    groups
        As in `diagnose_shift`.
    cluster : str or distributed.Client, optional
        As in `study`, for inputs of one kind.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        As `diagnose` or `diagnose_shift`, or if there are fewer than two teachers, or one of them
        has no prediction at this n and N.
    WorkerError
        As in `study`.

    Notes
    -----
    All teachers are measured on the same rows, so their errors of estimation are largely common.
    Differences are judged by a paired jackknife. The order does not depend on the label noise.
    """
    if len(teachers) < 2:
        raise ValueError(f"At least two teachers are needed for a ranking, got {len(teachers)}.")
    how: dict[str, Any] = {
        "n": n, "N": N, "noise_variance": noise_variance, "ridge": ridge, "energy": energy,
        "classes": classes, "as_given": as_given,
    }  # fmt: skip
    if by not in ("risk", "accuracy"):
        raise ValueError(f'by must be "risk" or "accuracy", got {by!r}.')
    measure = "cross-entropy" if by == "risk" and loss == "cross-entropy" else by
    if unlabelled is None and test is None and groups is None:
        how |= {"labels": labels, "replicates": replicates, "loss": loss, "group": group}
        pairs = [(name, "") for name in teachers]
        every = diagnosed(pairs, teachers, {"": strong}, how, cluster)
        return _ranked("teacher", teachers, ((name, d) for (name, _), d in every), measure)
    if by == "accuracy" or loss != "squared":
        raise ValueError("Only inputs of one kind have an accuracy or a cross-entropy.")
    if replicates is not None or group is not None or cluster is not None:
        raise ValueError("replicates, group and cluster are for inputs of one kind.")

    def shifted(name: str) -> ShiftDiagnosis:
        sets = {"unlabelled": unlabelled, "test": test}
        more = {role: _of_teacher(name, given) for role, given in sets.items()}
        return diagnose_shift(teachers[name], strong, labels, groups=groups, **more, **how)

    return _ranked("teacher", teachers, _each(teachers, shifted))


def rank_pools(
    weak: Rows,
    strong: Rows,
    labels: ArrayLike,
    pools: Mapping[str, Set],
    *,
    test: Set,
    n: int,
    N: int,
    groups: ArrayLike | None = None,
    noise_variance: float | None = None,
    ridge: Literal["tuned"] | float | Sequence[float] = "tuned",
    energy: float = 1.0,
    classes: bool | None = None,
    as_given: bool = False,
) -> Ranking:
    """Rank pools of unlabelled inputs by the expected risk of a student that is taught on them.

    Parameters
    ----------
    weak, strong, labels
        Of labelled inputs, as in `diagnose_shift`.
    pools : mapping of str to (weak, strong) or (weak, strong, labels)
        Features of unlabelled inputs under the names of their pools, at least two.
    test, groups, noise_variance, ridge, energy, classes, as_given
        As in `diagnose_shift`.
    n, N : int
        Labels and pseudo-labels. N may exceed the rows of a pool.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        As `diagnose_shift`, or if there are fewer than two pools, or one of them has no prediction
        at this n and N.
    """
    if len(pools) < 2:
        raise ValueError(f"At least two pools are needed for a ranking, got {len(pools)}.")

    def of_pool(name: str) -> ShiftDiagnosis:
        return diagnose_shift(
            weak, strong, labels, unlabelled=pools[name], test=test, groups=groups,
            noise_variance=noise_variance, n=n, N=N, ridge=ridge, energy=energy, classes=classes,
            as_given=as_given,
        )  # fmt: skip

    return _ranked("pool", pools, _each(pools, of_pool))


def _each(
    names: Iterable[str], diagnosed: Callable[[str], ShiftDiagnosis]
) -> Iterator[tuple[str, ShiftDiagnosis | str]]:
    """Diagnose each, or say what is wrong with it."""
    for name in names:
        try:
            yield name, diagnosed(name)
        except ValueError as error:
            yield name, str(error)


def _of_teacher(name: str, given: Sets | None) -> Any:
    """One teacher's features of a set, with the strong ones and the labels."""
    if given is None:
        return None
    teachers, *rest = given
    if not isinstance(teachers, Mapping):
        raise ValueError("unlabelled and test need their weak features by the teachers' names.")
    if name not in teachers:
        raise ValueError(f"its weak features are missing, there are {', '.join(teachers)}.")
    return (teachers[name], *rest)


def _judged(d: Diagnosis | ShiftDiagnosis, by: str) -> Predicted:
    """What of a diagnosis counts."""
    if by == "risk" or isinstance(d, ShiftDiagnosis):
        return d
    c = d.classification
    shown = None if c is None else c.errors if by == "accuracy" else c.losses
    if shown is None:
        raise ValueError("only of classes there is an accuracy: say classes=True if these are.")
    return shown


def _ranked(
    kind: Literal["teacher", "pool"],
    names: Iterable[str],
    diagnoses: Iterable[tuple[str, Diagnosis | ShiftDiagnosis | str]],
    by: Literal["risk", "accuracy", "cross-entropy"] = "risk",
) -> Ranking:
    found: dict[str, Diagnosis | ShiftDiagnosis] = {}
    judged: dict[str, Predicted] = {}
    for name, d in diagnoses:
        try:
            if isinstance(d, str):
                raise ValueError(d)
            judged[name] = shown = _judged(d, by)
        except ValueError as error:
            raise ValueError(f"{kind.capitalize()} {name}: {error}") from error
        found[name] = d
        n, N = int(d.n[0]), int(d.N[0])
        if np.isnan(shown.risk["student"].value[0, 0]):
            raise ValueError(
                f"{kind.capitalize()} {name} has no prediction at n = {n}, N = {N}: too near an "
                "interpolation threshold."
            )
    order = sorted(names, key=lambda name: float(judged[name].risk["student"].value[0, 0]))
    rows: list[dict[str, Any]] = []
    ties: list[tuple[str, str]] = []
    for name, following in zip_longest(order, order[1:]):
        d, shown, probability = found[name], judged[name], np.nan
        if following is not None:
            worse = judged[following].prediction
            _, probability, _ = shown.prediction.over(worse, lambda q: -q["student"][..., 0, 0])
            if probability <= SURE:
                ties.append((name, following))
        bands = shown.table().filter(regex="^(student|pgr|opr)").iloc[0]
        measured: dict[str, Any] = {kind: name}
        if kind == "teacher":
            plain = d.unshifted if isinstance(d, ShiftDiagnosis) else d
            paper = plain.ridgeless
            measured |= {"d_w": paper.d_w, "d_sw": paper.correlation.estimate}
        rows.append(measured | dict(bands) | {"probability": probability})
    every = {name: found[name] for name in order}
    return Ranking(kind, n, N, pd.DataFrame(rows), tuple(ties), every, by)
