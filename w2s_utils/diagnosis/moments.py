"""Second moments of two feature sets and labels, read in two passes over blocks of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array
from w2s_utils.diagnosis.blocks import PANEL, BlockGrams, unpack
from w2s_utils.diagnosis.labels import Labels
from w2s_utils.diagnosis.partition import Partition
from w2s_utils.diagnosis.rows import FeatureSet, Reader, Rows, matrix_rows
from w2s_utils.diagnosis.second_pass import read_grams, steps
from w2s_utils.diagnosis.spread import HERE, Spread
from w2s_utils.measure.correlation import BLOCKS, rows_needed

LEAST_VARIANCE = 1e-12  # of whitened coordinates


class FeatureSets(NamedTuple):
    """Both feature sets, along some of their leading directions."""

    weak: FeatureSet
    strong: FeatureSet


@dataclass(frozen=True, eq=False)
class Moments:
    """What a diagnosis needs to know of the rows, after which they are not read again.

    Attributes
    ----------
    grams : BlockGrams
        Products Z'Z of the rows of each block. A row z holds the whitened weak and strong
        coordinates along the directions that are used, the labels, and a one if `standard`.
    partition : Partition
        The rows of each block.
    standard : bool
        Whether models have an intercept, and columns count at mean 0 and variance 1.
    every : FeatureSets
        All directions that are used.
    leading : FeatureSets
        Those that carry the paper's share of the energy.
    noise_squares, noise_degrees : (BLOCKS,) ndarray
        Sum of squares within the replicate labels of an input, and its degrees of freedom.
    copies : (distinct rows,) ndarray of int
        How often each distinct input is there.
    readers : (Reader, Reader)
        The weak and the strong rows, to be read once more.
    labels : Labels
        Their mean taken off if `standard`.
    """

    grams: BlockGrams
    partition: Partition
    standard: bool
    every: FeatureSets
    leading: FeatureSets
    noise_squares: Array
    noise_degrees: Array
    copies: NDArray[np.int64]
    readers: tuple[Reader, Reader]
    labels: Labels

    @property
    def rows(self) -> int:
        """Number M of inputs."""
        return self.partition.rows

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each block."""
        return self.partition.sizes

    def of(self, gram: Array, rows: int) -> tuple[Array, int]:
        """Second moment of weak, strong and labels from a packed product, with its free rows.

        With an intercept it is the covariance, which has the law of one row less. A direction may
        have no variance at all in a part of the rows: it gets a little.
        """
        moment, free = covariance(gram, rows, self.standard)
        D = self.every.weak.d + self.every.strong.d
        moment.flat[: D * len(moment) : len(moment) + 1] += LEAST_VARIANCE
        return moment, free


def covariance(gram: Array, rows: int, standard: bool) -> tuple[Array, int]:
    """Second moment from a packed product, about the mean if `standard`, with its free rows."""
    full = unpack(gram)
    free = rows - standard
    full /= free
    if not standard:
        return full, free
    sums, scatter = full[-1, :-1], full[:-1, :-1]
    for first in range(0, len(sums), PANEL):  # at once would be a copy more
        some = slice(first, first + PANEL)
        scatter[some] -= np.outer(sums[some], sums * (free / rows))
    return scatter, free


def read_moments(
    weak: Rows,
    strong: Rows,
    labels: Labels,
    replicates: Array | None,
    energy: float,
    standard: bool,
    group: ArrayLike | None = None,
    spread: Spread = HERE,
) -> Moments:
    """Read the rows twice: for the principal directions, then for all that lives on them.

    A `Reader` in place of a matrix keeps what its first reading found.

    Of `replicates` (M, r, columns), further labels, missing ones are NaN; the rest is as in
    `diagnose`.

    Raises
    ------
    ValueError
        If the shapes do not fit, a value is not finite, a feature set is constant, or there are too
        few rows for the retained directions.
    """
    given, M = {"weak": weak, "strong": strong}, len(labels)
    counts = {name: matrix_rows(X, name) for name, X in given.items()} | {"labels": M}
    if len(set(counts.values())) != 1:
        came = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(f"All inputs need the same number of rows: {came}.")

    w, s = (X if isinstance(X, Reader) else Reader(name, X) for name, X in given.items())
    partition, chunks = Partition.of(M, group), steps((w, s), M)
    plain, labels = labels, labels.centred() if standard else labels
    for reader in (w, s):  # the same, whatever the other is
        reader.find_directions(labels, steps((reader, reader), M), energy, standard, spread)
    d_w, d_s = w.cuts[-1], s.cuts[-1]
    needed = rows_needed(d_w, d_s)
    if needed > M:
        raise ValueError(
            f"At least {needed} rows are needed for {d_w} weak and {d_s} strong directions, got "
            f"{M}; give more inputs or lower the energy."
        )

    grams, notes = read_grams((w, s), labels, chunks, standard, partition, spread)
    noise = np.zeros((2, BLOCKS))
    if replicates is not None:
        for b in range(BLOCKS):
            mine = partition.numbers(slice(0, M)) == b
            noise[:, b] = _within(plain.rows(mine), replicates[mine]).sum(axis=1)
    Z, y_mean = unpack(grams.halves.sum(axis=0) / M), labels.rows(slice(None)).mean(axis=0)
    w_part, s_part = slice(d_w), slice(d_w, d_w + d_s)
    y_part = slice(d_w + d_s, d_w + d_s + labels.columns)
    of_w, of_s = (
        reader.summaries(Z[part, part], Z[part, y_part], y_mean, of_set)
        for reader, part, of_set in zip((w, s), (w_part, s_part), notes, strict=True)
    )
    return Moments(
        grams=grams,
        partition=partition,
        standard=standard,
        every=FeatureSets(of_w[-1], of_s[-1]),
        leading=FeatureSets(of_w[0], of_s[0]),
        noise_squares=noise[0],
        noise_degrees=noise[1],
        copies=np.unique(np.round(w.mark + np.pi * s.mark, 9), return_counts=True)[1],
        readers=(w, s),
        labels=labels,
    )


def _within(y: Array, replicates: Array) -> Array:
    """Sum of squares of each row's labels around their mean, and its degrees of freedom, (2, k)."""
    every = np.concatenate([y[:, None, :], replicates], axis=1)
    present = ~np.isnan(every[..., 0])
    count = present.sum(axis=1)
    every = np.where(present[..., None], every, 0)
    mean = every.sum(axis=1) / count[:, None]
    deviation = (every - mean[:, None, :]) * present[..., None]
    return np.array([np.sum(deviation**2, axis=(1, 2)), count - 1.0])
