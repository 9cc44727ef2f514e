"""Second moments of two feature sets and labels, read in two passes over blocks of rows."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from w2s_utils._validate import Array, real_array
from w2s_utils.diagnosis.blocks import BlockGrams, unpack
from w2s_utils.diagnosis.labels import Labels
from w2s_utils.directions import Radii
from w2s_utils.measure.correlation import BLOCKS, rows_needed
from w2s_utils.measure.spectrum import moment_directions

CHUNK = 2**24  # numbers that are read at once of both sets together, 128 MB as float64
SIZES = 40  # groups of rows of like size; a blocks' worth of rows at least has one each


class Rows(Protocol):
    """A matrix that gives some of its rows: an ndarray, memory-mapped or not, or alike."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    def __getitem__(self, rows: slice, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Moments:
    """What a diagnosis needs to know of the rows, after which they are not read again.

    Attributes
    ----------
    grams : BlockGrams
        Products Z'Z of the rows of each block, D = d_w + d_s + label columns. A row z holds the
        whitened weak and strong coordinates along the retained directions, and the labels.
    sizes : (BLOCKS,) ndarray of int
        Rows of each block; row i belongs to block i modulo `BLOCKS`.
    means : (D,) ndarray
        Mean of z over all rows.
    spectrum_w, spectrum_s : (width,) ndarray
        Eigenvalues of the features' uncentred second moments, in falling order.
    d_w, d_s : int
        Retained directions.
    sizes_w, sizes_s : Radii
        Sizes of the inputs on the retained directions and the labels' residuals at these sizes, by
        groups of rows. What Gaussian inputs vary by themselves is taken out.
    noise_squares, noise_degrees : (BLOCKS,) ndarray
        Sum of squares within the replicate labels of an input, and its degrees of freedom.
    leverage_w, leverage_s : float
        `measure.leverage_excess` of the retained features.
    inflation_w, inflation_s : float
        `measure.noise_inflation` of the labels' residuals; NaN if there are none.
    constant_w, constant_s : tuple of int and float
        Number of constant columns, and their share of the energy.
    """

    grams: BlockGrams
    sizes: NDArray[np.int64]
    means: Array
    spectrum_w: Array
    spectrum_s: Array
    d_w: int
    d_s: int
    sizes_w: Radii
    sizes_s: Radii
    noise_squares: Array
    noise_degrees: Array
    leverage_w: float
    leverage_s: float
    inflation_w: float
    inflation_s: float
    constant_w: tuple[int, float]
    constant_s: tuple[int, float]

    @property
    def rows(self) -> int:
        """Number M of inputs."""
        return int(self.sizes.sum())

    def whole(self) -> Array:
        """Second moment Z'Z/M of all rows, (D, D)."""
        return unpack(self.grams.halves.sum(axis=0) / self.rows)


