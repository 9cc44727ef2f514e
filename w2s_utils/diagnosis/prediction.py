"""From second moments to the geometry and the errors of the models, with a jackknife over rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from w2s_utils._validate import Array
from w2s_utils.diagnosis.blocks import unpack
from w2s_utils.diagnosis.moments import Moments
from w2s_utils.directions import EQUAL, Directions, Features, Radii
from w2s_utils.measure.correlation import corrected, held_out, regressions
from w2s_utils.metrics import MODELS, Estimate
from w2s_utils.pair import Geometry
from w2s_utils.theory import exact, ridge
from w2s_utils.theory.exact import StudentTerms

COVERAGE = 0.9
GRADED = 1e4  # eigenvalues lose all digits where directions differ more in length, squared
SEARCHED = 70  # N, when the theory of ridge is searched for a crossing

Numbers = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Band:
    """An estimate with a 90 % band that carries its estimation error.

    Attributes
    ----------
    value, low, high : ndarray
        Of one shape; NaN where there is no estimate.
    """

    value: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Grid:
    """Sample sizes that are predicted, and the ridge of all four models."""

    n: NDArray[np.int64]
    N: NDArray[np.int64]
    ridge: float

    def exact(self, d_w: int, d_s: int) -> NDArray[np.bool_]:
        """Points (n, N) to which `theory.exact` applies."""
        enough_n, enough_N = self.n > max(d_w, d_s) + 1, self.N > d_s + 1  # noqa: SIM300
        return (self.ridge == 0) & enough_n[:, None] & enough_N

    def finer(self, d_w: int, d_s: int) -> Grid:
        """Grid with more N, to search for the one at which the student overtakes a model."""
        least = d_s + 2 if self.exact(d_w, d_s).all() else max(d_s // 10, 2)
        more = np.geomspace(least, 1000 * d_s, SEARCHED).astype(np.int64)
        return replace(self, N=np.union1d(self.N, more))


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the moments say, and what they say without each block of rows.

    The keys of `whole` are d_sw, rho_w, rho_s, missed, leaked and noise, those of the fields of
    `CorrelationDimension` that rows vary, and for each model its test error (n, N). The labels act
    as the target: both rho and all errors contain the label noise. `left_out` holds the same with
    one more axis in front, one entry a block.
    """

    whole: Numbers
    left_out: Numbers

    def at(self, columns: NDArray[np.int64]) -> Prediction:
        """Restrict the errors to some of the N."""

        def kept(numbers: Numbers) -> Numbers:
            return {
                name: values[..., columns] if name in MODELS else values
                for name, values in numbers.items()
            }

        return Prediction(kept(self.whole), kept(self.left_out))

    def standard_error(self, number: Callable[[Numbers], Array]) -> Array:
        """Jackknife standard error of a function of the numbers."""
        left = number(self.left_out)
        spread = np.var(left - left[0], axis=0)  # exactly zero for a constant
        return np.asarray(np.sqrt((len(left) - 1) * spread))

    def estimate(self, number: Callable[[Numbers], Array]) -> Estimate:
        """Scalar function of the numbers with its standard error."""
        return Estimate(float(number(self.whole)), float(self.standard_error(number)))

    def sign(self, number: Callable[[Numbers], Array]) -> tuple[float, bool]:
        """Probability that a scalar is above zero, and whether its band leaves zero out."""
        found = self.estimate(number)
        law = stats.t(len(self.left_out["noise"]) - 1)
        below = float(law.cdf(-found.value / max(found.standard_error, np.finfo(float).tiny)))
        return 1 - below, min(below, 1 - below) < (1 - COVERAGE) / 2

    def band(self, number: Callable[[Numbers], Array], least: float = -np.inf) -> Band:
        """Function of the numbers with its band, which is cut at the least possible value."""
        value = number(self.whole)
        quantile = stats.t.ppf((1 + COVERAGE) / 2, len(self.left_out["noise"]) - 1)
        half = quantile * self.standard_error(number)
        low = np.where(np.isnan(value), np.nan, np.maximum(value - half, least))
        return Band(value, low, value + half)


