"""Several teachers for one student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from w2s_utils.diagnosis.diagnose import Diagnosis, diagnose
from w2s_utils.diagnosis.prediction import Prediction
from w2s_utils.diagnosis.rows import Rows


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
        Neighbours in the order that cannot be told apart: the 90 % band of the difference of their
        students' risks contains zero.
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
    ridge: float = 0.0,
    energy: float = 0.99,
    classes: bool | None = None,
) -> Ranking:
    """Rank candidate teachers of one student by the student's expected risk.

    Parameters
    ----------
    teachers : mapping of str to (M, width) matrix
        Weak features under the names of their teachers, at least two.
    strong, labels, noise_variance, replicates, ridge, energy, classes
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
    found = {}
    for name, weak in teachers.items():
        try:
            found[name] = diagnose(
                weak,
                strong,
                labels,
                n=n,
                N=N,
                noise_variance=noise_variance,
                replicates=replicates,
                ridge=ridge,
                energy=energy,
                classes=classes,
            )
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
    for place, name in enumerate(order):
        d, probability = found[name], np.nan
        for following in order[place + 1 : place + 2]:
            probability, apart = _compare(d.prediction, found[following].prediction)
            if not apart:
                ties.append((name, following))
        bands = d.table().filter(regex="^(student|pgr|opr)").iloc[0]
        measured = {"teacher": name, "d_w": d.d_w, "d_sw": d.correlation.estimate}
        rows.append(measured | dict(bands) | {"probability": probability})
    return Ranking(n, N, pd.DataFrame(rows), tuple(ties), {name: found[name] for name in order})


def _compare(better: Prediction, worse: Prediction) -> tuple[float, bool]:
    """Probability that the first student's risk is the lower, and whether the two can be told."""
    pair = Prediction(
        {"noise": better.whole["noise"], "gap": worse.whole["student"] - better.whole["student"]},
        {
            "noise": better.left_out["noise"],
            "gap": worse.left_out["student"] - better.left_out["student"],
        },
    )
    return pair.sign(lambda numbers: numbers["gap"][..., 0, 0])
