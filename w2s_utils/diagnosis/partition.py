"""Blocks of rows that a jackknife leaves out, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils.diagnosis.labels import as_array
from w2s_utils.measure.correlation import BLOCKS

LARGEST = 3  # times the mean size of a block


@dataclass(frozen=True, eq=False)
class Partition:
    """The block of each row: every 20th row, or whole groups of rows that belong together.

    Attributes
    ----------
    rows : int
    block : (rows,) ndarray of int or None
        Of each row; None if row i belongs to block i modulo `BLOCKS`.
    independent : int
        Rows, or groups, that say something of their own.
    """

    rows: int
    block: NDArray[np.intp] | None
    independent: int

    @classmethod
    def of(cls, rows: int, group: ArrayLike | None = None) -> Partition:
        """Blocks of every 20th row, or of about as many rows in whole groups.

        Raises
        ------
        ValueError
            If there is not one group a row, or groups are too few or too unequal.
        """
        if group is None:
            return cls(rows, None, rows)
        names = as_array(group, "group")
        if names.shape != (rows,):
            raise ValueError(f"group must name one for each of {rows} rows, got {names.shape}.")
        _, codes, counts = np.unique(
            names.astype(str) if names.dtype == object else names,
            return_inverse=True,
            return_counts=True,
        )
        if len(counts) < BLOCKS:
            raise ValueError(
                f"Bands leave out groups: at least {BLOCKS} are needed, got {len(counts)}."
            )
        heap = [(0, b) for b in range(BLOCKS)]
        block_of = np.empty(len(counts), np.intp)
        for code in np.argsort(-counts, kind="stable"):  # the next to the smallest block
            size, b = heappop(heap)
            block_of[code] = b
            heappush(heap, (size + int(counts[code]), b))
        if counts.max() > LARGEST * rows / BLOCKS:
            raise ValueError(
                f"The largest group holds {counts.max()} of {rows} rows, so what the rest varies "
                "by says little of the whole: split it, or leave it out."
            )
        return cls(rows, block_of[codes], len(counts))

    @property
    def grouped(self) -> bool:
        """Whether rows of a group stay together."""
        return self.block is not None

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each block."""
        if self.block is None:
            return np.array([len(range(b, self.rows, BLOCKS)) for b in range(BLOCKS)])
        return np.bincount(self.block, minlength=BLOCKS)

    def numbers(self, rows: slice) -> NDArray[np.intp]:
        """Blocks of some rows."""
        return np.arange(rows.start, rows.stop) % BLOCKS if self.block is None else self.block[rows]