def predict(moments: Moments, grid: Grid, noise_variance: float | None) -> Prediction:
    """Predict the errors at the grid's points, from all rows and without each block.

    `theory.exact` with the geometry corrected for optimism where it applies, plus what unequal
    sizes of the inputs change by `theory.ridge`. Elsewhere `theory.ridge` with the measured
    spectra, directions and sizes, whose bias of order 1/M is removed by the jackknife.
    """
    halves, blocks = moments.grams.halves, len(moments.sizes)

    def fitted(half: Array) -> tuple[Array, Array]:
        D = moments.d_w + moments.d_s
        return regressions(unpack(half)[:D, :D], moments.d_w)

    fits = [fitted(half) for half in halves]
    whole = _numbers(moments, moments.whole(), moments.rows, grid)
    whole["held_out"] = np.asarray(held_out(*fits))
    kept = []
    for b, (gram, size) in enumerate(zip(moments.grams, moments.sizes, strict=True)):
        overlap = held_out(fitted(halves[b % 2] - gram), fits[1 - b % 2])
        rows = moments.rows - int(size)
        moment = unpack((halves[0] + halves[1] - gram) / rows)
        kept.append(_numbers(moments, moment, rows, grid) | {"held_out": np.asarray(overlap)})
    left_out = {name: np.array([numbers[name] for numbers in kept]) for name in whole}
    points = grid.exact(moments.d_w, moments.d_s)
    shift = _change_by_sizes(ridge.expected_risks, MODELS, moments, moments.whole(), grid)
    for model in MODELS:
        bias = (blocks - 1) * (left_out[model].mean(axis=0) - whole[model])
        whole[model] = np.where(points, whole[model] + shift[model], whole[model] - bias)
        left_out[model] = np.where(points, left_out[model] + shift[model], left_out[model])

    if noise_variance is not None:
        whole["noise"] = np.asarray(noise_variance)
        left_out["noise"] = np.full(blocks, noise_variance)
    else:  # of the replicates; NaN without any
        squares, degrees = moments.noise_squares, moments.noise_degrees
        with np.errstate(invalid="ignore"):
            whole["noise"] = np.asarray(squares.sum() / degrees.sum())
            left_out["noise"] = (squares.sum() - squares) / (degrees.sum() - degrees)
    return Prediction(whole, left_out)


def canonical_correlations(moments: Moments) -> Array:
    """Sample canonical correlations of the retained features, in falling order."""
    cross = _whitened(moments.whole(), moments.d_w, moments.d_s)[0]
    return np.asarray(np.minimum(linalg.svdvals(cross), 1))


def chance_correlation(d_w: int, d_s: int, rows: int) -> float:
    r"""Largest canonical correlation that M rows of unrelated Gaussian features show.

    The upper edge of Wachter's law, :math:`r^2 = (\sqrt{a(1-b)}+\sqrt{b(1-a)})^2` with
    :math:`a=d_w/M` and :math:`b=d_s/M`.
    """
    a, b = d_w / rows, d_s / rows
    return 1.0 if a + b >= 1 else float(np.sqrt(a * (1 - b)) + np.sqrt(b * (1 - a)))


def student_terms(moments: Moments, grid: Grid) -> StudentTerms:
    """The student's error term by term at the grid's points; `unseen` contains the label noise.

    Plug-in values where `theory.exact` does not apply.
    """
    total = moments.whole()
    names = [field.name for field in fields(StudentTerms)]
    terms = {name: np.full((len(grid.n), len(grid.N)), np.nan) for name in names}
    points = grid.exact(moments.d_w, moments.d_s)
    if points.any():
        rows, columns = points.any(axis=1), points.any(axis=0)
        found = exact.student_terms(
            _geometry(moments, total).corrected(moments.rows), grid.n[rows, None], grid.N[columns]
        )
        shift = _change_by_sizes(ridge.student_terms, names, moments, total, grid)
        for name, values in terms.items():
            values[np.ix_(rows, columns)] = getattr(found, name)
            values += shift[name]
    if not points.all():
        found_in = _ridge(ridge.student_terms, names, moments, total, grid)
        for name, values in terms.items():
            values[~points] = found_in[name][~points]
    return StudentTerms(**terms)


def _numbers(moments: Moments, moment: Array, rows: int, grid: Grid) -> dict[str, Array]:
    sample = _geometry(moments, moment)
    found = sample.corrected(rows)
    numbers: dict[str, Array] = {
        name: np.asarray(getattr(found, name))
        for name in ("d_sw", "rho_w", "rho_s", "missed", "leaked")
    }
    numbers["plug_in"] = np.asarray(sample.d_sw)
    numbers["estimate"] = np.asarray(corrected(sample.d_sw, rows, sample.d_w, sample.d_s))
    shape = len(MODELS), len(grid.n), len(grid.N)
    errors = np.full(shape, np.nan)
    points = grid.exact(moments.d_w, moments.d_s)
    if points.any():
        i, j = points.any(axis=1), points.any(axis=0)
        risks = exact.expected_risks(found, grid.n[i, None], grid.N[j])
        for model, values in zip(MODELS, errors, strict=True):
            values[np.ix_(i, j)] = getattr(risks, model)
    if not points.all():
        found_in = _ridge(ridge.expected_risks, MODELS, moments, moment, grid)
        for model, values in zip(MODELS, errors, strict=True):
            values[~points] = found_in[model][~points]
    return numbers | dict(zip(MODELS, errors, strict=True))


