"""Second moments of labelled, unlabelled and test inputs and of groups of these, from blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from w2s_utils._validate import Array
from w2s_utils.diagnosis.blocks import HELD, BlockGrams, unpack
from w2s_utils.diagnosis.labels import Labels
from w2s_utils.diagnosis.notes import radii_of
from w2s_utils.diagnosis.rows import LEAST_ROWS, Reader
from w2s_utils.diagnosis.second_pass import at_once
from w2s_utils.diagnosis.sets import Inputs, Stacked
from w2s_utils.directions import Radii
from w2s_utils.measure.correlation import BLOCKS, rows_needed
from w2s_utils.shifted import Columns, Law


class Part(NamedTuple):
    """Rows whose law is wanted: their set, and the block of each row of it, -1 if left out."""

    inputs: int
    blocks: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ShiftedMoments:
    """What a prediction for several laws needs to know of the rows.

    Attributes
    ----------
    grams : list of BlockGrams
        Of each part. A row holds weak and strong coordinates, which are whitened over all rows, the
        labels (0 if there are none), and a one.
    sizes : list of (BLOCKS,) ndarray of int
        Rows of each block of each part.
    labelled : list of bool
        Whether the part has labels.
    columns : Columns
    intercept : bool
    cut : dict of str to int
        How many weak and strong directions there are too few rows for.
    """

    grams: list[BlockGrams]
    sizes: list[NDArray[np.int64]]
    labelled: list[bool]
    columns: Columns
    intercept: bool
    cut: dict[str, int]

    def laws(self, packed: Sequence[Array], rows: Sequence[int]) -> list[Law]:
        """Law of each part, from packed products of so many of its rows.

        Where there are no labels, they are what the best linear function of both feature sets among
        labelled inputs says, and vary around it as they do there.
        """
        found = [self._law(gram, count) for gram, count in zip(packed, rows, strict=True)]
        if all(self.labelled):
            return found
        D = len(self.columns.weak) + len(self.columns.strong)
        known = found[0]
        inner, products = known.covariance[:D, :D], known.covariance[:D, D:]
        beta = np.linalg.pinv(inner, rcond=1e-9, hermitian=True) @ products
        noise = known.covariance[D:, D:] - products.T @ beta
        return [
            law if labelled else _labelled(law, known, beta, noise)
            for law, labelled in zip(found, self.labelled, strict=True)
        ]

    def _law(self, packed: Array, rows: int) -> Law:
        full = unpack(packed)
        sums, second = full[-1, :-1] / rows, full[:-1, :-1] / rows
        if not self.intercept:
            return Law(np.zeros_like(sums), second)
        covariance = (second - np.outer(sums, sums)) * (rows / (rows - 1))
        return Law(sums, covariance, rows)


def _labelled(law: Law, known: Law, beta: Array, noise: Array) -> Law:
    """Fill in means and products of labels that nobody gave."""
    D = len(beta)
    mean, covariance = law.mean.copy(), law.covariance.copy()
    mean[D:] = known.mean[D:] + (law.mean - known.mean)[:D] @ beta
    covariance[:D, D:] = covariance[:D, :D] @ beta
    covariance[D:, :D] = covariance[:D, D:].T
    covariance[D:, D:] = beta.T @ covariance[:D, D:] + noise
    return Law(mean, covariance, law.rows)


def read_laws(
    sets: Sequence[Inputs],
    unlabelled: int,
    test: int,
    groups: NDArray[np.int64] | None,
    energy: float,
    standard: bool,
) -> ShiftedMoments:
    """Read all rows: for common directions, then along them, then for the sizes of inputs.

    The first of the sets is labelled; `unlabelled` and `test` say which sets play these roles.
    `groups` numbers the groups of the test rows from 0. The parts are labelled, unlabelled, test,
    and each group.

    Raises
    ------
    ValueError
        If there are too few rows of a set for the directions.
    """
    roles = {test: "test", unlabelled: "unlabelled", 0: "labelled"}

    def stacked(name: str) -> Stacked:
        parts = (getattr(one, name) for one in sets)
        return Stacked([Reader(f"{name} ({roles[i]})", X) for i, X in enumerate(parts)])

    stacks = [stacked(name) for name in ("weak", "strong")]
    w, s = (Reader(name, X) for name, X in zip(("weak", "strong"), stacks, strict=True))
    chunks = stacks[0].chunks(at_once((w, s)))
    for reader in (w, s):
        nothing = Labels(np.empty((reader.shape[0], 0)), None)
        reader.find_directions(nothing, [rows for _, rows in chunks], energy, standard)
    rows = [one.weak.shape[0] for one in sets]
    d_w, d_s = _dimensions(w, s, rows, unlabelled, test, standard)
    k = next(one.labels.columns for one in sets if one.labels is not None)
    parts = _parts(rows, unlabelled, test, groups)

    def coordinates(i: int, chunk: slice) -> tuple[Array, Array, Array, slice]:
        start = int(stacks[0].starts[i])
        within, labels = slice(chunk.start - start, chunk.stop - start), sets[i].labels
        of_w, of_s = (X.centred(X[chunk]) @ X.map[:, :d] for X, d in ((w, d_w), (s, d_s)))
        y = np.zeros((chunk.stop - chunk.start, k)) if labels is None else labels.rows(within)
        return of_w, of_s, y, within

    def reading(part: Part) -> Callable[[range], Iterator[tuple[int, Array]]]:
        def read(blocks: range) -> Iterator[tuple[int, Array]]:
            for i, chunk in chunks:
                if i == part.inputs:
                    of_w, of_s, y, within = coordinates(i, chunk)
                    Z = np.hstack([of_w, of_s, y, np.ones((len(y), 1))])
                    mine = part.blocks[within]
                    for b in blocks:
                        if (mine == b).any():
                            yield b, np.ascontiguousarray(Z[mine == b])

        return read

    columns = d_w + d_s + k + 1
    grams: dict[tuple[int, int], BlockGrams] = {}
    for j, part in enumerate(parts):
        key = part.inputs, max(j - 2, 0)  # roles of one set share what was read
        if key not in grams:
            grams[key] = BlockGrams(columns, reading(part), held=HELD // len(parts))
    moments = ShiftedMoments(
        grams=[grams[part.inputs, max(j - 2, 0)] for j, part in enumerate(parts)],
        sizes=[np.bincount(part.blocks[part.blocks >= 0], minlength=BLOCKS) for part in parts],
        labelled=[sets[part.inputs].labels is not None for part in parts],
        columns=Columns(np.sqrt(w.spectrum[:d_w]), np.sqrt(s.spectrum[:d_s])),
        intercept=standard,
        cut={X.name: X.cuts[-1] - d for X, d in ((w, d_w), (s, d_s))},
    )
    return _with_radii(moments, chunks, coordinates, unlabelled)


def _dimensions(
    w: Reader, s: Reader, rows: Sequence[int], unlabelled: int, test: int, standard: bool
) -> tuple[int, int]:
    d_w, d_s = w.cuts[-1], s.cuts[-1]
    if standard:
        d_w, d_s = (min(d, rows[0] // LEAST_ROWS) for d in (d_w, d_s))
    for role, at, least in (("unlabelled", unlabelled, d_s), ("test", test, max(d_w, d_s))):
        if rows[at] < least:
            raise ValueError(
                f"At least {least} {role} rows are needed, one for each of so many directions, got "
                f"{rows[at]}: give more inputs or lower the energy."
            )
    if standard:
        return d_w, min(d_s, rows[unlabelled] // LEAST_ROWS)
    for role, at in (("labelled", 0), ("unlabelled", unlabelled)):
        needed = rows_needed(d_w, d_s)
        if rows[at] < needed:
            raise ValueError(
                f"At least {needed} {role} rows are needed for {d_w} weak and {d_s} strong "
                f"directions, got {rows[at]}: give more inputs or lower the energy."
            )
    return d_w, d_s


def _parts(
    rows: Sequence[int], unlabelled: int, test: int, groups: NDArray[np.int64] | None
) -> list[Part]:
    """Rows of each law. A row is in the same block in all of them, and each block in all groups."""
    blocks = [np.arange(count) % BLOCKS for count in rows]
    found = []
    if groups is not None:
        for group in range(groups.max() + 1):
            here = groups == group
            blocks[test][here] = np.arange(here.sum()) % BLOCKS
        found = [
            Part(test, np.where(groups == group, blocks[test], -1))
            for group in range(groups.max() + 1)
        ]
    return [*(Part(i, blocks[i]) for i in (0, unlabelled, test)), *found]


def _with_radii(
    moments: ShiftedMoments,
    chunks: Sequence[tuple[int, slice]],
    coordinates: Callable[[int, slice], tuple[Array, Array, Array, slice]],
    unlabelled: int,
) -> ShiftedMoments:
    """Measure the sizes of inputs where models are trained."""
    packed = [moments.grams[j].halves.sum(axis=0) for j in (0, 1)]
    rows = [int(moments.sizes[j].sum()) for j in (0, 1)]
    laws = [moments._law(*one) for one in zip(packed, rows, strict=True)]
    d_w, D = len(moments.columns.weak), len(moments.columns.weak) + len(moments.columns.strong)
    w, s = slice(d_w), slice(d_w, D)

    def sizes(law: Law, i: int, *sets: slice) -> list[Radii]:
        def fitted(part: slice) -> tuple[slice, Array, Array]:
            covariance = law.covariance[part, part]
            fit = linalg.solve(covariance, law.covariance[part, D:])
            return part, linalg.cholesky(covariance, lower=True), fit

        parts = [*map(fitted, sets)]
        found: list[list[tuple[Array, Array]]] = [[] for _ in parts]
        for j, chunk in chunks:
            if i == j:
                of_w, of_s, y, _ = coordinates(i, chunk)
                Z, off = np.hstack([of_w, of_s]) - law.mean[:D], y - law.mean[D:]
                for kept, (part, factor, fit) in zip(found, parts, strict=True):
                    whitened = linalg.solve_triangular(factor, Z[:, part].T, lower=True)
                    left = off - Z[:, part] @ fit
                    kept.append((np.sum(whitened**2, axis=0), np.sum(left**2, axis=1)))
        return [radii_of(*map(np.concatenate, zip(*kept, strict=True))) for kept in found]

    weak_radii, baseline_radii = sizes(laws[0], 0, w, s)
    (at_pool,) = sizes(laws[1], unlabelled, s)
    columns = replace(
        moments.columns,
        weak_radii=weak_radii,
        baseline_radii=baseline_radii,
        student_radii=Radii(at_pool.squared),
    )
    return replace(moments, columns=columns)
