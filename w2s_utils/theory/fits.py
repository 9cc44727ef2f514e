r"""Mean and covariance of a ridge fit, and of the answers that a teacher gives to its student.

To leading order in the number of samples, and the next order; chapter 6 of the book derives both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array, ridges, sample_size
from w2s_utils.directions import Features
from w2s_utils.theory.effective import effective_samples


@dataclass(frozen=True)
class Fit:
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
        lost = self.factors * (1 - self.factors) * beta
        return self.variances(beta**2, noise), np.sqrt(self.order) * lost

    def variances(self, beta_squared: Array, noise: Array) -> Array:
        """First part of `errors`; linear in the squares of the target's coefficients."""
        S, e = self.factors, self.order
        power = (1 - S) ** 2 * beta_squared
        first, second = (np.sum(S**k * power, axis=-1, keepdims=True) for k in (1, 2))
        return np.asarray(
            (power.sum(axis=-1, keepdims=True) + noise) * self.noise_shares
            + e**2 * S**2 * (3 * second - (2 + 4 * self.delta) * first)
            + 2 * e**2 * S**3 * first
        )

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


def fit_features(
    features: Features,
    m: ArrayLike,
    alpha: ArrayLike,
    size_name: str,
    alpha_name: str,
    finite_size: bool,
    strict: bool,
) -> Fit:
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
        return Fit(S, S, S**2 / spare, zero, delta, noise_factor)
    own = (2 + 4 * delta) * S - 3 * S**2
    average = np.sum(S**2 * own, axis=-1, keepdims=True) / df2
    corrected = spare + 3 * epsilon - 3 * delta - 4 * delta**2 + average
    return Fit(
        factors=S,
        mean_factors=S - S * (1 - S) * (S - delta) / spare,
        noise_shares=S**2 * (1 - (own - average) / spare) / corrected,
        order=1 / spare,
        delta=delta,
        noise_factor=noise_factor,
    )


def single_risk(features: Features, noise_variance: float, fit: Fit) -> Array:
    """Risk of one model."""
    beta, rho = features.target, features.rho
    bias = np.sum(((1 - fit.mean_factors) * beta) ** 2, axis=-1)
    noise = fit.noise_factor[..., 0] * (noise_variance + rho)
    return np.asarray(bias + fit.error_power(beta**2, noise) + rho)


@dataclass(frozen=True)
class Answers:
    """Power of a teacher's mean and of its errors: in all, and along the student's directions."""

    mean: Array
    mean_s: Array  # signed: the mean's coefficients
    variance: Array
    variance_s: Array


def teacher_answers(
    weak: Features,
    noise_variance: float,
    fit: Fit,
    cross: Array,
    power: Array | None = None,
) -> Answers:
    """What a student is told: `fit` of the weak features, seen along its own directions.

    `cross` (d_s, d_w) and `power` (d_w, d_w) hold the second moments of strong with weak
    directions, and of the weak ones, where the student is trained; the identity by default.
    """
    mean = fit.mean_factors * weak.target
    variance, common = fit.errors(weak.target, fit.noise_factor * (noise_variance + weak.rho))
    if power is None:
        in_all = np.sum(mean**2, axis=-1), np.sum(variance + common**2, axis=-1)
    else:
        of_mean, of_common = (np.sum(part @ power * part, axis=-1) for part in (mean, common))
        in_all = of_mean, variance @ power.diagonal() + of_common
    return Answers(
        mean=in_all[0],
        mean_s=mean @ cross.T,
        variance=in_all[1],
        variance_s=variance @ (cross**2).T + (common @ cross.T) ** 2,
    )


def misfit(answers: Answers, student: Fit) -> Array:
    """Expected squared difference between a student and its teacher where it is trained."""
    power_s = answers.mean_s**2 + answers.variance_s
    return misfit_to(power_s, answers.mean + answers.variance - power_s.sum(axis=-1), student)


def misfit_to(power_s: Array, unseen: Array | float, student: Fit) -> Array:
    """`misfit` to a teacher of this power along the student's directions, and beside them."""
    bias = np.sum((1 - student.mean_factors) ** 2 * power_s, axis=-1)
    return np.asarray(bias + student.error_power(power_s, unseen) + unseen)
