"""Errors of the models with a jackknife over rows, and bands of whatever follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from w2s_utils._validate import Array
from w2s_utils.diagnosis.blocks import Block
from w2s_utils.diagnosis.chosen import choose_ridges
from w2s_utils.diagnosis.moments import FeatureSets, Moments
from w2s_utils.diagnosis.rows import FeatureSet
from w2s_utils.diagnosis.sample import MEASURED, Grid, Sample, Signal
from w2s_utils.measure.correlation import held_out
from w2s_utils.metrics import MODELS, Estimate
from w2s_utils.theory.exact import StudentTerms
from w2s_utils.theory.ridge import Ridges

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
    one more axis in front, one entry a block. Errors of estimation are multiplied by `widened`.
    """

    whole: Numbers
    left_out: Numbers
    widened: float = 1.0

    def at(self, columns: NDArray[np.int64]) -> Prediction:
        """Restrict the errors to some of the N."""
        whole, left_out = (
            {**numbers, **{model: numbers[model][..., columns] for model in MODELS}}
            for numbers in (self.whole, self.left_out)
        )
        return Prediction(whole, left_out, self.widened)

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
        return np.asarray(self.widened * np.sqrt((len(left) - 1) * spread))

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

    def over(
        self, other: Prediction, number: Callable[[Numbers], Array]
    ) -> tuple[float, float, bool]:
        """Difference of a scalar to that of another prediction, which shares its blocks of rows.

        With the probability that it is above zero, and whether its band leaves zero out.
        """
        whole, left_out = (
            {"noise": mine["noise"], "gap": number(mine) - number(others)}
            for mine, others in ((self.whole, other.whole), (self.left_out, other.left_out))
        )
        gap = Prediction(whole, left_out, self.widened)
        return float(whole["gap"]), *gap.sign(lambda numbers: numbers["gap"])

    def band(self, number: Callable[[Numbers], Array], least: float = -np.inf) -> Band:
        """Function of the numbers with its band, which is cut at the least possible value."""
        value = number(self.whole)
        quantile = stats.t.ppf((1 + COVERAGE) / 2, len(self.left_out["noise"]) - 1)
        half = quantile * self.standard_error(number)
        low = np.where(np.isnan(value), np.nan, np.maximum(value - half, least))
        return Band(value, low, value + half)


class Case(NamedTuple):
    """Models to predict: on which directions, and at which sizes and ridges.

    `searched` is the grid with more N. `test`, if given, is called for each block with the sample
    of all other rows and the ridges on the grid.
    """

    sets: FeatureSets
    grid: Grid
    searched: Grid
    test: Callable[[int, Sample, list[Ridges]], Any] | None = None

    @property
    def at(self) -> NDArray[np.int64]:
        """Which N of the grid with more are in the grid."""
        return np.searchsorted(self.searched.N, self.grid.N)

    def here(self, ridges: Sequence[Ridges]) -> list[Ridges]:
        """Restrict ridges that were searched to the grid."""
        shape, at = (len(self.grid.n), len(self.searched.N)), self.at
        return [Ridges(*(np.broadcast_to(r, shape)[:, at] for r in one)) for one in ridges]


class Found(NamedTuple):
    """What was found of a case.

    The prediction is for the N that were searched, all else for the grid. `ridges` are those of
    each label column; `tested` holds what the case's test returned for each block; the rest is what
    all rows say (`Sample`).
    """

    case: Case
    prediction: Prediction
    ridges: list[Ridges]
    tested: list[Any]
    exact: NDArray[np.bool_]
    canonical_correlations: Array
    terms: StudentTerms
    teacher_variance: Array
    signal: Signal


