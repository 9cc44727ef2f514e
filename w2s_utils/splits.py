"""Random splits of a task's rows into a test set and a pool to train on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_utils._validate import count, sample_size, seeded

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Splits:
    """Trials, each of which shuffles the rows and sets some aside to test on.

    Attributes
    ----------
    trials : int
        Number of splits.
    test_size : int
        Rows of the test set.
    seed : int
        Trial t uses the t-th child of this seed.

    Raises
    ------
    ValueError
        If `trials` or `test_size` is not a positive whole number, or `seed` is negative.

    Examples
    --------
    >>> [(len(test), len(pool)) for test, pool, _ in Splits(2, test_size=3, seed=0).of(10)]
    [(3, 7), (3, 7)]
    """

    trials: int
    test_size: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("trials", "test_size"):
            object.__setattr__(self, name, count(getattr(self, name), name))
        seeded(self.seed)

    def of(self, rows: int) -> Iterator[tuple[Rows, Rows, np.random.Generator]]:
        """Yield the test rows and the other rows of each trial.

        Parameters
        ----------
        rows : int
            Number of inputs.

        Yields
        ------
        test : (test_size,) ndarray
        pool : (rows - test_size,) ndarray
            The labelled set is taken from its beginning, the unlabelled set from its end.
        rng : numpy Generator
            For the labels of the trial.

        Raises
        ------
        ValueError
            If no rows are left beside the test set.
        """
        if self.test_size >= rows:
            raise ValueError(f"test_size must be below the {rows} rows, got {self.test_size}.")
        for child in seeded(self.seed).spawn(self.trials):
            rng = np.random.default_rng(child)
            order = rng.permutation(rows)
            yield order[: self.test_size], order[self.test_size :], rng

    def points(self, grid: Iterable[tuple[int, int]], rows: int) -> list[tuple[int, int]]:
        """Return the points (n, N) of a grid, none of which may need more than the given rows."""
        points = list(grid)
        if not points:
            raise ValueError("grid must hold at least one point (n, N).")
        sizes = sample_size(points, "n and N", 0, "zero")
        if sizes.shape[1:] != (2,):
            raise ValueError(f"grid must hold points (n, N), got {points!r}.")
        points = [(int(n), int(N)) for n, N in sizes]
        for n, N in points:
            if self.test_size + n + N > rows:
                raise ValueError(
                    f"test_size + n + N must not exceed the {rows} rows, "
                    f"got {self.test_size} + {n} + {N} = {self.test_size + n + N}."
                )
        return points