def _ridge(
    theory: Callable[..., Any],
    names: Iterable[str],
    moments: Moments,
    moment: Array,
    grid: Grid,
    equal_sizes: bool = False,
) -> dict[str, Array]:
    """Apply a function of `theory.ridge` to the whole grid; sums over label columns."""
    radii = (EQUAL, EQUAL) if equal_sizes else (moments.sizes_w, moments.sizes_s)
    fit = grid.n[:, None], grid.N, grid.ridge, grid.ridge
    found = [theory(d, *fit, strict=False) for d in _directions(moments, moment, *radii)]
    return {name: np.sum([getattr(one, name) for one in found], axis=0) for name in names}


def _change_by_sizes(
    theory: Callable[..., Any],
    names: Sequence[str],
    moments: Moments,
    total: Array,
    grid: Grid,
) -> dict[str, Array]:
    """What the sizes of the inputs change against inputs of equal size."""
    unequal, equal = (
        _ridge(theory, names, moments, total, grid, equal_sizes) for equal_sizes in (False, True)
    )
    return {name: unequal[name] - equal[name] for name in names}


def _geometry(moments: Moments, moment: Array) -> Geometry:
    """Geometry of the sample with the labels as target; sums over label columns."""
    cross, weak, strong, power = _whitened(moment, moments.d_w, moments.d_s)
    seen, passed = np.sum(weak**2), cross.T @ weak
    return Geometry(
        d_w=moments.d_w,
        d_s=moments.d_s,
        d_sw=float(np.sum(cross**2)),
        rho_w=float(max(power.sum() - seen, 0)),
        rho_s=float(max(power.sum() - np.sum(strong**2), 0)),
        missed=float(np.sum((strong - passed) ** 2)),
        leaked=float(max(seen - np.sum(passed**2), 0)),
        noise_variance=0.0,
    )


def _whitened(moment: Array, d_w: int, d_s: int) -> tuple[Array, Array, Array, Array]:
    """Inner products (d_w, d_s) of orthonormal bases, the labels along them, and their power."""
    w, s, y = slice(d_w), slice(d_w, d_w + d_s), slice(d_w + d_s, None)
    weak, strong = (np.linalg.cholesky(moment[part, part]) for part in (w, s))
    on_weak = linalg.solve_triangular(weak, np.hstack([moment[w, s], moment[w, y]]), lower=True)
    on_strong = linalg.solve_triangular(
        strong, np.hstack([on_weak[:, :d_s].T, moment[s, y]]), lower=True
    )
    cross: Array = on_strong[:, :d_w].T
    return cross, on_weak[:, d_s:], on_strong[:, d_w:], moment.diagonal()[y]


def _directions(
    moments: Moments, moment: Array, radii_w: Radii, radii_s: Radii
) -> list[Directions]:
    """The pair along its principal directions, one for each label column."""
    d_w, d_s = moments.d_w, moments.d_s
    w, s, y = slice(d_w), slice(d_w, d_w + d_s), slice(d_w + d_s, None)
    spectra, maps = [], []
    for part, variances in ((w, moments.spectrum_w[:d_w]), (s, moments.spectrum_s[:d_s])):
        scale = np.sqrt(variances)
        if scale.max() < GRADED * scale.min():
            values, directions = np.linalg.eigh(moment[part, part] * scale * scale[:, None])
            spectra.append(values)
            maps.append(scale[:, None] * directions / np.sqrt(values))
        else:  # slower, and right for features of any units
            root = np.linalg.cholesky(moment[part, part], upper=True)
            left, singular, _ = np.linalg.svd(root * scale)
            spectra.append(singular[::-1] ** 2)
            maps.append(linalg.solve_triangular(root, left[:, ::-1]))
    cross = maps[1].T @ moment[s, w] @ maps[0]
    weak, strong = maps[0].T @ moment[w, y], maps[1].T @ moment[s, y]
    power = moment.diagonal()[y]
    return [
        Directions(
            cross,
            Features(b_w, max(p - b_w @ b_w, 0.0), spectra[0], radii_w),
            Features(b_s, max(p - b_s @ b_s, 0.0), spectra[1], radii_s),
            0.0,
        )
        for b_w, b_s, p in zip(weak.T, strong.T, power, strict=True)
    ]
