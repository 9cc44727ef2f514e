r"""Which dimension counts: the fall of a student's risk with its number of pseudo-labels.

Without approximation error or with it, the student's risk is a + b k with :math:`k=d/(N-d-1)`,
where d is the dimension of its features; with a ridge the soft dimension at that ridge. So curves
of measured risks tell the dimension that a student has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from w2s_utils._validate import Array
from w2s_utils.thresholds import COVERAGE

COLUMNS = ("teacher", "N", "student", "sd", "trials")
LEAST_SIZES = 4  # N of a curve: three numbers are fitted
STEPS = 3000  # dimensions that are tried, 0.2 % apart


@dataclass(frozen=True, eq=False)
class Decay:
    """Fits of curves by candidates for the dimension, and the dimension that fits best.

    Attributes
    ----------
    table : DataFrame
        Indexed by teacher, last "all": for each candidate its chi^2 over the degrees of freedom;
        ``best``, ``low`` and ``high``: the dimension of least chi^2 with its 99 % interval, and
        ``at best``: its chi^2 over the degrees of freedom.
    degrees : Series
        Degrees of freedom of the candidates' fits; one less where the dimension is fitted too.
    """

    table: pd.DataFrame
    degrees: pd.Series[int]


def read_curves(file: str | Path) -> pd.DataFrame:
    """Read measured curves from a CSV.

    Parameters
    ----------
    file : str or Path
        Columns teacher (a name), N (pseudo-labels), student (its mean risk), sd (standard deviation
        over trials) and trials (their number); others are ignored.

    Returns
    -------
    DataFrame
        With these columns.

    Raises
    ------
    ValueError
        If there is no such file, or as `check_curves`.
    """
    try:
        found = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as a CSV: {error}.") from error
    return check_curves(found)


def check_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of curves in double precision.

    Parameters
    ----------
    curves : DataFrame
        With the columns of `read_curves`, one row a point.

    Returns
    -------
    DataFrame
        These columns only.

    Raises
    ------
    ValueError
        If a column is missing, a number is not finite, a size, sd or count of trials is not above
        zero, or a teacher has fewer than four different N.
    """
    missing = [name for name in COLUMNS if name not in curves]
    if missing:
        raise ValueError(
            f"Curves need the columns {', '.join(COLUMNS)}; {', '.join(missing)} is missing."
        )
    kept = curves[list(COLUMNS)].assign(teacher=curves["teacher"].astype(str))
    for name in COLUMNS[1:]:
        numbers = pd.to_numeric(kept[name], errors="coerce").astype(float)
        wrong = ~np.isfinite(numbers) | ((numbers <= 0) & (name != "student"))
        if wrong.any():
            first = kept[name][wrong].iloc[0]
            wanted = "finite" if name == "student" else "finite and above zero"
            raise ValueError(f"{name} must be {wanted} in each row of the curves, got {first}.")
        kept[name] = numbers
    sizes = kept.groupby("teacher")["N"].nunique()
    if sizes.min() < LEAST_SIZES:
        raise ValueError(
            f"A curve needs at least {LEAST_SIZES} different N, got {sizes.min()} of teacher "
            f"{sizes.idxmin()}."
        )
    return kept


def fit_decay(curves: pd.DataFrame, candidates: Mapping[str, float]) -> Decay:
    r"""Fit :math:`a+b\,d/(N-d-1)` to each teacher's curve, for candidates d and for every d.

    Parameters
    ----------
    curves : DataFrame
        As from `read_curves`. All points are taken for independent, those of one teacher and of
        different teachers, and their errors for sd over the root of trials.
    candidates : mapping of str to float
        Dimensions under their names, above 0 and at least 2 below the smallest N.

    Returns
    -------
    Decay

    Raises
    ------
    ValueError
        If a candidate is out of range, or as `check_curves`.

    Notes
    -----
    a and b are each teacher's own. The interval of the dimension holds all d whose chi^2 is at most
    6.6 above the least, the 99 % quantile of its law with one degree of freedom. Dimensions from a
    thousandth of the smallest N to two below it are tried: an end there is no bound.
    """
    curves = check_curves(curves)
    most = float(curves["N"].min()) - 2
    for name, d in candidates.items():
        if not 0 < d <= most:
            raise ValueError(
                f"{name} must be above 0 and at most N - 2 = {most:g} of the smallest N, got {d}."
            )
    rows: dict[str, dict[str, float]] = {}
    degrees: dict[str, int] = {}
    groups = [(str(name), one) for name, one in curves.groupby("teacher", sort=False)]
    every = [(name, [one]) for name, one in groups]
    for name, parts in [*every, ("all", [one for _, one in groups])]:
        freedom = sum(len(one) - 2 for one in parts)
        line = np.geomspace(most / 1e3, most, STEPS)
        chi2 = _chi2(parts, line)
        best = int(np.argmin(chi2))
        inside = line[chi2 <= chi2[best] + stats.chi2.isf(1 - COVERAGE, 1)]
        rows[name] = {
            candidate: float(_chi2(parts, np.array([d]))[0]) / freedom
            for candidate, d in candidates.items()
        }
        rows[name] |= {"best": line[best], "low": inside[0], "high": inside[-1]}
        rows[name] |= {"at best": chi2[best] / max(freedom - 1, 1)}
        degrees[name] = freedom
    return Decay(pd.DataFrame(rows).T, pd.Series(degrees))


def _chi2(parts: list[pd.DataFrame], d: Array) -> Array:
    """Weighted squares that a + b k leaves of all curves, for each of the dimensions (k,)."""
    total = np.zeros(len(d))
    for curve in parts:
        N, risk = curve["N"].to_numpy(), curve["student"].to_numpy()
        weight = (curve["trials"] / curve["sd"] ** 2).to_numpy()
        k = d[:, None] / (N - d[:, None] - 1)
        k = k - np.average(k, axis=1, weights=weight)[:, None]
        y = risk - np.average(risk, weights=weight)
        total += np.sum(weight * y**2) - (k @ (weight * y)) ** 2 / (k**2 @ weight)
    return np.maximum(total, 0)
