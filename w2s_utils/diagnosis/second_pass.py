"""The second reading of feature sets: products of rows along their principal directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_utils.diagnosis.blocks import Block, BlockGrams, block_sums
from w2s_utils.diagnosis.labels import Labels
from w2s_utils.diagnosis.notes import Notes
from w2s_utils.diagnosis.partition import Partition
from w2s_utils.diagnosis.rows import Reader
from w2s_utils.diagnosis.spread import Spread, span
from w2s_utils.measure.correlation import BLOCKS

CHUNK = 2**23  # numbers that are read at once of both sets together, 64 MB as float64


def at_once(readers: Sequence[Reader]) -> int:
    """How many rows are read at once, in whole rounds of the blocks."""
    width = sum(reader.shape[1] for reader in readers)
    return max(CHUNK // width // BLOCKS, 20) * BLOCKS


def steps(readers: Sequence[Reader], rows: int) -> list[slice]:
    """Rows that are read at once, one after the other."""
    step = at_once(readers)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def read_grams(
    readers: Sequence[Reader],
    labels: Labels,
    chunks: list[slice],
    standard: bool,
    partition: Partition,
    spread: Spread,
) -> tuple[BlockGrams, list[Notes]]:
    """Products of the rows of each block, and what is noted of the rows of each reader.

    A row holds all whitened coordinates, the labels, and a one if `standard`. The first reader is
    the teacher's, to whose answers the others listen. Of large files with digits enough for that,
    rows are multiplied in single precision.
    """
    single = len(chunks) > 1 and all([reader.in_single() for reader in readers])
    along = _Along(tuple(readers), labels, standard, partition, single)
    notes = along.notes(chunks)

    def read(blocks: range) -> Iterator[tuple[int, Block]]:
        if spread.cluster is None:
            yield from along.read(chunks, blocks, notes)
            return
        work = partial(_products, labels, standard, partition, single, blocks)
        for products, of_run in spread.over(chunks, tuple(readers), work):
            for mine, others in zip(notes, of_run, strict=False):
                mine.take(others)
            yield from products

    return BlockGrams(along.edges[-1], read, single), notes


class _OfRun(NamedTuple):
    """Products of some rows, and their notes the first time that they are read."""

    products: list[tuple[int, Block]]
    notes: list[Notes]


@dataclass(frozen=True, eq=False)
class _Along:
    """Rows along the directions of some readers, with labels and a one if `standard`."""

    readers: tuple[Reader, ...]
    labels: Labels
    standard: bool
    partition: Partition
    single: bool

    @property
    def kind(self) -> type[np.floating]:
        """Precision of the rows."""
        return np.float32 if self.single else np.float64

    @property
    def edges(self) -> list[int]:
        """Where the coordinates of each reader, the labels and the one begin, and the end."""
        widths = [reader.cuts[-1] for reader in self.readers]
        return [*accumulate([0, *widths, self.labels.columns, int(self.standard)])]

    def notes(self, chunks: Sequence[slice]) -> list[Notes]:
        """Room for notes of these rows."""
        rows = span(chunks)
        return [
            Notes.room(rows, len(X.cuts), (X.shape[1], self.labels.columns), self.kind)
            for X in self.readers
        ]

    def read(
        self, chunks: Sequence[slice], blocks: range, notes: Sequence[Notes]
    ) -> Iterator[tuple[int, Block]]:
        """Rows of these blocks, a chunk after the other."""
        edges, first = self.edges, self.readers[0]
        for rows in chunks:
            numbers = self.partition.numbers(rows)
            in_order = np.argsort(numbers, kind="stable")
            here: slice | NDArray[np.intp] = slice(None)
            if len(blocks) < BLOCKS:  # the rows are read once more
                in_order = in_order[np.isin(numbers[in_order], blocks)]
                here = np.sort(in_order)
            place = np.argsort(in_order)  # in Z, where the rows of a block follow each other
            where = np.arange(rows.start, rows.stop)[here]
            y = self.labels.rows(rows).astype(self.kind)[here]
            Z = np.empty((len(where), edges[-1]), self.kind)
            Z[place, edges[-3] : edges[-2]], Z[:, edges[-2] :] = y, 1
            for i, (reader, note) in enumerate(zip(self.readers, notes, strict=True)):
                X, mine = reader.read(rows, self.kind)[here], Z[:, edges[i] : edges[i + 1]]
                reader.whiten(X, y, where, mine, place, note)
                if len(blocks) == BLOCKS and reader is not first and reader.cut.count:
                    answers = Z[place, : edges[1]] @ first.fit
                    note.hear(reader.centred(X.astype(np.float64, copy=False)), answers)
            ends = np.searchsorted(numbers[in_order], range(blocks.start, blocks.stop + 1))
            for b, (start, stop) in zip(blocks, pairwise(ends), strict=True):
                if start < stop:
                    yield b, Z[start:stop]


def _products(
    labels: Labels,
    standard: bool,
    partition: Partition,
    single: bool,
    blocks: range,
    readers: tuple[Reader, ...],
    chunks: Sequence[slice],
) -> _OfRun:
    """Products of some of the rows, and their notes."""
    along = _Along(readers, labels, standard, partition, single)
    notes = along.notes(chunks)
    sums, rest = block_sums(along.read(chunks, blocks, notes), blocks, along.edges[-1], single)
    products = [*zip(blocks, sums, strict=False)]
    if len(sums) < len(blocks):  # under the names of two that are not held
        products += [(BLOCKS - 2, rest[0]), (BLOCKS - 1, rest[1])]
    return _OfRun(products, notes if len(blocks) == BLOCKS else [])
