"""Several teachers for one student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from w2s_utils.diagnosis.diagnose import Diagnosis, diagnose
from w2s_utils.diagnosis.prediction import Prediction
from w2s_utils.diagnosis.rows import Reader, Rows

SURE = 0.95  # probability; the 90 % band of a difference leaves out zero exactly above it


@dataclass(frozen=True, eq=False)
class Ranking:
    """Teachers in the order of their student's expected risk.

    Attributes
    ----------
    n, N : int
        Labels and pseudo-labels that the order holds for.
    table : DataFrame
        One row a teacher, the best first: teacher, d_w, d_sw, then student, pgr and opr with their
        bands (``student_low`` and so on, as in `Diagnosis.table`), and ``probability``: that this
        student's expected risk is below the next one's, NaN in the last row.
    ties : tuple of pairs of str
        Neighbours whose order is not sure at 95 %: ``probability`` is at most 0.95, so that the
        (two-sided) 90 % band of the difference of their students' risks contains zero.
    diagnoses : dict of Diagnosis
        Of every teacher, in the order of the table.
    """

    n: int
    N: int
    table: pd.DataFrame
    ties: tuple[tuple[str, str], ...]
    diagnoses: dict[str, Diagnosis]

    @property
    def best(self) -> Diagnosis:
        """Diagnosis of the first teacher."""
        return next(iter(self.diagnoses.values()))


def rank_teachers(
    teachers: Mapping[str, Rows],
    strong: Rows,
    labels: ArrayLike,
    *,
    n: int,
    N: int,
    noise_variance: float | None = None,
    replicates: ArrayLike | None = None,
    ridge: Literal["tuned"] | float | Sequence[float] = "tuned",
    energy: float = 1.0,
    classes: bool | None = None,
    as_given: bool = False,
) -> Ranking:
    """Rank candidate teachers of one student by the student's expected risk.

    Parameters
    ----------
    teachers : mapping of str to (M, width) matrix
        Weak features under the names of their teachers, at least two.
    strong, labels, noise_variance, replicates, ridge, energy, classes, as_given
        As in `diagnose`.
    n, N : int
        Labels and pseudo-labels.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        As `diagnose`, or if there are fewer than two teachers, or one of them has no prediction at
        this n and N.

    Notes
    -----
    All teachers are measured on the same rows, so their errors of estimation are largely common.
    Differences are judged by a paired jackknife. The order does not depend on the label noise.
    """
    if len(teachers) < 2:
        raise ValueError(f"At least two teachers are needed for a ranking, got {len(teachers)}.")
    found, student = {}, Reader("strong", strong)  # its directions serve all teachers
    for name, weak in teachers.items():
        try:
            found[name] = diagnose(
                weak, student, labels, n=n, N=N, noise_variance=noise_variance,
                replicates=replicates, ridge=ridge, energy=energy, classes=classes,
                as_given=as_given,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(f"Teacher {name}: {error}") from error
        if np.isnan(found[name].risk["student"].value[0, 0]):
            raise ValueError(
                f"Teacher {name} has no prediction at n = {n}, N = {N}: too near an interpolation "
                "threshold."
            )
    order = sorted(found, key=lambda name: float(found[name].risk["student"].value[0, 0]))
    rows: list[dict[str, Any]] = []
    ties: list[tuple[str, str]] = []
    for name, following in zip_longest(order, order[1:]):
        d, probability = found[name], np.nan
        if following is not None:
            probability = _compare(d.prediction, found[following].prediction)
            if probability <= SURE:
                ties.append((name, following))
        bands = d.table().filter(regex="^(student|pgr|opr)").iloc[0]
        paper = d.ridgeless
        measured = {"teacher": name, "d_w": paper.d_w, "d_sw": paper.correlation.estimate}
        rows.append(measured | dict(bands) | {"probability": probability})
    return Ranking(n, N, pd.DataFrame(rows), tuple(ties), {name: found[name] for name in order})


def _compare(better: Prediction, worse: Prediction) -> float:
    """Probability that the first student's risk is the lower."""
    parts = (better.whole, worse.whole), (better.left_out, worse.left_out)
    gaps = ({"noise": one["noise"], "gap": two["student"] - one["student"]} for one, two in parts)
    whole, left_out = gaps
    found = Prediction(whole, left_out, better.widened)
    return found.sign(lambda numbers: numbers["gap"][..., 0, 0])[0]
