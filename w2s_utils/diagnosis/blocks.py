"""Products Z'Z of blocks of rows, in memory that does not grow with the number of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from w2s_utils._threads import in_threads
from w2s_utils._validate import Array
from w2s_utils.measure.correlation import BLOCKS

HELD = 360_000_000  # bytes
PANEL = 256
COPIES = 6  # of a product in full, that whoever is given a product makes of it

T = TypeVar("T")
Block = NDArray[np.floating]
Read = Callable[[range], Iterator[tuple[int, Block]]]


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
        Maps a range of blocks to pairs of a block and some of its rows of Z, all rows in turn, or
        their product as it is packed.
    single : bool
        Whether Z, and so the products of a block, are in single precision.
    held : int, optional
        Bytes of the products that are held at once, `HELD` by default.

    Attributes
    ----------
    halves : (2, D(D + 1)/2) ndarray
        Sums over the even and over the odd blocks.
    kind : dtype
        Of the products of a block.
    """

    def __init__(
        self, columns: int, read: Read, single: bool = False, held: int | None = None
    ) -> None:
        self.columns, self._read, self._first = columns, read, 0
        self._sums = partial(block_sums, columns=columns, single=single, held=held)
        self._held, self.halves = self._sums(read(range(BLOCKS)), range(BLOCKS))
        self._count, self.kind = len(self._held), self._held.dtype
        for block, gram in enumerate(self._held):
            self.halves[block % 2] += gram

    def __iter__(self) -> Iterator[Block]:
        for blocks in self._groups():
            yield from self._held[: len(blocks)]

    def map(self, function: Callable[[int, Block], T]) -> list[T]:
        """Apply a function to each block and its product, on as many cores as BLAS uses.

        Some blocks at once, by threads that share the cores of BLAS, as far as memory allows. The
        products are not held any more after that: they would have to be made again.
        """
        most = max(HELD // (8 * COPIES * self.columns**2), 1)
        found: list[T] = []
        for blocks in self._groups():
            pairs = [*zip(blocks, self._held, strict=False)]
            found += in_threads(lambda pair: function(*pair), pairs, most)
        self._held, self._first = self._held[:0].copy(), -1
        return found

    def _groups(self) -> Iterator[range]:
        """Blocks whose products are held at once, after they were made."""
        for first in range(0, BLOCKS, self._count):
            blocks = range(first, min(first + self._count, BLOCKS))
            if first != self._first:
                self._held = self._held[:0].copy()  # before the next take their room
                self._first, (self._held, _) = first, self._sums(self._read(blocks), blocks)
            yield blocks


def block_sums(
    parts: Iterable[tuple[int, Block]],
    blocks: range,
    columns: int,
    single: bool = False,
    held: int | None = None,
) -> tuple[Block, Array]:
    """Products of the first of the blocks, as many as are held, and those of the rest by halves.

    It takes pairs of a block and some of its rows, or their product; see `BlockGrams`.
    """
    packed, kind = columns * (columns + 1) // 2, np.dtype(np.float32 if single else np.float64)
    count = min(max((held or HELD) // (packed * kind.itemsize), 1), len(blocks))
    sums, rest = np.zeros((count, packed), kind), np.zeros((2, packed))
    for block, part in parts:
        i = block - blocks.start
        _add(sums[i] if i < count else rest[block % 2], part)
    return sums, rest


def unpack(packed: Array) -> Array:
    """Write a packed symmetric matrix in full."""
    columns = int(np.sqrt(2 * len(packed)))
    full: Array = lapack.dtfttr(columns, packed)[0]
    for i in range(0, columns, PANEL):  # a whole matrix at once would need another one
        part = slice(i, i + PANEL)
        full[part, :i] = full[:i, part].T
        full[part, part] = np.triu(full[part, part]) + np.triu(full[part, part], 1).T
    return full


def _add(packed: Block, Z: Block) -> None:
    """Add Z'Z to a packed matrix, in place; or what is packed already."""
    if Z.ndim == 1:
        packed += Z
        return
    add = lapack.ssfrk if packed.dtype == np.float32 else lapack.dsfrk
    add(Z.shape[1], len(Z), 1.0, Z.T, 1.0, packed, overwrite_c=1)