def read_moments(
    weak: Rows, strong: Rows, labels: Labels, replicates: Array | None, energy: float
) -> Moments:
    """Read the rows twice: for the principal directions, then for all that lives on them.

    Parameters
    ----------
    weak : (M, width_w) matrix
    strong : (M, width_s) matrix
    labels : Labels of M inputs
    replicates : (M, r, columns) ndarray or None
        Further labels, NaN where missing.
    energy : float
        Share of each trace that the retained directions carry.

    Raises
    ------
    ValueError
        If the shapes do not fit, a value is not finite, a feature set is constant, or there are too
        few rows for the retained directions.
    """
    for name, X in (("weak", weak), ("strong", strong)):
        if len(X.shape) != 2 or 0 in X.shape:
            raise ValueError(f"{name} must be a matrix with one row an input, got shape {X.shape}.")
    counts = {"weak": weak.shape[0], "strong": strong.shape[0], "labels": len(labels)}
    if len(set(counts.values())) != 1:
        came = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(f"All inputs need the same number of rows: {came}.")

    w, s = sets = [_Set(name, X, labels) for name, X in (("weak", weak), ("strong", strong))]

    def chunks() -> Iterator[slice]:
        step = max(CHUNK // (weak.shape[1] + strong.shape[1]) // BLOCKS, 20) * BLOCKS
        for start in range(0, len(labels), step):
            yield slice(start, min(start + step, len(labels)))

    for rows in chunks():
        for features in sets:
            features.add(rows, labels.rows(rows))
    for features in sets:
        features.finish(energy)
    d_w, d_s = (features.map.shape[1] for features in sets)
    needed = rows_needed(d_w, d_s)
    if len(labels) < needed:
        raise ValueError(
            f"At least {needed} rows are needed for {d_w} weak and {d_s} strong directions, got "
            f"{len(labels)}; give more inputs or lower the energy."
        )

    def whitened(blocks: range) -> Iterator[tuple[int, Array]]:
        for rows in chunks():
            weak_rows, strong_rows, y = w.read(rows), s.read(rows), labels.rows(rows)
            for b in range(blocks.start, min(blocks.stop, len(y))):
                mine, where = slice(b, None, BLOCKS), slice(rows.start + b, rows.stop, BLOCKS)
                weak_part = w.whiten(weak_rows[mine], y[mine], where)
                strong_part = s.whiten(strong_rows[mine], y[mine], where)
                yield b, np.hstack([weak_part, strong_part, y[mine]])

    grams = BlockGrams(d_w + d_s + labels.columns, whitened)
    noise = np.zeros((2, BLOCKS))
    if replicates is not None:
        for b in range(BLOCKS):
            mine = slice(b, None, BLOCKS)
            noise[:, b] = _within(labels.rows(mine), replicates[mine]).sum(axis=1)
    for features in sets:
        features.summarize()
    return Moments(
        grams=grams,
        sizes=np.array([len(range(b, len(labels), BLOCKS)) for b in range(BLOCKS)]),
        means=np.concatenate([w.means, s.means, labels.rows(slice(None)).mean(axis=0)]),
        spectrum_w=w.spectrum,
        spectrum_s=s.spectrum,
        d_w=d_w,
        d_s=d_s,
        sizes_w=w.sizes,
        sizes_s=s.sizes,
        noise_squares=noise[0],
        noise_degrees=noise[1],
        leverage_w=w.leverage_excess,
        leverage_s=s.leverage_excess,
        inflation_w=w.noise_inflation,
        inflation_s=s.noise_inflation,
        constant_w=w.constant,
        constant_s=s.constant,
    )


class _Set:
    """Running sums of one feature set: in the first pass `add`, in the second `whiten`."""

    def __init__(self, name: str, features: Rows, labels: Labels) -> None:
        width = features.shape[1]
        self.name, self.features = name, features
        self.moment, self.cross = np.zeros((width, width)), np.zeros((width, labels.columns))
        self.sums = np.zeros(width)
        self.low, self.high = np.full(width, np.inf), np.full(width, -np.inf)
        self.leverage, self.residual = np.empty((2, len(labels)))

    def read(self, rows: slice) -> Array:
        X = real_array(self.features[rows], f"{self.name}[{rows.start}:{rows.stop}]", 2)
        # Else the whole file counts as our memory. A private map's pages hold the caller's changes.
        mapped, mode = (getattr(self.features, name, None) for name in ("_mmap", "mode"))
        if isinstance(mapped, mmap.mmap) and mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
        return X

    def add(self, rows: slice, y: Array) -> None:
        X = self.read(rows)
        self.moment += X.T @ X
        self.cross += X.T @ y
        self.sums += X.sum(axis=0)
        self.low, self.high = (
            np.minimum(self.low, X.min(axis=0)),
            np.maximum(self.high, X.max(axis=0)),
        )

    def finish(self, energy: float) -> None:
        rows = len(self.leverage)
        constant = self.low == self.high
        if constant.all():
            raise ValueError(f"All columns of {self.name} are constant: there is nothing to learn.")
        trace = np.trace(self.moment)
        self.constant = int(constant.sum()), float(self.moment.diagonal()[constant].sum() / trace)
        self.spectrum, directions = moment_directions(self.moment / rows, energy)
        kept = self.spectrum[: directions.shape[1]]
        self.map = np.ascontiguousarray(directions / np.sqrt(kept))
        self.fit = self.map.T @ self.cross / rows
        self.means = self.sums @ self.map / rows
        del self.moment

    def whiten(self, X: Array, y: Array, rows: slice) -> Array:
        Z: Array = X @ self.map
        self.leverage[rows] = np.einsum("ij,ij->i", Z, Z)
        self.residual[rows] = np.sum((y - Z @ self.fit) ** 2, axis=1)
        return Z

    def summarize(self) -> None:
        leverage, residual = self.leverage, self.residual
        mean, total = leverage.mean(), residual.sum()
        self.leverage_excess = float(leverage.var() / mean - 2)
        self.noise_inflation = float(leverage @ residual / (mean * total)) if total > 0 else np.nan
        # A row pulls the second moment and the fit towards itself: leave it out of both.
        rows, left = len(leverage), np.maximum(1 - leverage / len(leverage), 1 / len(leverage))
        size, noise = leverage / left, residual / left
        order = np.array_split(np.argsort(size), SIZES)
        groups = np.array([size[part].mean() for part in order]) / size.mean()
        # Gaussian inputs of equal size vary, too: shrink what is measured to Var(r^2).
        spread, chance = size.var() / size.mean() ** 2, 2 / (mean * (1 - mean / rows))
        variance = max((spread - chance) / (1 + chance), 0.0)
        shrink = min(np.sqrt(variance / spread), 1 - 1e-3) if spread > 0 else 0.0
        squared = 1 + shrink * (groups - 1)
        power = np.array([noise[part].mean() for part in order]) if total > 0 else np.ones(SIZES)
        self.sizes = Radii(squared / squared.mean(), power / power.mean())


def _within(y: Array, replicates: Array) -> Array:
    """Sum of squares of each row's labels around their mean, and its degrees of freedom, (2, k)."""
    every = np.concatenate([y[:, None, :], replicates], axis=1)
    present = ~np.isnan(every[..., 0])
    count = present.sum(axis=1)
    every = np.where(present[..., None], every, 0)
    mean = every.sum(axis=1) / count[:, None]
    deviation = (every - mean[:, None, :]) * present[..., None]
    return np.array([np.sum(deviation**2, axis=(1, 2)), count - 1.0])
