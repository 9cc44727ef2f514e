"""Ridges of teacher and student that are chosen together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.directions import Directions
from w2s_utils.theory.ridge import student_terms, tried_ridges


class JointRidges(NamedTuple):
    """Ridges of teacher and student that suit the student, and its risk."""

    weak: float
    student: float
    risk: float


def joint_ridges(
    directions: Directions,
    n: int,
    N: int,
    expect: Callable[[Callable[[Directions], Array]], Array] | None = None,
) -> JointRidges:
    """Ridges of teacher and student together that make the student's risk least.

    A teacher at its own best ridge is not the best teacher: its bias stays with the student, its
    variance is averaged out in part.

    Parameters
    ----------
    directions, expect
        As in `theory.ridge.best_ridges`.
    n, N : int
        Labelled and pseudo-labelled samples.

    Returns
    -------
    JointRidges
        The risk in squared units of the target; ridges to a quarter of a decade.

    Raises
    ------
    ValueError
        If a sample size is out of range.
    """
    of_w, of_s = tried_ridges(directions)

    def risk(pair: Directions) -> Array:
        return student_terms(pair, n, N, of_w[:, None], of_s, strict=False).total

    risks = risk(directions) if expect is None else expect(risk)
    i, j = np.unravel_index(np.nanargmin(risks), risks.shape)
    return JointRidges(float(of_w[i]), float(of_s[j]), float(risks[i, j]))
