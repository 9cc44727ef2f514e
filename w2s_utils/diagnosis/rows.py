"""A feature set in rows: read once for its principal directions, once more along them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from w2s_utils._threads import in_threads, pieces
from w2s_utils._validate import Array, numpy_array, real_array
from w2s_utils.diagnosis.blocks import HELD, Block
from w2s_utils.diagnosis.labels import Labels
from w2s_utils.diagnosis.mapped import Window, is_mapped, let_go
from w2s_utils.diagnosis.notes import Notes, radii_of
from w2s_utils.diagnosis.spread import HERE, Spread, span
from w2s_utils.directions import Radii
from w2s_utils.measure.spectrum import energy_dimension, moment_directions

SPANNED = 1e-9  # share of what features span that they leave by rounding alone
ENERGY = 0.99  # share that the leading directions carry, the paper's
LEAST_ROWS = 3  # a direction
SINGLE = 1e-4  # error of a whitened coordinate, which varies by 1, that single precision may make
NOT_EXPLAINED = 0.01  # share of the labels, which it must not blur
FIRST = 1000  # rows that tell where the columns are, and how large


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


class _Sums(NamedTuple):
    """Of some rows: what the first reading adds up, a value a row, and which columns vary not."""

    rows: slice
    moment: Array
    cross: Array
    power: float
    mark: Array
    constant: NDArray[np.bool_]


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

        def checked(piece: slice) -> Block:
            here = f"{self.name}[{rows.start + piece.start}:{rows.start + piece.stop}]"
            return real_array(given[piece], here, 2, dtype=kind)

        parts = pieces(*given.shape)
        if len(parts) == 1:
            X = checked(parts[0])
        else:
            X = np.empty(given.shape, kind)
            in_threads(lambda piece: np.copyto(X[piece], checked(piece)), parts)
        let_go(self.features)
        return X

    def find_directions(
        self,
        labels: Labels,
        chunks: list[slice],
        energy: float,
        standard: bool,
        spread: Spread = HERE,
    ) -> None:
        """Find the directions that carry this share of the energy.

        `standard`: of the columns at mean 0 and variance 1, else of the columns as they are given.
        """
        if chunks == self.chunks:  # others would change the last digits of the sums
            return
        rows, width = self.shape
        self.standard = standard
        self._kept.clear()
        moment, cross, unit, power = self._products(labels, chunks, spread)
        variances, directions = moment_directions(moment, 1)
        self.spectrum = variances[: np.count_nonzero(unit)]
        seen, most = directions.shape[1], rows // LEAST_ROWS if standard else width
        d = min(seen if energy == 1 else energy_dimension(variances, energy), most)
        leading = min(energy_dimension(variances, min(energy, ENERGY)), d)
        self.cuts = sorted({leading, d})
        directions /= np.sqrt(variances[:seen])
        blurred = np.sqrt((moment.diagonal() @ directions[:, :d] ** 2).max())
        directions *= unit[:, None]
        self.map, self.rest = (
            np.ascontiguousarray(part) for part in (directions[:, :d], directions[:, d:])
        )
        self.fit = self.map.T @ cross / rows
        self.blur = float(np.finfo(np.float32).eps * blurred)
        self.blind = float(1 - np.sum(self.fit**2) / power) if power else 1.0
        self.means: Array = self.sums @ self.map / rows
        self.free = rows - d - standard
        self.cut = Cut(seen - d, *self._explained(cross, power))
        self.mark /= np.sqrt(np.mean(self.mark**2))
        self.chunks, self.bounded = chunks, labels.classes is not None

    def _products(
        self, labels: Labels, chunks: list[slice], spread: Spread
    ) -> tuple[Array, Array, Array, float]:
        """Read the rows: second moment, products with the labels, units, the labels' mean square.

        Columns are multiplied by their units, which are 0 where a constant is left out. The moment
        is in these, the products in the columns' own.
        """
        rows, width = self.shape
        X = self[slice(0, min(rows, FIRST))]
        mean, deviation = X.mean(axis=0), X.std(axis=0)
        # A large mean would cost the digits of what varies.
        self.origin = mean if self.standard else np.zeros(width)
        marking = np.random.default_rng(0).standard_normal(width)
        marking /= np.where(deviation > 0, deviation, 1)
        self.mark = np.empty(rows)  # equal for equal rows, and by chance for no others
        sums = partial(_first_sums, labels, X[0], marking)
        moment, cross = np.zeros((width, width)), np.zeros((width, labels.columns + 1))
        power, constant = 0.0, np.ones(width, bool)
        for part in spread.over(chunks, (self,), sums):
            moment += part.moment
            cross += part.cross
            power += part.power / rows
            constant &= part.constant
            self.mark[part.rows] = part.mark
        self.mark -= mean @ marking
        moment /= rows
        cross, self.sums = cross[:, :-1], cross[:, -1]
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
        """Whether what was read has no more digits than single precision, which are enough."""
        lengths = np.linalg.norm(self.map, axis=0)
        in_range = lengths.min() > 1e-30 and lengths.max() < 1e30
        enough = self.blur <= SINGLE and self.blind >= NOT_EXPLAINED
        return bool(self.narrow and in_range and enough)

    def within(self, rows: slice) -> Reader:
        """A copy for another process, with only these rows of what is not mapped from files."""
        other = copy(self)
        other._kept = {}
        if not is_mapped(self.features):
            other.features = Window(numpy_array(self.features[rows]), rows.start, self.shape)
        return other

    def centred(self, X: Block) -> Block:
        """What was read, about the means of columns that count at mean 0, in its own precision."""
        return X - self.origin.astype(X.dtype) if self.standard else X

    def along(self, X: Block) -> Block:
        """Put what was read into coordinates along the directions, in its own precision."""
        return self.centred(X) @ self.map.astype(X.dtype, copy=False)

    def whiten(
        self,
        X: Block,
        y: Block,
        rows: NDArray[np.intp],
        Z: Block,
        place: NDArray[np.intp],
        notes: Notes,
    ) -> None:
        """Write `along` into places of Z, and take notes of the rows."""
        into, fit = self.map.astype(X.dtype, copy=False), self.fit.astype(X.dtype, copy=False)
        noted = rows - notes.rows.start

        def piece(some: slice) -> None:
            coordinates = self.centred(X[some]) @ into
            Z[place[some]] = coordinates
            for i, d in enumerate(self.cuts):
                along = coordinates[:, :d]
                notes.leverage[i, noted[some]] = np.einsum("ij,ij->i", along, along)
                left = y[some] - along @ fit[:d]
                notes.residual[i, noted[some]] = np.sum(left**2, axis=1)

        in_threads(piece, pieces(*X.shape))

    def summaries(
        self, moment: Array, cross: Array, label_mean: Array, notes: Notes
    ) -> tuple[FeatureSet, ...]:
        """Find what is known of the leading directions, and of all that are used.

        It takes the second moments of the whitened rows, and with the labels.
        """
        found = [
            self._summary(i, moment[:d, :d], cross[:d], label_mean, notes)
            for i, d in enumerate(self.cuts)
        ]
        return found[0], found[-1]

    def _summary(
        self, i: int, moment: Array, cross: Array, label_mean: Array, notes: Notes
    ) -> FeatureSet:
        leverage, residual = notes.leverage[i].astype(float), notes.residual[i].astype(float)
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
        if notes.told[0]:
            taught, p_value = self._explained(notes.taught, float(notes.told[0]) / self.shape[0])
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


def _first_sums(
    labels: Labels,
    row: Array,
    marking: Array,
    readers: tuple[Reader],
    chunks: Sequence[slice],
) -> _Sums:
    """Sums over some rows; a column is constant if they all agree with the given one."""
    (reader,) = readers
    width = reader.shape[1]
    moment, cross = np.zeros((width, width)), np.zeros((width, labels.columns + 1))
    power, mark, equal = 0.0, [], np.arange(width)
    for rows in chunks:
        X, y = reader[rows], labels.rows(rows)
        equal = equal[(X[:, equal] == row[equal]).all(axis=0)]
        mark.append(X @ marking)
        centred = reader.centred(X)
        moment += centred.T @ centred
        cross += centred.T @ np.column_stack([y, np.ones(len(y))])
        power += float(np.sum(y**2))
    constant = np.isin(np.arange(width), equal)
    return _Sums(span(chunks), moment, cross, power, np.concatenate(mark), constant)
