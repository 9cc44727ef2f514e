"""What is noted of each row along the directions: its size, and what a fit leaves of its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.diagnosis.blocks import Block
from w2s_utils.directions import Radii

SIZES = 40  # groups of rows of like size; a blocks' worth of rows at least has one each


@dataclass(frozen=True, eq=False)
class Notes:
    """What is noted of some rows of a set, while they are read along its directions.

    Attributes
    ----------
    rows : slice
    leverage, residual : (cuts, rows) ndarray
        Of each row, its size and what a fit leaves of its labels, on the leading directions and on
        all that are used.
    taught : (width, columns) ndarray
        Products of the rows with the answers of a teacher that has seen all of them.
    told : (1,) ndarray
        Sum of squares of these answers; 0 where nothing is cut off, or the set is the teacher's.
    """

    rows: slice
    leverage: Block
    residual: Block
    taught: Array
    told: Array

    @classmethod
    def room(cls, rows: slice, cuts: int, shape: tuple[int, int], kind: type[np.floating]) -> Notes:
        """Room for notes, of sizes and residuals in the precision that they come in."""
        leverage, residual = np.empty((2, cuts, rows.stop - rows.start), kind)
        return cls(rows, leverage, residual, np.zeros(shape), np.zeros(1))

    def hear(self, X: Block, answers: Block) -> None:
        """Take note of what a teacher says of some rows."""
        self.taught[:] += X.T @ answers
        self.told[:] += np.sum(np.square(answers, dtype=np.float64))

    def take(self, others: Notes) -> None:
        """Take over the notes of some of the rows."""
        part = slice(others.rows.start - self.rows.start, others.rows.stop - self.rows.start)
        self.leverage[:, part], self.residual[:, part] = others.leverage, others.residual
        self.taught[:] += others.taught
        self.told[:] += others.told


def radii_of(leverage: Array, residual: Array) -> Radii:
    """Sizes of inputs from their leverages, and the power of what a fit leaves at these sizes."""
    rows, mean = len(leverage), leverage.mean()
    # A row pulls the second moment and the fit towards itself: leave it out of both.
    left = np.maximum(1 - leverage / rows, 1 / rows)
    size, noise = leverage / left, residual / left
    order = np.array_split(np.argsort(size), SIZES)
    groups = np.array([size[part].mean() for part in order]) / size.mean()
    # Gaussian inputs of equal size vary, too: shrink what is measured to Var(r^2).
    spread, chance = size.var() / size.mean() ** 2, 2 / (mean * (1 - mean / rows))
    variance = max((spread - chance) / (1 + chance), 0.0)
    shrink = min(np.sqrt(variance / spread), 1 - 1e-3) if spread > 0 else 0.0
    squared = 1 + shrink * (groups - 1)
    power = np.array([noise[part].mean() for part in order]) if noise.any() else np.ones(SIZES)
    return Radii(squared / squared.mean(), power / power.mean())
