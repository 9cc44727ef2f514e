"""A feature set in rows: read once for its principal directions, once more along them."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import blas

from w2s_utils._validate import Array, numpy_array, real_array
from w2s_utils.diagnosis.blocks import HELD, Block
from w2s_utils.diagnosis.labels import Labels
from w2s_utils.directions import Radii
from w2s_utils.measure.spectrum import energy_dimension, moment_directions

SPANNED = 1e-9  # share of what features span that they leave by rounding alone
ENERGY = 0.99  # share that the leading directions carry, the paper's
LEAST_ROWS = 3  # a direction
SINGLE = 1e-4  # error of a whitened coordinate, which varies by 1, that single precision may make
NOT_EXPLAINED = 0.01  # share of the labels, which it must not blur
SIZES = 40  # groups of rows of like size; a blocks' worth of rows at least has one each


class Rows(Protocol):
    """A matrix that gives some of its rows: an ndarray, memory-mapped or not, or alike."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    def __getitem__(self, rows: slice, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Cut:
    """Directions that no model uses, though least squares sees them.

    Attributes
    ----------
    count : int
    explained : float
        Share of the labels' variance that they explain, less what chance would; NaN where there
        are too few rows to tell.
    p_value : float
        Of that share, if the labels ignored them.
    taught, taught_p_value : float
        The same for the answers of a teacher that has seen all rows; NaN for weak features.
    """

    count: int
    explained: float
    p_value: float
    taught: float = np.nan
    taught_p_value: float = np.nan


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """What is known of the weak or of the strong features, along their leading directions.

    Attributes
    ----------
    name : str
        "weak" or "strong".
    spectrum : (width,) ndarray
        Eigenvalues of the second moment, in falling order: that of the columns at mean 0 and
        variance 1, or as they are given.
    d : int
        Directions that the models are fits on.
    radii : Radii
        Sizes of the inputs on these directions and the labels' residuals at these sizes, by
        groups of rows. What Gaussian inputs vary by themselves is taken out.
    leverage : float
        `measure.leverage_excess`: label noise costs about 1 + leverage/n times the Gaussian value.
        Predictions allow for it (`Radii`).
    inflation : float
        `measure.noise_inflation` of the labels' residuals, 1 if these ignore the features, NaN if
        there are none. Predictions allow for it, too.
    kurtosis : float
        Mean fourth power of the residuals over the square of their mean square; 3 if Gaussian.
    bounded : bool
        Whether the labels are classes.
    constant : tuple of int and float
        Number of constant columns, and their share of the energy.
    intercept : float
        Share of what the features leave of the labels that a constant would explain; 0 if the
        models have one.
    cut : Cut
    """

    name: str
    spectrum: Array
    d: int
    radii: Radii
    leverage: float
    inflation: float
    kurtosis: float
    bounded: bool
    constant: tuple[int, float]
    intercept: float
    cut: Cut


def matrix_rows(X: Rows, name: str) -> int:
    """Return the number of rows; raise ValueError if it is no matrix."""
    if len(X.shape) != 2 or 0 in X.shape:
        raise ValueError(f"{name} must be a matrix with one row an input, got shape {X.shape}.")
    return X.shape[0]


def let_go(features: Any) -> None:
    """Give the pages of mapped files back, which else count as our memory.

    Those of a private map hold its owner's changes.
    """
    for part in getattr(features, "parts", [getattr(features, "matrix", features)]):
        mapped, mode = (getattr(part, name, None) for name in ("_mmap", "mode"))
        if isinstance(mapped, mmap.mmap) and mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
        elif part is not features:
            let_go(part)


