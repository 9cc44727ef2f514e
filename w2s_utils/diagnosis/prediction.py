"""Errors of the models with a jackknife over rows, and bands of whatever follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from w2s_utils._validate import Array
from w2s_utils.diagnosis.blocks import unpack
from w2s_utils.diagnosis.moments import Moments
from w2s_utils.diagnosis.sample import Grid, Sample
from w2s_utils.measure.correlation import held_out, regressions
from w2s_utils.metrics import MODELS, Estimate
from w2s_utils.theory import exact, ridge
from w2s_utils.theory.exact import StudentTerms

COVERAGE = 0.9

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

    def __getitem__(self, index: Any) -> Band:
        """Band at some of the points."""
        return Band(self.value[index], self.low[index], self.high[index])


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
        whole, left_out = (
            {**numbers, **{model: numbers[model][..., columns] for model in MODELS}}
            for numbers in (self.whole, self.left_out)
        )
        return Prediction(whole, left_out)

    def first_N(self, N: NDArray[np.int64], opponent: str) -> Array:
        """For each n the N from which on the student's error is below an opponent's, rounded up.

        Margins are near linear in 1/N, and are interpolated so.
        """
        margin = self.whole[opponent] - self.whole["student"]
        first = np.full(len(margin), np.inf)
        for i, row in enumerate(margin):
            loses = np.flatnonzero(~(row > 0))
            if not len(loses):
                first[i] = N[0]
            elif loses[-1] + 1 < len(N):
                j = loses[-1]
                share = np.nan_to_num(row[j] / (row[j] - row[j + 1]), nan=1.0)
                first[i] = np.ceil(1 / ((1 - share) / N[j] + share / N[j + 1]))
        return first

    def standard_error(self, number: Callable[[Numbers], Array]) -> Array:
        """Jackknife standard error of a function of the numbers."""
        left = number(self.left_out)
        spread = np.var(left - left[0], axis=0)  # exactly zero for a constant
        return np.asarray(np.sqrt((len(left) - 1) * spread))

    def estimate(self, number: Callable[[Numbers], Array]) -> Estimate:
        """Scalar function of the numbers with its standard error."""
        error, blocks = float(self.standard_error(number)), len(self.left_out["noise"])
        return Estimate(float(number(self.whole)), error, blocks - 1)

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
        D = moments.weak.d + moments.strong.d
        return regressions(unpack(half)[:D, :D], moments.weak.d)

    fits, sample = [fitted(half) for half in halves], Sample.of(moments)
    whole = sample.numbers(grid) | {"held_out": np.asarray(held_out(*fits))}
    kept = []
    for b, (gram, size) in enumerate(zip(moments.grams, moments.sizes, strict=True)):
        overlap = held_out(fitted(halves[b % 2] - gram), fits[1 - b % 2])
        rows = moments.rows - int(size)
        others = Sample(moments, unpack((halves[0] + halves[1] - gram) / rows), rows)
        kept.append(others.numbers(grid) | {"held_out": np.asarray(overlap)})
    left_out = {name: np.array([numbers[name] for numbers in kept]) for name in whole}
    points, shift = sample.exact(grid), sample.change_by_sizes(ridge.expected_risks, grid)
    for model in MODELS:
        bias = (blocks - 1) * (left_out[model].mean(axis=0) - whole[model])
        whole[model] = whole[model] + np.where(points, shift[model], -bias)
        left_out[model] = left_out[model] + shift[model]
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
    return np.asarray(np.minimum(linalg.svdvals(Sample.of(moments).whitened[0]), 1))


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
    sample = Sample.of(moments)
    terms = sample.on_grid(exact.student_terms, ridge.student_terms, grid)
    shift = sample.change_by_sizes(ridge.student_terms, grid)
    return StudentTerms(**{name: terms[name] + shift[name] for name in terms})
