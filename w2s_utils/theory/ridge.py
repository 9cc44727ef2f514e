r"""Expected risks with ridge, slowly decaying spectra and fewer samples than features.

A fit to m Gaussian samples shrinks each feature direction as if the data were infinite and the
ridge were larger, with a variance on top: exact in the limit of many samples and features at fixed
ratios. The next order in one over the number of samples is included; without ridge and above the
interpolation threshold the results are those of `theory.exact`. Chapter 6 of the book derives both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils import _ridge_path
from w2s_utils._validate import Array, ridges, sample_size, variances
from w2s_utils.directions import Directions, Features
from w2s_utils.metrics import Risks
from w2s_utils.theory.effective import effective_ridge, effective_samples
from w2s_utils.theory.exact import StudentTerms


@dataclass(frozen=True)
class Shrinkage:
    """What ridge regression on m samples makes of each feature direction, on average.

    Attributes
    ----------
    kappa : ndarray
        Effective ridge, in squared units of the features.
    factors : (..., d) ndarray
        Share l / (l + kappa) of the target's coefficient that the fit keeps, one a direction.
    """

    kappa: Array
    factors: Array

    @property
    def df1(self) -> Array:
        """Soft dimension, the sum of the factors: degrees of freedom that the fit uses."""
        return np.asarray(self.factors.sum(axis=-1))

    @property
    def df2(self) -> Array:
        """Soft dimension, the sum of the squared factors: directions along which noise is kept."""
        return np.asarray(np.sum(self.factors**2, axis=-1))


def shrinkage(spectrum: ArrayLike, m: ArrayLike, alpha: ArrayLike) -> Shrinkage:
    r"""Average shrinkage of a ridge fit to m samples, with its soft dimensions.

    Parameters
    ----------
    spectrum, m, alpha
        As in `effective_ridge`.

    Returns
    -------
    Shrinkage

    Raises
    ------
    ValueError
        As in `effective_ridge`.

    Notes
    -----
    :math:`\mathrm{df}_1\le\min(m, d)` and :math:`\mathrm{df}_2\le\mathrm{df}_1`. Without ridge
    both are d when m >= d, and :math:`\mathrm{df}_1 = m` when m < d.
    """
    var = variances(spectrum, "spectrum")
    kappa = effective_ridge(var, m, alpha)
    return Shrinkage(kappa, var / np.add.outer(kappa, var))


def student_terms(
    directions: Directions,
    n: ArrayLike,
    N: ArrayLike,
    alpha_w: ArrayLike,
    alpha_s: ArrayLike,
    finite_size: bool = True,
    strict: bool = True,
) -> StudentTerms:
    r"""The W2S student's expected excess risk on fresh inputs, term by term.

    Parameters
    ----------
    directions : Directions
        As from `GaussianPair.along`.
    n, N : array_like of int
        Labelled and pseudo-labelled samples.
    alpha_w, alpha_s : array_like
        Ridge of the teacher and of the student on their mean squared losses (`probes.fit_ridge`),
        in squared units of the features. Broadcast with n and N.
    finite_size : bool
        Add the correction of relative order 1/(n - df2) of the fits (and 1/(N - df2)). What remains
        is of the order of its square: at n - df2 = 2, the least that is accepted, up to a fifth of
        a fit's variance or bias.
    strict : bool
        Refuse fits whose risk diverges. If False, what depends on such a fit is NaN.

    Returns
    -------
    StudentTerms
        In squared units of the target. What the teacher's and the student's ridge shrink away of
        the target inside V_s counts as missed.

    Raises
    ------
    ValueError
        If a sample size or ridge is out of range, or, if strict, a fit is so near its
        interpolation threshold that n - df2 is below 2, or not above 0 without the correction.

    Notes
    -----
    To leading order, with the factors :math:`S_w, S_s` of `shrinkage` as diagonal matrices, the
    teacher has mean coefficients :math:`\mu = V_wS_wV_w^\top\beta` and covariance
    :math:`c_w V_wS_w^2V_w^\top`,

    .. math:: c_w = \frac{\|(I-S_w)V_w^\top\beta\|^2 + \sigma^2 + \rho_w}
        {n - \mathrm{df}_{2,w}} .

    With :math:`k = \mathrm{df}_{2,s}/(N-\mathrm{df}_{2,s})` and
    :math:`K = V_sS_s(2I-S_s)V_s^\top`, the terms are

    .. math:: c_w\|S_sV_s^\top V_wS_w\|_F^2
        + k\,c_w\operatorname{tr}[S_wV_w^\top(I-K)V_wS_w]
        + \|S_sV_s^\top \mu - V_s^\top\beta\|^2 + k\,\mu^\top(I-K)\mu + \rho_s .

    The cost is O(d_w d_s) for each pair of n and alpha_w, and O(d_s) for each point of the grid.
    """
    strong = directions.strong
    taught = _pseudo_labels(directions, n, alpha_w, finite_size, strict)
    student = _fit(strong, N, alpha_s, "N", "alpha_s", finite_size, strict)

    def as_noise(power: Array, power_s: Array) -> Array:
        """Student error from pseudo-labels of this power in all, and along its directions."""
        return student.error_power(power_s, power - power_s.sum(axis=-1))

    terms = (
        np.sum(student.mean_factors**2 * taught.variance_s, axis=-1),
        as_noise(taught.variance, taught.variance_s),
        np.sum((student.mean_factors * taught.mean_s - strong.target) ** 2, axis=-1),
        as_noise(taught.mean, taught.mean_s**2),
        np.float64(strong.rho),
    )
    return StudentTerms(*(np.array(array) for array in np.broadcast_arrays(*terms)))


def student_misfit(
    directions: Directions,
    n: ArrayLike,
    N: ArrayLike,
    alpha_w: ArrayLike,
    alpha_s: ArrayLike,
    finite_size: bool = True,
    strict: bool = True,
) -> Array:
    r"""Expected squared difference between the student and its teacher, on fresh inputs.

    It needs no labels: a student whose ridge is chosen on pseudo-labels minimises it.

    Parameters
    ----------
    directions, n, N, alpha_w, alpha_s, finite_size, strict
        As in `student_terms`.

    Returns
    -------
    ndarray
        Of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        As in `student_terms`.

    Notes
    -----
    The risk of `expected_risks` for a model whose target is the teacher's function, which it
    observes without noise, on average over teachers.
    """
    taught = _pseudo_labels(directions, n, alpha_w, finite_size, strict)
    student = _fit(directions.strong, N, alpha_s, "N", "alpha_s", finite_size, strict)
    power_s = taught.mean_s**2 + taught.variance_s
    unseen = taught.mean + taught.variance - power_s.sum(axis=-1)
    bias = np.sum((1 - student.mean_factors) ** 2 * power_s, axis=-1)
    return np.asarray(bias + student.error_power(power_s, unseen) + unseen)


def expected_risks(
    directions: Directions,
    n: ArrayLike,
    N: ArrayLike,
    alpha_w: ArrayLike,
    alpha_s: ArrayLike,
    finite_size: bool = True,
    strict: bool = True,
    *,
    alpha_b: ArrayLike | None = None,
    alpha_c: ArrayLike | None = None,
) -> Risks:
    r"""Expected excess risks of teacher, student, baseline and ceiling on fresh inputs.

    Parameters
    ----------
    directions, n, N, alpha_w, alpha_s, finite_size, strict
        As in `student_terms`.
    alpha_b, alpha_c : array_like, optional
        Ridge of the baseline and of the ceiling; `alpha_s` by default.

    Returns
    -------
    Risks
        Arrays of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        As in `student_terms`, for each of the four fits.

    Notes
    -----
    To leading order a model with d features, approximation error rho and factors S, fitted to m
    labels, has risk

    .. math:: \|(I-S)V^\top\beta\|^2 + c\,\mathrm{df}_2 + \rho, \qquad
        c = \frac{\|(I-S)V^\top\beta\|^2 + \sigma^2 + \rho}{m-\mathrm{df}_2} .

    Examples
    --------
    Without ridge and with enough samples this is `theory.exact`.

    >>> from w2s_utils.pair import GaussianPair
    >>> pair = GaussianPair.paper(d_sw=10)
    >>> directions = pair.along(np.ones(pair.d_w), np.arange(1.0, 101) ** -1.5)
    >>> expected_risks(directions, [400, 4000], 4000, 0, 0).opr.round(2)
    array([3.17, 0.89])
    """
    weak, strong, sigma2 = directions.weak, directions.strong, directions.noise_variance
    n, N = np.asarray(n), np.asarray(N)
    alpha_b, alpha_c = (alpha_s if alpha is None else alpha for alpha in (alpha_b, alpha_c))
    how = finite_size, strict
    return Risks.of(
        _single(weak, sigma2, _fit(weak, n, alpha_w, "n", "alpha_w", *how)),
        student_terms(directions, n, N, alpha_w, alpha_s, *how).total,
        _single(strong, sigma2, _fit(strong, n, alpha_b, "n", "alpha_b", *how)),
        _single(strong, sigma2, _fit(strong, n + N, alpha_c, "n + N", "alpha_c", *how)),
    )


class Ridges(NamedTuple):
    """Penalties of the four models, in squared units of the features; arrays that broadcast."""

    weak: Array
    student: Array
    baseline: Array
    ceiling: Array


def best_ridges(
    directions: Directions,
    n: ArrayLike,
    N: ArrayLike,
    expect: Callable[[Callable[[Directions], Array]], Array] | None = None,
) -> Ridges:
    r"""Each model's best ridge for the labels that it sees.

    Parameters
    ----------
    directions : Directions
        As from `GaussianPair.along`.
    n, N : array_like of int
        Labelled and pseudo-labelled samples, broadcast.
    expect : callable, optional
        Maps a function of directions to its value for the population. By default that is the value
        at `directions`; where these are of a sample, its optimism can be taken off here.

    Returns
    -------
    Ridges
        Arrays of the broadcast shape.

    Raises
    ------
    ValueError
        If a sample size is out of range.

    Notes
    -----
    Teacher, baseline and ceiling have the ridge of their least risk. The student sees only what
    the teacher says: its ridge is that of its least `student_misfit`. Cross-validation, as in
    `probes.fit_tuned`, aims at the same ridges without knowing the risks. The path of ridges
    is that of `probes.fit_tuned`.
    """
    n, N = np.broadcast_arrays(sample_size(n, "n", 0, "zero"), sample_size(N, "N", 0, "zero"))
    at = expect or (lambda function: function(directions))
    of_w, of_s = _paths(directions)

    def least(which: str, m: Array, path: Array) -> Array:
        def risk(pair: Directions) -> Array:
            features: Features = getattr(pair, which)
            fit = _fit(features, m[..., None], path, "m", "ridge", True, False)
            return _single(features, pair.noise_variance, fit)

        return _ridge_path.least(at(risk), path)

    alpha_w = least("weak", n, of_w)

    def misfit(pair: Directions) -> Array:
        fits = n[..., None], N[..., None], alpha_w[..., None], of_s
        return student_misfit(pair, *fits, strict=False)

    alpha_s = _ridge_path.least(at(misfit), of_s)
    return Ridges(alpha_w, alpha_s, least("strong", n, of_s), least("strong", n + N, of_s))


def _paths(directions: Directions) -> list[Array]:
    """Ridges that are tried for weak and for strong features."""
    sets = directions.weak, directions.strong
    return [np.asarray(_ridge_path.RIDGES * features.spectrum.sum()) for features in sets]


class JointRidges(NamedTuple):
    """Ridges of teacher and student that suit the student, and its risk."""

    weak: float
    student: float
    risk: float


def joint_ridges(
    directions: Directions,
    n: int,
    N: int,
    expect: Callable[[Callable[[Directions], Array]], Array] | None = None,
) -> JointRidges:
    """Ridges of teacher and student together that make the student's risk least.

    A teacher at its own best ridge is not the best teacher: its bias stays with the student, its
    variance is averaged out in part.

    Parameters
    ----------
    directions, expect
        As in `best_ridges`.
    n, N : int
        Labelled and pseudo-labelled samples.

    Returns
    -------
    JointRidges
        The risk in squared units of the target; ridges to a quarter of a decade.

    Raises
    ------
    ValueError
        If a sample size is out of range.
    """
    of_w, of_s = _paths(directions)

    def risk(pair: Directions) -> Array:
        return student_terms(pair, n, N, of_w[:, None], of_s, strict=False).total

    risks = risk(directions) if expect is None else expect(risk)
    i, j = np.unravel_index(np.nanargmin(risks), risks.shape)
    return JointRidges(float(of_w[i]), float(of_s[j]), float(risks[i, j]))


def tuned_risks(directions: Directions, n: ArrayLike, N: ArrayLike) -> Risks:
    """Expected excess risks at the `best_ridges`.

    Parameters
    ----------
    directions, n, N
        As in `best_ridges`.

    Returns
    -------
    Risks
        Arrays of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        As `best_ridges`.
    """
    best = best_ridges(directions, n, N)
    return risks_at_ridges(directions, n, N, best)


def risks_at_ridges(
    directions: Directions, n: ArrayLike, N: ArrayLike, ridges: Ridges, strict: bool = True
) -> Risks:
    """`expected_risks` with a ridge for each model."""
    return expected_risks(
        directions,
        n,
        N,
        ridges.weak,
        ridges.student,
        strict=strict,
        alpha_b=ridges.baseline,
        alpha_c=ridges.ceiling,
    )


def teacher_variance(
    directions: Directions, n: ArrayLike, alpha_w: ArrayLike, strict: bool = True
) -> Array:
    """Part of the teacher's expected risk that is the variance of its answers.

    Parameters
    ----------
    directions, n, alpha_w, strict
        As in `student_terms`.

    Returns
    -------
    ndarray
        Of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        As in `student_terms`.
    """
    return _pseudo_labels(directions, n, alpha_w, True, strict).variance


@dataclass(frozen=True)
class _PseudoLabels:
    """Power of the teacher's mean and of its errors: in all, and along the student's directions."""

    mean: Array
    mean_s: Array  # signed: the mean's coefficients
    variance: Array
    variance_s: Array


def _pseudo_labels(
    directions: Directions, n: ArrayLike, alpha_w: ArrayLike, finite_size: bool, strict: bool
) -> _PseudoLabels:
    weak, overlap = directions.weak, directions.cross
    teacher = _fit(weak, n, alpha_w, "n", "alpha_w", finite_size, strict)
    mean = teacher.mean_factors * weak.target
    variance, common = teacher.errors(
        weak.target, teacher.noise_factor * (directions.noise_variance + weak.rho)
    )
    return _PseudoLabels(
        mean=np.sum(mean**2, axis=-1),
        mean_s=mean @ overlap.T,
        variance=np.sum(variance + common**2, axis=-1),
        variance_s=variance @ (overlap**2).T + (common @ overlap.T) ** 2,
    )


def _single(features: Features, noise_variance: float, fit: _Fit) -> Array:
    """Risk of one model."""
    beta, rho = features.target, features.rho
    bias = np.sum(((1 - fit.mean_factors) * beta) ** 2, axis=-1)
    noise = fit.noise_factor[..., 0] * (noise_variance + rho)
    return np.asarray(bias + fit.error_power(beta**2, noise) + rho)


@dataclass(frozen=True)
class _Fit:
    """First two moments of a fit's coefficients, for every target and noise variance.

    Arrays (..., d), or (..., 1) for numbers that all directions share; names as in chapter 6.
    `order` is 1/spare, the expansion's parameter, or 0 without the finite-size correction.
    """

    factors: Array
    mean_factors: Array
    noise_shares: Array  # variance of each coefficient, of a unit of noise
    order: Array
    delta: Array
    noise_factor: Array  # by how much the sizes of the inputs amplify noise

    def errors(self, beta: Array, noise: Array) -> tuple[Array, Array]:
        """Covariance of the coefficients as diag(first) + second second^T."""
        S, e = self.factors, self.order
        lost = (1 - S) * beta
        power = lost**2
        first, second = (np.sum(S**k * power, axis=-1, keepdims=True) for k in (1, 2))
        variance = (
            (power.sum(axis=-1, keepdims=True) + noise) * self.noise_shares
            + e**2 * S**2 * (3 * second - (2 + 4 * self.delta) * first)
            + 2 * e**2 * S**3 * first
        )
        return variance, np.sqrt(e) * S * lost

    def error_power(self, beta_squared: Array, noise: Array | float) -> Array:
        """Trace of the covariance; linear in the squares of the target's coefficients."""
        S, e = self.factors, self.order
        df2, df3 = (np.sum(S**k, axis=-1, keepdims=True) for k in (2, 3))
        weights = self.noise_shares.sum(axis=-1, keepdims=True) + e * (
            S**2 + e * (2 * df3 * S - df2 * ((2 + 4 * self.delta) * S - 3 * S**2))
        )
        return np.asarray(
            np.sum(weights * (1 - S) ** 2 * beta_squared, axis=-1)
            + self.noise_shares.sum(axis=-1) * noise
        )