class Reader:
    """One feature set, read twice: `find_directions`, then `whiten` along them.

    It gives `Rows` in double precision, and serves several pairs with the same labels and energy.
    """

    def __init__(self, name: str, features: Rows) -> None:
        self.name, self.features, self.shape = name, features, features.shape
        self.chunks: list[slice] = []
        self.shared = False
        self._kept: dict[str, tuple[Array, Array]] = {}

    def __getitem__(self, rows: slice) -> Array:
        return np.asarray(self.read(rows, np.float64), np.float64)

    def read(self, rows: slice, kind: type[np.floating]) -> Block:
        """Read some rows in single or double precision."""
        given = numpy_array(self.features[rows])
        self.narrow = given.dtype.kind == "f" and given.dtype.itemsize <= 4
        X = real_array(given, f"{self.name}[{rows.start}:{rows.stop}]", 2, dtype=kind)
        let_go(self.features)
        return X

    def find_directions(
        self, labels: Labels, chunks: list[slice], energy: float, standard: bool
    ) -> None:
        """Find the directions that carry this share of the energy.

        `standard`: of the columns at mean 0 and variance 1, else of the columns as they are given.
        """
        self.taught, self.told = np.zeros((self.shape[1], labels.columns)), 0.0
        if chunks == self.chunks:  # others would change the last digits of the sums
            return
        rows, width = self.shape
        self.standard = standard
        self._kept.clear()
        moment, cross, unit, power = self._products(labels, chunks)
        variances, directions = moment_directions(moment, 1)
        self.spectrum = variances[: np.count_nonzero(unit)]
        seen, most = directions.shape[1], rows // LEAST_ROWS if standard else width
        d = min(seen if energy == 1 else energy_dimension(variances, energy), most)
        leading = min(energy_dimension(variances, min(energy, ENERGY)), d)
        self.cuts = sorted({leading, d})
        directions /= np.sqrt(variances[:seen])
        blurred = np.sqrt((moment.diagonal() @ directions[:, :d] ** 2).max())
        directions *= unit[:, None]
        self.map, self.rest = np.ascontiguousarray(directions[:, :d]), directions[:, d:]
        self.fit = self.map.T @ cross / rows
        self.blur = float(np.finfo(np.float32).eps * blurred)
        self.blind = float(1 - np.sum(self.fit**2) / power) if power else 1.0
        self.means: Array = self.sums @ self.map / rows
        self.free = rows - d - standard
        self.cut = Cut(seen - d, *self._explained(cross, power))
        self.mark /= np.sqrt(np.mean(self.mark**2))
        self.chunks, self.bounded = chunks, labels.classes is not None

    def _products(self, labels: Labels, chunks: list[slice]) -> tuple[Array, Array, Array, float]:
        """Read the rows: second moment, products with the labels, units, the labels' mean square.

        Columns are multiplied by their units, which are 0 where a constant is left out. The moment
        is in these, the products in the columns' own.
        """
        rows, width = self.shape
        moment, cross = np.zeros((width, width)), np.zeros((width, labels.columns))
        self.sums, self.origin, power = np.zeros(width), np.zeros(width), 0.0
        self.mark = np.empty(rows)  # equal for equal rows, and by chance for no others
        marking = np.random.default_rng(0).standard_normal(width)
        low, high = np.full(width, np.inf), np.full(width, -np.inf)
        for chunk in chunks:
            X, y = self[chunk], labels.rows(chunk)
            low, high = np.minimum(low, X.min(axis=0)), np.maximum(high, X.max(axis=0))
            if chunk.start == 0:
                first, spread = X.mean(axis=0), X.std(axis=0)
                marking /= np.where(spread > 0, spread, 1)
                if self.standard:  # a large mean would cost the digits of what varies
                    self.origin = first
            self.mark[chunk] = X @ marking - first @ marking
            if self.standard:
                X = X - self.origin
            moment += X.T @ X / rows
            cross += X.T @ y
            self.sums += X.sum(axis=0)
            power += np.sum(y**2) / rows
        constant = low == high
        if constant.all():
            raise ValueError(f"All columns of {self.name} are constant: there is nothing to learn.")
        if not self.standard:
            share = moment.diagonal()[constant].sum() / np.trace(moment)
            self.constant = int(constant.sum()), float(share)
            return moment, cross, np.ones(width), power
        self.constant = int(constant.sum()), 0.0
        mean = self.sums / rows
        moment -= np.outer(mean, mean)
        self.origin = self.origin + mean
        self.sums = np.zeros(width)
        unit = np.where(constant, 0.0, 1 / np.sqrt(np.where(constant, 1, moment.diagonal())))
        return moment * unit * unit[:, None], cross, unit, power

    def _explained(self, cross: Array, power: float) -> tuple[float, float]:
        """What is cut off explains of what the rest leaves of a target: share and p-value.

        It takes the products of the features with the target and the mean square of that.
        """
        rows, count, free = self.shape[0], self.rest.shape[1], self.free
        left = power - np.sum((self.map.T @ cross / rows) ** 2)
        if count == 0 or left <= SPANNED * power:
            return 0.0, 1.0
        if free <= 2 * count:
            return np.nan, np.nan
        share = np.sum((self.rest.T @ cross / rows) ** 2) / left
        by_chance = stats.beta(count / 2, (free - count) / 2)
        return float(share - count / free), float(by_chance.sf(min(share, 1)))

    def hear(self, X: Block, answers: Array) -> None:
        """Take note of what a teacher says of these rows, if directions are cut off."""
        if self.cut.count:
            self.taught += (X - self.origin if self.standard else X).T @ answers
            self.told += float(np.sum(answers**2)) / self.shape[0]

    def kept(self, name: str, find: Callable[[], tuple[Array, Array]]) -> tuple[Array, Array]:
        """What was found under this name; else find it.

        If `shared` it is kept for further pairs, as far as memory allows.
        """
        if name in self._kept:
            return self._kept[name]
        found = find()
        held = sum(array.nbytes for pair in (found, *self._kept.values()) for array in pair)
        if self.shared and held <= HELD:
            self._kept[name] = found
        return found

    def in_single(self) -> bool:
        """Whether what was read has no more digits than single precision, which are enough.

        Then the directions are put into it, too.
        """
        lengths = np.linalg.norm(self.map, axis=0)
        in_range = lengths.min() > 1e-30 and lengths.max() < 1e30
        enough = self.blur <= SINGLE and self.blind >= NOT_EXPLAINED
        if not (self.narrow and in_range and enough):
            return False
        self.single = self.origin.astype(np.float32), self.map.astype(np.float32)
        return True

    def take_notes(self, kind: type[np.floating]) -> None:
        """Make room for the rows' sizes and residuals, in the precision that they come in."""
        self.leverage, self.residual = np.empty((2, len(self.cuts), self.shape[0]), kind)

    def along(self, X: Block) -> Block:
        """Put what was read into coordinates along the directions, in its own precision."""
        single = X.dtype == np.float32
        origin, into = self.single if single else (self.origin, self.map)
        centred = np.ascontiguousarray(X - origin if self.standard else X)
        # By the BLAS that sums products of blocks: NumPy has another one, and the threads of two
        # that take turns wait for each other.
        product = blas.sgemm if single else blas.dgemm
        return np.asarray(product(1.0, into.T, centred.T).T)

    def whiten(self, X: Block, y: Block, rows: NDArray[np.intp]) -> Block:
        """`along`, with a note of the rows' sizes and residuals."""
        Z = self.along(X)
        for i, d in enumerate(self.cuts):
            along = Z[:, :d]
            self.leverage[i, rows] = np.einsum("ij,ij->i", along, along)
            fit = self.fit[:d].astype(Z.dtype)
            self.residual[i, rows] = np.sum((y - along @ fit) ** 2, axis=1)
        return Z

    def summaries(self, moment: Array, cross: Array, label_mean: Array) -> tuple[FeatureSet, ...]:
        """Find what is known of the leading directions, and of all that are used.

        It takes the second moments of the whitened rows, and with the labels.
        """
        found = [
            self._summary(i, moment[:d, :d], cross[:d], label_mean) for i, d in enumerate(self.cuts)
        ]
        return found[0], found[-1]

    def _summary(self, i: int, moment: Array, cross: Array, label_mean: Array) -> FeatureSet:
        leverage, residual = self.leverage[i].astype(float), self.residual[i].astype(float)
        d = len(moment)
        mean, total = leverage.mean(), residual.sum()
        intercept = 0.0
        if not self.standard:
            means = self.means[:d]
            fit = np.linalg.solve(moment, np.column_stack([cross, means]))
            # What is left of a constant, as its mean and its power, and the mean of what is of
            # labels.
            constant = 1 - means @ fit[:, -1]
            missed = np.sum((label_mean - means @ fit[:, :-1]) ** 2)
            if constant > SPANNED and total > 0:
                intercept = float(missed / (constant * residual.mean()))
        cut = self.cut
        if self.told:
            taught, p_value = self._explained(self.taught, self.told)
            cut = replace(cut, taught=taught, taught_p_value=p_value)
        return FeatureSet(
            self.name,
            self.spectrum,
            d,
            radii_of(leverage, residual),
            leverage=float(leverage.var() / mean - 2),
            inflation=float(leverage @ residual / (mean * total)) if total > 0 else np.nan,
            kurtosis=float(np.mean(residual**2) / residual.mean() ** 2) if total > 0 else np.nan,
            bounded=self.bounded,
            constant=self.constant,
            intercept=intercept,
            cut=cut,
        )


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
