"""A feature set in rows: read once for its principal directions, once more along them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from w2s_utils._validate import Array, real_array
from w2s_utils.diagnosis.labels import Labels
from w2s_utils.directions import Radii
from w2s_utils.measure.spectrum import moment_directions

SPANNED = 1e-9  # share of a constant that features leave by rounding alone
SIZES = 40  # groups of rows of like size; a blocks' worth of rows at least has one each


class Rows(Protocol):
    """A matrix that gives some of its rows: an ndarray, memory-mapped or not, or alike."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    def __getitem__(self, rows: slice, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """What is known of the weak or of the strong features.

    Attributes
    ----------
    name : str
        "weak" or "strong".
    spectrum : (width,) ndarray
        Eigenvalues of the uncentred second moment, in falling order.
    d : int
        Intrinsic dimension: retained directions. All models are fits on these.
    radii : Radii
        Sizes of the inputs on the retained directions and the labels' residuals at these sizes, by
        groups of rows. What Gaussian inputs vary by themselves is taken out.
    leverage : float
        `measure.leverage_excess`: label noise costs about 1 + leverage/n times the Gaussian value.
        Predictions allow for it (`Radii`).
    inflation : float
        `measure.noise_inflation` of the labels' residuals, 1 if these ignore the features, NaN if
        there are none. Predictions allow for it, too.
    constant : tuple of int and float
        Number of constant columns, and their share of the energy.
    intercept : float
        Share of what the features leave of the labels that a constant would explain; 0 if they
        span one.
    """

    name: str
    spectrum: Array
    d: int
    radii: Radii
    leverage: float
    inflation: float
    constant: tuple[int, float]
    intercept: float


def matrix_rows(X: Rows, name: str) -> int:
    """Return the number of rows; raise ValueError if it is no matrix."""
    if len(X.shape) != 2 or 0 in X.shape:
        raise ValueError(f"{name} must be a matrix with one row an input, got shape {X.shape}.")
    return X.shape[0]


class Reader:
    """One feature set, read twice: `find_directions`, then `whiten` along them.

    It gives `Rows` in double precision, and serves several pairs with the same labels and energy.
    """

    def __init__(self, name: str, features: Rows) -> None:
        self.name, self.features, self.shape = name, features, features.shape
        self.chunks: list[slice] = []

    def __getitem__(self, rows: slice) -> Array:
        X = real_array(self.features[rows], f"{self.name}[{rows.start}:{rows.stop}]", 2)
        # Else the whole file counts as our memory. A private map's pages hold the caller's changes.
        mapped, mode = (getattr(self.features, name, None) for name in ("_mmap", "mode"))
        if isinstance(mapped, mmap.mmap) and mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
        return X

    def find_directions(self, labels: Labels, chunks: list[slice], energy: float) -> int:
        """Find the directions that carry this share of the energy, and return their number."""
        if chunks == self.chunks:  # others would change the last digits of the sums
            return len(self.means)
        rows, width = self.shape
        moment, cross = np.zeros((width, width)), np.zeros((width, labels.columns))
        sums = np.zeros(width)
        low, high = np.full(width, np.inf), np.full(width, -np.inf)
        for chunk in chunks:
            X = self[chunk]
            moment += X.T @ X
            cross += X.T @ labels.rows(chunk)
            sums += X.sum(axis=0)
            low, high = np.minimum(low, X.min(axis=0)), np.maximum(high, X.max(axis=0))
        constant = low == high
        if constant.all():
            raise ValueError(f"All columns of {self.name} are constant: there is nothing to learn.")
        share = moment.diagonal()[constant].sum() / np.trace(moment)
        self.constant = int(constant.sum()), float(share)
        self.spectrum, directions = moment_directions(moment / rows, energy)
        kept = self.spectrum[: directions.shape[1]]
        self.map = np.ascontiguousarray(directions / np.sqrt(kept))
        self.fit = self.map.T @ cross / rows
        self.means: Array = sums @ self.map / rows
        self.leverage, self.residual = np.empty((2, rows))
        self.chunks = chunks
        return len(kept)

    def whiten(self, X: Array, y: Array, rows: slice) -> Array:
        """Put what was read of these rows into coordinates along the directions."""
        Z: Array = X @ self.map
        self.leverage[rows] = np.einsum("ij,ij->i", Z, Z)
        self.residual[rows] = np.sum((y - Z @ self.fit) ** 2, axis=1)
        return Z

    def summary(self, moment: Array, cross: Array, label_mean: Array) -> FeatureSet:
        """What was found, given the second moments of the whitened rows, and with the labels."""
        leverage, residual = self.leverage, self.residual
        mean, total = leverage.mean(), residual.sum()
        fit = np.linalg.solve(moment, np.column_stack([cross, self.means]))
        # What is left of a constant, as its mean and its power, and the mean of what is of labels.
        constant = 1 - self.means @ fit[:, -1]
        missed = np.sum((label_mean - self.means @ fit[:, :-1]) ** 2)
        unspanned = constant > SPANNED and total > 0
        return FeatureSet(
            self.name,
            self.spectrum,
            len(moment),
            self._radii(),
            leverage=float(leverage.var() / mean - 2),
            inflation=float(leverage @ residual / (mean * total)) if total > 0 else np.nan,
            constant=self.constant,
            intercept=float(missed / (constant * residual.mean())) if unspanned else 0.0,
        )

    def _radii(self) -> Radii:
        leverage, residual = self.leverage, self.residual
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