def predict(moments: Moments, cases: Sequence[Case], noise_variance: float | None) -> list[Found]:
    """Predict the errors at the grids' points, from all rows and without each block.

    `theory.exact` with the geometry corrected for optimism where it applies, plus what unequal
    sizes of the inputs change by `theory.ridge`. Elsewhere `theory.ridge` with the measured
    spectra, directions and sizes, whose bias of order 1/M is removed by the jackknife. Ridges are
    those of all rows.
    """
    halves, sizes, rows = moments.grams.halves, moments.sizes, moments.rows
    noise, noise_left = _noise(moments, noise_variance)
    sets = [case.sets for case in cases]
    chosen = [choose_ridges(moments, case.sets, case.searched) for case in cases]

    def of_half(of: FeatureSets, k: int) -> tuple[Array, Array]:
        """Its regressions, with no more digits than the products of the blocks have."""
        one, two = Sample.half(moments, of, k).regressions()
        return one.astype(moments.grams.kind), two.astype(moments.grams.kind)

    fits = [[of_half(of, k) for k in (0, 1)] for of in sets]

    def without(b: int, gram: Block) -> list[tuple[dict[str, Array], Any]]:
        """Numbers of each case without a block, and what its test says."""
        in_half, size = int(sizes[b % 2 :: 2].sum() - sizes[b]), int(sizes[b])
        part = f"half without {b}"
        overlaps = [
            {"held_out": np.asarray(held_out(others.regressions(), of_halves[1 - b % 2]))}
            for others, of_halves in zip(
                Sample.of(moments, sets, halves[b % 2] - gram, in_half, part), fits, strict=True
            )
        ]
        left = halves[0] + halves[1]
        left -= gram
        rest = Sample.of(moments, sets, left, rows - size, f"all without {b}")
        del left  # it is large
        left_out = []
        for others, case, overlap, ridges in zip(rest, cases, overlaps, chosen, strict=True):
            test = None if case.test is None else case.test(b, others, case.here(ridges))
            left_out.append((others.numbers(case.searched, ridges) | overlap, test))
        return left_out

    blocks = moments.grams.map(without)
    found: list[Found] = []
    of_cases = zip(cases, chosen, fits, zip(*blocks, strict=True), strict=True)
    for case, ridges, of_halves, without_each in of_cases:
        whole = Sample.whole(moments, case.sets)
        rest, tested = ([*each] for each in zip(*without_each, strict=True))
        overlap = {"held_out": np.asarray(held_out(*of_halves))}
        numbers = whole.numbers(case.searched, ridges) | overlap
        left = {name: np.array([one[name] for one in rest]) for name in numbers}
        points = whole.exact(case.searched)
        shift = whole.risks_by_sizes(case.searched, ridges) if points.any() else None
        grouped = moments.partition.grouped  # then no formula says what chance explains

        def bias(name: str, numbers: Numbers = numbers, left: Numbers = left) -> Array:
            return np.asarray((len(sizes) - 1) * (left[name].mean(axis=0) - numbers[name]))

        for model in MODELS:
            change = np.float64(0) if shift is None else shift[model]
            known = points & (not grouped)
            numbers[model] = numbers[model] + change - np.where(known, 0.0, bias(model))
            left[model] = left[model] + change
        for name in (*MEASURED, "estimate") if grouped else ():
            numbers[name] = np.maximum(numbers[name] - bias(name), 0.0)
        numbers["noise"], left["noise"] = noise, noise_left
        prediction, here = Prediction(numbers, left, widened(case.sets)), case.here(ridges)
        found.append(
            Found(
                case,
                prediction,
                here,
                tested,
                whole.exact(case.grid),
                whole.canonical_correlations,
                whole.terms(case.grid, here),
                whole.teacher_variance(case.grid, here),
                whole.signal,
            )
        )
        del whole  # it is large
    return found


def widened(sets: Sequence[FeatureSet]) -> float:
    """Factor for errors of estimation where a few rows decide.

    A jackknife sees the tails that are in the rows, not those to come. So bands are widened by 7 %
    for each unit of kurtosis above a Gaussian's: by simulation they then hold t with 4 degrees and
    log-normal labels as often as Gaussian ones. Bounded labels, which classes are, have no tails.
    """
    if sets[0].bounded:
        return 1.0
    kurtosis = max(features.kurtosis for features in sets)
    return 1 + 0.07 * float(np.clip(np.nan_to_num(kurtosis, nan=3) - 3, 0, 15))


def _noise(moments: Moments, given: float | None) -> tuple[Array, Array]:
    """Label noise of all rows and without each block: given, or of the replicates; else NaN."""
    if given is not None:
        return np.asarray(given), np.full(len(moments.sizes), given)
    squares, degrees = moments.noise_squares, moments.noise_degrees
    with np.errstate(invalid="ignore"):
        left_out = (squares.sum() - squares) / (degrees.sum() - degrees)
        return np.asarray(squares.sum() / degrees.sum()), left_out


def chance_correlation(d_w: int, d_s: int, rows: int) -> float:
    r"""Largest canonical correlation that M rows of unrelated Gaussian features show.

    The upper edge of Wachter's law, :math:`r^2 = (\sqrt{a(1-b)}+\sqrt{b(1-a)})^2` with
    :math:`a=d_w/M` and :math:`b=d_s/M`.
    """
    a, b = d_w / rows, d_s / rows
    return 1.0 if a + b >= 1 else float(np.sqrt(a * (1 - b)) + np.sqrt(b * (1 - a)))
