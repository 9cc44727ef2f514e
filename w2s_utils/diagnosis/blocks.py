"""Products Z'Z of blocks of rows, in memory that does not grow with the number of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.linalg import lapack

from w2s_utils._validate import Array
from w2s_utils.measure.correlation import BLOCKS

HELD = 45_000_000  # 360 MB
PANEL = 256

Read = Callable[[range], Iterator[tuple[int, Array]]]


class BlockGrams:
    """Products Z'Z of the rows of each block; row i belongs to block i modulo `BLOCKS`.

    Iteration gives those of all blocks in order, each valid until the next. They are symmetric, and
    packed into D(D + 1)/2 numbers (`unpack`). As many as `held` allows are kept; the others are
    made again from the rows.

    Parameters
    ----------
    columns : int
        Columns D of Z.
    read : callable
        Maps a range of blocks to pairs of a block and some of its rows of Z, all rows in turn.
    held : int
        Numbers of the products that are held at once.

    Attributes
    ----------
    halves : (2, D(D + 1)/2) ndarray
        Sums over the even and over the odd blocks.
    """

    def __init__(self, columns: int, read: Read, held: int = HELD) -> None:
        packed = columns * (columns + 1) // 2
        self._read, self._first = read, 0
        self._held = np.zeros((min(max(held // packed, 1), BLOCKS), packed))
        self.halves = np.zeros((2, packed))
        for block, Z in read(range(BLOCKS)):
            _add(self._held[block] if block < len(self._held) else self.halves[block % 2], Z)
        for block, gram in enumerate(self._held):
            self.halves[block % 2] += gram

    def __iter__(self) -> Iterator[Array]:
        for first in range(0, BLOCKS, len(self._held)):
            blocks = range(first, min(first + len(self._held), BLOCKS))
            if first != self._first:
                self._first, self._held[...] = first, 0
                for block, Z in self._read(blocks):
                    _add(self._held[block - first], Z)
            yield from self._held[: len(blocks)]


def unpack(packed: Array) -> Array:
    """Write a packed symmetric matrix in full."""
    columns = int(np.sqrt(2 * len(packed)))
    full: Array = lapack.dtfttr(columns, packed)[0]
    for i in range(0, columns, PANEL):  # a whole matrix at once would need another one
        part = slice(i, i + PANEL)
        full[part, :i] = full[:i, part].T
        full[part, part] = np.triu(full[part, part]) + np.triu(full[part, part], 1).T
    return full


def _add(packed: Array, Z: Array) -> None:
    """Add Z'Z to a packed matrix, in place."""
    lapack.dsfrk(Z.shape[1], len(Z), 1.0, Z.T, 1.0, packed, overwrite_c=1)
