"""Classifiers of a diagnosis, tried on each block of rows as all others predict them."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from w2s_utils.diagnosis.chosen import mean_ridges
from w2s_utils.diagnosis.classification import (
    Classification,
    LossName,
    Sums,
    classification,
    common_rows,
    held_out_rows,
    tested,
)
from w2s_utils.diagnosis.logistic import logistic, retrain, train
from w2s_utils.diagnosis.moments import Moments
from w2s_utils.diagnosis.sample import Grid, Sample
from w2s_utils.diagnosis.scores import Law, least_squares
from w2s_utils.theory.ridge import Ridges, best_ridges


class Classifiers:
    """Models of classes at the points of a grid, to be tried block by block."""

    def __init__(self, moments: Moments, grid: Grid, loss: LossName) -> None:
        labels = moments.labels
        self.moments, self.grid, self.loss, self.origin = moments, grid, loss, labels.origin
        self.means = np.broadcast_to(labels.origin, labels.columns).tolist()
        self.rows = held_out_rows(moments)
        self.common = common_rows(self.rows)
        if loss == "cross-entropy":
            # One column holds -1 and 1, each of several 0 and 1: a class against the rest.
            wanted, scale = ([1], 1.0) if labels.columns == 1 else (range(labels.columns), 2.0)
            parts = [
                Sample.whole(moments, moments.every).pairs,
                *(Sample.half(moments, moments.every, k).pairs for k in (0, 1)),
            ]
            self.trained = [
                train(pairs, grid, float(np.mean(labels.values == k)), scale)
                for k, *pairs in zip(wanted, *parts, strict=True)
            ]
        self.nearest: list[Ridges] | None = None
        self.first = Lock()

    def __call__(self, block: int, others: Sample, ridges: Sequence[Ridges]) -> tuple[Sums, Sums]:
        """Expected errors of the others' models on a block's rows, and on common ones.

        On common rows the models have the ridges that they would have without the block.
        """
        log = self.loss == "cross-entropy"
        moved = self._moves(others, ridges)
        if log:
            laws = [
                logistic(pair, trained, others.rows)
                for pair, trained in zip(others.pairs, self.trained, strict=True)
            ]
            alone = [
                logistic(pair, retrain(pair, trained, self.grid, change), others.rows)
                for pair, trained, change in zip(others.pairs, self.trained, moved, strict=True)
            ]
        else:
            laws = self._least_squares(others, ridges)
            changed = [
                Ridges(*(ridge * move for ridge, move in zip(of_column, change, strict=True)))
                for of_column, change in zip(ridges, moved, strict=True)
            ]
            alone = self._least_squares(others, changed)
        shape = len(self.grid.n), len(self.grid.N)
        of_origin = self.origin, shape, log
        return (
            tested(self.rows[block], others, laws, *of_origin, held_out=True),
            tested(self.common, others, alone, *of_origin, held_out=False),
        )

    def result(self, blocks: Sequence[tuple[Sums, Sums]], ridges: Ridges) -> Classification:
        """What was found on all blocks; `ridges` are those of least-squares models."""
        if self.loss == "cross-entropy":
            ridges = mean_ridges(trained.ridges for trained in self.trained)
        return classification(blocks, self.grid, self.loss, ridges)

    def _least_squares(
        self, others: Sample, ridges: Sequence[Ridges]
    ) -> list[tuple[Law, Law, Law, Law]]:
        return [
            least_squares(pair, self.grid, of_column, mean, others.rows)
            for pair, of_column, mean in zip(others.pairs, ridges, self.means, strict=True)
        ]

    def _moves(self, others: Sample, ridges: Sequence[Ridges]) -> list[Ridges]:
        """Factors by which the best ridges change without the rows that others lack.

        Accuracy depends on the ridge to first order, unlike the risk that is least at the best one.
        Those of logistic probes are taken to change alike.
        """
        n, N = self.grid.free
        if self.grid.ridge != "tuned":
            return [Ridges(*(np.ones(ridge.shape) for ridge in one)) for one in ridges]

        def nearest(sample: Sample) -> list[Ridges]:
            return [
                best_ridges(pair, n, N, near=of_column)
                for pair, of_column in zip(sample.pairs, ridges, strict=True)
            ]

        with self.first:  # blocks are tried side by side
            if self.nearest is None:
                self.nearest = nearest(Sample.whole(self.moments, self.moments.every))
        return [
            Ridges(*(new / old for new, old in zip(*both, strict=True)))
            for both in zip(nearest(others), self.nearest, strict=True)
        ]
