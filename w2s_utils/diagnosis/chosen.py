"""Ridges of the models, chosen by the errors that the moments predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.diagnosis.moments import FeatureSets, Moments
from w2s_utils.diagnosis.sample import Grid, Sample
from w2s_utils.directions import Directions
from w2s_utils.theory import ridge
from w2s_utils.theory.joint_ridges import JointRidges, joint_ridges
from w2s_utils.theory.ridge import Ridges

Expect = Callable[[Callable[[Directions], Array]], Array]


def expectations(moments: Moments, sets: FeatureSets) -> list[tuple[Directions, Expect]]:
    """For each label column its pair, and a map of functions of it to the population.

    What a sample makes its own losses too small by is of order 1/M: twice as much in half of the
    rows. So the value of all rows is moved away from the mean of the halves'.
    """

    def of_column(pair: Directions, halves: Sequence[Directions]) -> Expect:
        def expect(loss: Callable[[Directions], Array]) -> Array:
            return np.asarray(2 * loss(pair) - np.mean([loss(half) for half in halves], axis=0))

        return expect

    pairs = Sample.whole(moments, sets).pairs
    of_halves = zip(*(Sample.half(moments, sets, k).pairs for k in (0, 1)), strict=True)
    return [(pair, of_column(pair, halves)) for pair, halves in zip(pairs, of_halves, strict=True)]


def choose_ridges(moments: Moments, sets: FeatureSets, grid: Grid) -> list[Ridges]:
    """Ridges of the models at each point of the grid, for each label column."""
    if grid.ridge != "tuned":
        return [Ridges(*map(np.asarray, grid.ridge))] * moments.labels.columns
    n, N = grid.free
    found = []
    for pair, expect in expectations(moments, sets):
        rows = [ridge.best_ridges(pair, size, N, expect) for size in n]  # whole paths: one n a time
        found.append(Ridges(*map(np.stack, zip(*rows, strict=True))))
    return found


def mean_ridges(of_columns: Iterable[Ridges]) -> Ridges:
    """Geometric mean over label columns; 0 if one is."""
    with np.errstate(divide="ignore"):
        every = [np.exp(np.mean(np.log(each), axis=0)) for each in zip(*of_columns, strict=True)]
    return Ridges(*every)


class Joint(NamedTuple):
    """What ridges of teacher and student that are chosen together would change.

    Attributes
    ----------
    n, N : int
    ridges : list of JointRidges
        For each label column.
    share : float
        The student's risk with them over that with each model's own, label noise included.
    """

    n: int
    N: int
    ridges: list[JointRidges]
    share: float


def choose_jointly(moments: Moments, grid: Grid, own: Sequence[Ridges], i: int) -> Joint:
    """Ridges of teacher and student for the student's sake, at n[i] and the largest N."""
    n, N = int(grid.free[0][i, 0]), int(grid.free[1][-1])
    joint, alone = [], 0.0
    for (pair, expect), r in zip(expectations(moments, moments.every), own, strict=True):
        joint.append(joint_ridges(pair, n, N, expect))
        fits = n, N, r.weak[i, -1], r.student[i, -1]
        alone += float(
            expect(lambda pair, fits=fits: ridge.student_terms(pair, *fits, strict=False).total)  # type: ignore[misc]
        )
    share = sum(each.risk for each in joint) / alone
    return Joint(int(grid.n[i]), int(grid.N[-1]), joint, share)
