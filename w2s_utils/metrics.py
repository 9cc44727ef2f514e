"""Risks of the four models, PGR and OPR, and the uncertainty of a ratio of means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from w2s_utils._validate import Array, real_array, same_rows
from w2s_utils.thresholds import COVERAGE

MODELS = ("weak", "student", "baseline", "ceiling")


@dataclass(frozen=True)
class Risks:
    """Risks of the four models, as arrays that broadcast against one another.

    ``risks["weak"]`` is a model's array, also by a name in a variable, ``risks["pgr"]`` a ratio;
    any other index picks grid points or trials of all four. Iteration is in the order of `MODELS`.

    Attributes
    ----------
    weak : ndarray
        The weak teacher: weak features, n labels.
    student : ndarray
        The weak-to-strong student: strong features, the teacher's N pseudo-labels.
    baseline : ndarray
        The strong baseline: strong features, the same n labels.
    ceiling : ndarray
        The strong ceiling: strong features, all n + N labels.
    """

    weak: Array
    student: Array
    baseline: Array
    ceiling: Array

    @classmethod
    def of(cls, *risks: ArrayLike) -> Risks:
        """Copy four risks to arrays of one shape."""
        return cls(*(np.array(values) for values in np.broadcast_arrays(*risks)))

    @classmethod
    def stack(cls, many: Iterable[Risks]) -> Risks:
        """Put risks of one shape along a new first axis."""
        return cls(*(np.stack(values) for values in zip(*many, strict=True)))

    def __iter__(self) -> Iterator[Array]:
        """Iterate over the arrays of the four models."""
        return iter((self.weak, self.student, self.baseline, self.ceiling))

    @overload
    def __getitem__(self, index: str) -> Array: ...
    @overload
    def __getitem__(self, index: Any) -> Risks: ...
    def __getitem__(self, index: Any) -> Array | Risks:
        """Risk of a model or ratio by its name, or part of all four risks."""
        if not isinstance(index, str):
            return self.map(lambda values: values[index])
        if index not in (*MODELS, "pgr", "opr"):
            raise KeyError(f"{index!r} is none of {', '.join(MODELS)}, pgr and opr.")
        values: Array = getattr(self, index)
        return values

    def map(self, f: Callable[..., Any], *others: Iterable[Any]) -> Risks:
        """Apply a function to each model's risk, with those of `others` as further arguments."""
        return Risks(*map(f, self, *others))

    @property
    def pgr(self) -> Array:
        """Performance gap recovered, (weak - student) / (weak - ceiling).

        NaN where the teacher is no worse than the ceiling: there is no gap to recover.
        """
        gap = np.asarray(self.weak - self.ceiling, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(gap > 0, (self.weak - self.student) / gap, np.nan)

    @property
    def opr(self) -> Array:
        """Outperforming ratio, baseline / student: above 1 the student beats the baseline.

        NaN where the student's risk is zero.
        """
        student = np.asarray(self.student, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(student > 0, self.baseline / student, np.nan)


@dataclass(frozen=True)
class Estimate:
    """A Monte Carlo estimate.

    Differences and ratios are those of independent estimates: of samples that are paired, take the
    `mean` of the differences or `ratio_of_means` instead. A plain number has no error.

    Attributes
    ----------
    value : float
    standard_error : float
    degrees : float
        Degrees of freedom of the standard error: Student's t has them. Of a difference or ratio
        the smaller of the two.
    """

    value: float
    standard_error: float
    degrees: float = np.inf

    def __sub__(self, other: Estimate | float) -> Estimate:
        """Difference to an independent estimate."""
        other = _estimate(other)
        error = np.hypot(self.standard_error, other.standard_error)
        return Estimate(self.value - other.value, float(error), min(self.degrees, other.degrees))

    def __truediv__(self, other: Estimate | float) -> Estimate:
        """Ratio to an independent estimate, its error to first order."""
        other = _estimate(other)
        ratio = self.value / other.value
        error = np.hypot(self.standard_error, ratio * other.standard_error)
        degrees = min(self.degrees, other.degrees)
        return Estimate(ratio, float(error) / abs(other.value), degrees)

    def z_score(self, expected: float) -> float:
        """Return the deviation from `expected` in standard errors."""
        return (self.value - expected) / self.standard_error

    def __str__(self) -> str:
        """Value and standard error, rounded to the error's two leading digits."""
        if not (np.isfinite(self.standard_error) and self.standard_error > 0):
            return f"{self.value:.4g}"
        nbsp = "\N{NO-BREAK SPACE}"  # a table column must not break there
        if not 1e-9 < self.standard_error < 1e9:
            return f"{self.value:.4g}{nbsp}±{nbsp}{self.standard_error:.2g}"
        digits = max(0, 1 - int(np.floor(np.log10(self.standard_error))))
        return f"{self.value:.{digits}f}{nbsp}±{nbsp}{self.standard_error:.{digits}f}"


@dataclass(frozen=True)
class Interval:
    """A number with limits that hold the truth with a stated probability.

    Attributes
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float


def mean(samples: ArrayLike) -> Estimate:
    """Mean of independent samples with its standard error.

    Parameters
    ----------
    samples : (trials,) array_like
        At least two.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If there are fewer than two finite samples.
    """
    values = _samples(samples, "samples")
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(float(values.mean()), error, len(values) - 1)


def ratio_of_means(numerator: ArrayLike, denominator: ArrayLike) -> Estimate:
    r"""Ratio of two paired means with its delta-method standard error.

    The mean of per-trial ratios is dominated by trials with a small denominator; the ratio of the
    means is not. With :math:`r = \bar a / \bar b` the error is that of the mean of
    :math:`(a_t - r b_t)/\bar b`.

    Parameters
    ----------
    numerator, denominator : (trials,) array_like
        Paired samples, for example ``weak - student`` and ``weak - ceiling`` for PGR.

    Returns
    -------
    Estimate
        Both fields are NaN if the denominator's mean is not above zero by two standard errors:
        the ratio is then undefined, not large.

    Raises
    ------
    ValueError
        If the samples are fewer than two, not finite, or differ in number.
    """
    a, b = _samples(numerator, "numerator"), _samples(denominator, "denominator")
    same_rows(numerator=a, denominator=b)
    base = mean(b)
    if base.value <= 2 * base.standard_error:
        return Estimate(np.nan, np.nan)
    ratio = float(a.mean()) / base.value
    return Estimate(ratio, mean((a - ratio * b) / base.value).standard_error, base.degrees)


def pgr(risks: Risks) -> Estimate:
    """Performance gap recovered over paired trials, as a ratio of means.

    Parameters
    ----------
    risks : Risks of (trials,) arrays

    Returns
    -------
    Estimate
        NaN if the teacher is not clearly worse than the ceiling (see `ratio_of_means`).
    """
    return ratio_of_means(risks.weak - risks.student, risks.weak - risks.ceiling)


def opr(risks: Risks) -> Estimate:
    """Outperforming ratio over paired trials, as a ratio of means.

    Parameters
    ----------
    risks : Risks of (trials,) arrays

    Returns
    -------
    Estimate
    """
    return ratio_of_means(risks.baseline, risks.student)


def change(statistic: Callable[[Risks], Estimate], before: Risks, after: Risks) -> Estimate:
    """Change of PGR or OPR between two settings whose trials are paired, by the `jackknife`.

    Trials that share their split, or more of their data, move together; the standard error is
    that of the difference.

    Parameters
    ----------
    statistic : callable
        `pgr` or `opr`.
    before, after : Risks of (trials,) arrays
        Trial t of one is paired with trial t of the other; at least three trials.

    Returns
    -------
    Estimate
        ``statistic(after) - statistic(before)``; NaN if one of them is.

    Raises
    ------
    ValueError
        If the numbers of trials differ or are less than three.
    """
    same_rows(before=before.weak, after=after.weak)

    def difference(earlier: Risks, later: Risks) -> float:
        return statistic(later).value - statistic(earlier).value

    return jackknife(difference, before, after)


def jackknife(statistic: Callable[..., float], *risks: Risks) -> Estimate:
    """Number made of the risks of paired trials, with its jackknife standard error.

    Parameters
    ----------
    statistic : callable
        A smooth function of means over trials; takes the risks, of all or of fewer trials.
    *risks : Risks of (trials, ...) arrays
        Trial t of one is paired with trial t of the others; at least three trials.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If the numbers of trials differ or are less than three.

    Examples
    --------
    >>> def gain(risks):
    ...     return float(np.mean(risks.weak - risks.student))
    >>> found = jackknife(gain, Risks.of([5.0, 6.0, 7.0], [3.0, 3.0, 3.0], 1, 1))
    >>> round(found.value, 2), round(found.standard_error, 2)
    (3.0, 0.58)
    """
    trials = same_rows(**{f"risks {i}": one.weak for i, one in enumerate(risks)})
    if trials < 3:
        raise ValueError(f"A jackknife needs at least 3 trials, got {trials}.")

    def without(left_out: list[int]) -> float:
        kept = np.delete(np.arange(trials), left_out)
        return statistic(*(one[kept] for one in risks))

    each = np.array([without([t]) for t in range(trials)])
    error = float(np.sqrt((trials - 1) / trials * np.sum((each - each.mean()) ** 2)))
    return Estimate(without([]), error, trials - 1)


def rank_correlation(x: ArrayLike, y: ArrayLike) -> Interval:
    r"""Spearman's rank correlation with a 99 % interval.

    Parameters
    ----------
    x, y : (cases,) array_like
        At least four cases.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If there are fewer than four cases, or shapes do not fit.

    Notes
    -----
    Fisher's :math:`\operatorname{artanh} r`, of variance :math:`(1+r^2/2)/(m-3)` with m cases [1]_;
    where all ranks agree r counts as half an exchange of neighbours below 1.

    References
    ----------
    .. [1] D. Bonett, T. Wright, "Sample size requirements for estimating Pearson, Kendall and
       Spearman correlations", Psychometrika 65 (2000).
    """
    x, y = real_array(x, "x", 1), real_array(y, "y", 1)
    cases = same_rows(x=x, y=y)
    if cases < 4:
        raise ValueError(f"At least 4 cases are needed, got {cases}.")
    r = float(stats.spearmanr(x, y).statistic)
    half = stats.norm.isf((1 - COVERAGE) / 2) * np.sqrt((1 + r**2 / 2) / (cases - 3))
    most = 1 - 6 / (cases * (cases**2 - 1))  # half a step below 1, the step of one exchange
    middle = np.arctanh(np.clip(r, -most, most))
    return Interval(r, float(np.tanh(middle - half)), float(np.tanh(middle + half)))


def power_law(x: ArrayLike, samples: ArrayLike) -> Estimate:
    r"""Exponent a of the law :math:`\mathbb E[\mathrm{sample}] \propto x^a`.

    The slope of the weighted least squares line through the log means against log x, each
    weighted by its standard error.

    Parameters
    ----------
    x : (points,) array_like
        Positive, at least two different values.
    samples : (points, trials) array_like
        Independent samples at each x, with positive means and at least two trials.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If shapes do not fit, or there are too few points or trials.
    """
    x, rows = real_array(x, "x", 1), real_array(samples, "samples", 2)
    same_rows(x=x, samples=rows)
    if len(np.unique(x)) < 2 or x.min() <= 0:
        raise ValueError(f"x must hold at least two different positive values, got {x}.")
    means = [mean(row) for row in rows]
    value = np.array([m.value for m in means])
    weight = (value / [m.standard_error for m in means]) ** 2
    centred = np.log(x) - np.average(np.log(x), weights=weight)
    information = np.sum(weight * centred**2)
    return Estimate(
        float(np.sum(weight * centred * np.log(value)) / information),
        float(1 / np.sqrt(information)),
    )


def _estimate(number: Estimate | float) -> Estimate:
    return number if isinstance(number, Estimate) else Estimate(float(number), 0.0)


def _samples(values: ArrayLike, name: str) -> Array:
    array = real_array(values, name, 1)
    if len(array) < 2:
        raise ValueError(
            f"{name} must hold at least 2 trials for a standard error, got {len(array)}."
        )
    return array
