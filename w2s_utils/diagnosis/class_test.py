"""The test of models of classes that a diagnosis makes, block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.diagnosis.classification import (
    Classification,
    LossName,
    Tested,
    classification,
    held_out_rows,
    tested,
)
from w2s_utils.diagnosis.logistic import logistic, train
from w2s_utils.diagnosis.moments import Moments
from w2s_utils.diagnosis.sample import Grid, Sample, samples
from w2s_utils.diagnosis.scores import least_squares
from w2s_utils.theory.ridge import Ridges


class ClassTest:
    """Tests models at the points of a grid on each block of rows, as all others predict them.

    Least-squares models have the ridges at these points of a grid of more N.
    """

    def __init__(self, moments: Moments, grid: Grid, searched: Grid, loss: LossName) -> None:
        labels = moments.labels
        self.grid, self.loss, self.origin = grid, loss, labels.origin
        self.at = np.searchsorted(searched.N, grid.N)
        self.means = np.broadcast_to(labels.origin, labels.columns).tolist()
        if loss == "cross-entropy":
            wanted = [1] if labels.columns == 1 else range(labels.columns)
            of_samples = (sample.pairs for sample in samples(moments, moments.every))
            self.trained = [
                train(whole, halves, grid, float(np.mean(labels.values == k)))
                for k, whole, *halves in zip(wanted, *of_samples, strict=True)
            ]
        self.rows = held_out_rows(moments)

    def __call__(self, block: int, others: Sample, ridges: Sequence[Ridges]) -> Tested:
        """Expected errors on a block's rows."""
        log = self.loss == "cross-entropy"
        if log:
            laws = [
                logistic(pair, trained, others.rows)
                for pair, trained in zip(others.pairs, self.trained, strict=True)
            ]
        else:
            laws = [
                least_squares(pair, self.grid, self._here(of_column), mean, others.rows)
                for pair, of_column, mean in zip(others.pairs, ridges, self.means, strict=True)
            ]
        shape = len(self.grid.n), len(self.grid.N)
        return tested(self.rows[block], others, laws, self.origin, shape, log)

    def result(self, blocks: Sequence[Tested], ridges: Ridges) -> Classification:
        """What was found on all blocks; `ridges` are those of least-squares models."""
        if self.loss == "cross-entropy":
            of_columns = zip(*(trained.ridges for trained in self.trained), strict=True)
            ridges = Ridges(*(np.exp(np.mean(np.log(every), axis=0)) for every in of_columns))
        return classification(blocks, self.grid, self.loss, ridges)

    def _here(self, ridges: Ridges) -> Ridges:
        def at_points(ridge: Array) -> Array:
            shape = len(self.grid.n), int(self.at[-1]) + 1
            return np.broadcast_to(ridge[..., : shape[1]] if ridge.ndim else ridge, shape)[
                :, self.at
            ]

        return Ridges(*map(at_points, ridges))
