"""Checks of the book's own formulas: not findings about the paper, and none may fail.

>>> from w2s_utils import checks
>>> checks.agree("exact risks against simulation: largest z", [0.3, -1.2], trials=200).holds
True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils.thresholds import CHECKED, simultaneous_z, tolerance


@dataclass(frozen=True)
class Check:
    """One measured number of a formula's own test, and its limit.

    Attributes
    ----------
    statement : str
        What was compared, in words.
    measured : float
    limit : float
    relation : {"below", "above"}
        On which side of the limit `measured` must lie.

    Raises
    ------
    ValueError
        If no number could fail.
    """

    statement: str
    measured: float
    limit: float
    relation: Literal["below", "above"] = "below"

    def __post_init__(self) -> None:
        for name in ("measured", "limit"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not np.isfinite(self.limit):
            raise ValueError(f"A check needs a finite limit, got {self.limit}.")

    @property
    def holds(self) -> bool:
        """Whether the number is on its side of the limit; never true for NaN."""
        below = self.relation == "below"
        return self.measured < self.limit if below else self.measured > self.limit


def agree(statement: str, z_scores: ArrayLike, trials: float) -> Check:
    """Check that measurements differ from their theory by no more than their errors explain.

    Parameters
    ----------
    statement : str
    z_scores : array_like
        Deviations in standard errors.
    trials : float
        Number of samples in the mean behind each.

    Returns
    -------
    Check
        Chance exceeds its limit in one of 10,000 runs, however many z-scores there are.
    """
    z = np.abs(np.asarray(z_scores, dtype=float))
    return Check(statement, float(z.max()), simultaneous_z(z.size, trials, CHECKED))


def within(statement: str, distance: float, how: str) -> Check:
    """Check that a (relative) distance is within one of the tolerances of `thresholds`.

    Parameters
    ----------
    statement : str
    distance : float
    how : str
        One of `thresholds.TOLERANCES`.

    Returns
    -------
    Check

    Raises
    ------
    ValueError
        If the tolerance is not in the list.
    """
    return Check(statement, distance, tolerance(how))


def same_law(statement: str, p_values: ArrayLike) -> Check:
    """Check that no test tells two distributions apart.

    Parameters
    ----------
    statement : str
    p_values : array_like
        Of one or several tests.

    Returns
    -------
    Check
        Chance exceeds its limit in one of 10,000 runs.
    """
    p = np.asarray(p_values, dtype=float)
    return Check(statement, float(p.min()), 1 - CHECKED ** (1 / p.size), "above")


def never(statement: str, count: int) -> Check:
    """Check that something did not happen.

    Parameters
    ----------
    statement : str
    count : int
        How often it did.

    Returns
    -------
    Check
    """
    return Check(statement, count, 0.5)