def _fit(
    features: Features,
    m: ArrayLike,
    alpha: ArrayLike,
    size_name: str,
    alpha_name: str,
    finite_size: bool,
    strict: bool,
) -> _Fit:
    """Moments of one model's fit; refuse what has no finite risk, or make it NaN."""
    m, alpha = sample_size(m, size_name, 0, "zero"), ridges(alpha, alpha_name)
    var = features.spectrum
    effective = effective_samples(var, m, alpha, features.radii)
    S = var / np.add.outer(effective.kappa, var)
    noise_factor = effective.noise[..., None]
    df2, df3, df4 = (np.sum(S**k, axis=-1, keepdims=True) for k in (2, 3, 4))
    spare = effective.samples[..., None] - df2

    def finite(value: Array, converges: NDArray[np.bool_]) -> Array:
        if strict and not converges.all():
            raise ValueError(
                f"{size_name} is too near the interpolation threshold of {len(var)} features for "
                f"so small an {alpha_name}: rare training sets dominate the risk. Take another "
                f"{size_name} or raise {alpha_name}."
            )
        return np.where(converges, value, np.nan)

    # Below two, rare training sets dominate the risk and the expansion in 1/spare is worth nothing,
    # even where its terms cancel. Without ridge `spare` is m - d: m = d + 2 passes.
    spare = finite(spare, spare > (2 - 1e-9 if finite_size else 0))
    delta, epsilon = (df2 - df3) / spare, (df3 - df4) / spare
    if not finite_size:
        zero = np.zeros_like(spare)
        return _Fit(S, S, S**2 / spare, zero, delta, noise_factor)
    own = (2 + 4 * delta) * S - 3 * S**2
    average = np.sum(S**2 * own, axis=-1, keepdims=True) / df2
    corrected = spare + 3 * epsilon - 3 * delta - 4 * delta**2 + average
    return _Fit(
        factors=S,
        mean_factors=S - S * (1 - S) * (S - delta) / spare,
        noise_shares=S**2 * (1 - (own - average) / spare) / corrected,
        order=1 / spare,
        delta=delta,
        noise_factor=noise_factor,
    )
