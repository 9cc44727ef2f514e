r"""Scores of least-squares probes on two classes, from the theory of risks.

Labels -1 and 1 are a linear target plus noise: of Gaussian inputs the part of y that is linear in
them is :math:`c f_*` with :math:`c=\mathbb E[y f_*]/\mathbb E f_*^2`, in every direction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array
from w2s_utils.directions import Directions, Features
from w2s_utils.metrics import Risks
from w2s_utils.theory import ridge
from w2s_utils.theory.classes import Labels, Score, Scores, check_target, seen, share_of_1
from w2s_utils.theory.fits import Fit, fit_features, teacher_answers
from w2s_utils.theory.ridge import Ridges


def linear_share(labels: Labels) -> float:
    r"""Slope c of the labels on their target, :math:`\mathbb E[yf_*]/\mathbb E f_*^2`.

    Parameters
    ----------
    labels : Labels

    Returns
    -------
    float
        1 for `Classes`, whose target is the label.
    """
    at = seen(labels, Score(0.0, 0.0, 1.0))  # of a score that knows nothing
    with_label = at.weight @ (2 * at.latent_of_1 - at.latent)
    return float(with_label / np.sqrt(labels.power))


def as_regression(directions: Directions, labels: Labels) -> Directions:
    r"""The regression that least squares sees in labels: target c f_*, and the rest as noise.

    Parameters
    ----------
    directions : Directions
        Their target f_* is what the labels depend on, of variance `labels.power`; for `Classes` it
        is the part of the label that is linear in the inputs.
    labels : Labels

    Returns
    -------
    Directions
        With noise variance :math:`1-\bar y^2-c^2\mathbb E f_*^2`, for `theory.ridge`.

    Raises
    ------
    ValueError
        If the target has another variance than the labels' law says.
    """
    check_target(directions, labels)
    c = linear_share(labels)

    def scaled(features: Features) -> Features:
        return replace(features, target=c * features.target, rho=c**2 * features.rho)

    share = share_of_1(labels)
    noise = max(4 * share * (1 - share) - c**2 * _power(directions), 0.0)
    weak, strong = scaled(directions.weak), scaled(directions.strong)
    return replace(directions, weak=weak, strong=strong, noise_variance=noise)


def agreements(
    directions: Directions, n: ArrayLike, N: ArrayLike, ridges: Ridges, strict: bool = True
) -> Risks:
    r"""Covariances of the four models' answers with the target, :math:`\mathbb E[f\,f_*]`.

    Parameters
    ----------
    directions : Directions
        Of a regression.
    n, N : array_like of int
    ridges : Ridges
    strict : bool
        As in `theory.ridge.student_terms`.

    Returns
    -------
    Risks
        Arrays of the broadcast shape, in squared units of the target.
    """
    weak, strong = directions.weak, directions.strong
    n, N = np.asarray(n), np.asarray(N)

    def single(features: Features, m: Array, alpha: Array, name: str) -> tuple[Fit, Array]:
        fit = fit_features(features, m, alpha, name, "ridge", True, strict)
        return fit, np.sum(fit.mean_factors * features.target**2, axis=-1)

    teacher, of_teacher = single(weak, n, ridges.weak, "n")
    student, _ = single(strong, N, ridges.student, "N")
    told = teacher_answers(weak, directions.noise_variance, teacher, directions.cross)
    of_student = np.sum(student.mean_factors * told.mean_s * strong.target, axis=-1)
    _, of_baseline = single(strong, n, ridges.baseline, "n")
    _, of_ceiling = single(strong, n + N, ridges.ceiling, "n + N")
    return Risks.of(of_teacher, of_student, of_baseline, of_ceiling)


def least_squares_scores(
    directions: Directions,
    labels: Labels,
    n: ArrayLike,
    N: ArrayLike,
    ridges: Ridges,
    *,
    intercept: bool = True,
) -> Scores:
    r"""Laws of the scores of least-squares models on fresh inputs.

    Parameters
    ----------
    directions, labels
        As in `as_regression`.
    n, N : array_like of int
        Labelled and pseudo-labelled samples.
    ridges : Ridges
        As of `probes.fit_ridge`.
    intercept : bool
        Whether the models have one. It takes a sample, and its error goes to all inputs alike.

    Returns
    -------
    Scores
        Arrays of the broadcast shape, for `theory.classes.accuracy`. Soft pseudo-labels; for hard
        ones see `theory.logistic` with the squared loss.

    Raises
    ------
    ValueError
        As in `theory.ridge.expected_risks` and `as_regression`.

    Notes
    -----
    The expected risk against the label's linear part is :math:`\mathbb E f^2 -
    2c\,\mathbb E[ff_*] + c^2\mathbb E f_*^2`, so `theory.ridge` and the covariance with the target
    give the power of a score; the spread is what its slope leaves of it.
    """
    regression, n, N = as_regression(directions, labels), np.asarray(n), np.asarray(N)
    mean = 2 * share_of_1(labels) - 1
    if not intercept:  # the labels' mean is noise then
        regression = replace(regression, noise_variance=regression.noise_variance + mean**2)
        mean = 0.0
    free = n - intercept, N - intercept
    risks = ridge.risks_at_ridges(regression, *free, ridges)
    with_target = agreements(regression, *free, ridges)
    power, to_latent = _power(regression), linear_share(labels) * np.sqrt(labels.power)
    of_intercept = (0.0,) * 4
    if intercept:
        noise = regression.noise_variance
        misfit = ridge.student_misfit(regression, *free, ridges.weak, ridges.student)
        taught = (risks.weak + noise) / n
        others = (risks.baseline + noise) / n, (risks.ceiling + noise) / (n + N)
        of_intercept = taught, taught + misfit / N, *others
    found = []
    for risk, agreement, more in zip(risks, with_target, of_intercept, strict=True):
        slope = agreement / to_latent
        spread = np.sqrt(risk + 2 * agreement - power - slope**2 + more)
        found.append(Score(mean + 0 * slope, slope, spread))
    return Scores(*found)


def excess_risk(labels: Labels, score: Score) -> Array:
    r"""Expected squared distance of a score from the label's linear part.

    Parameters
    ----------
    labels : Labels
    score : Score

    Returns
    -------
    ndarray
        Of the score's shape; of `Classes` the distance from the label itself.

    Examples
    --------
    >>> from w2s_utils.theory.classes import Sign
    >>> labels = Sign(power=1.0)  # of which the linear part is 0.798 f
    >>> float(excess_risk(labels, Score(0.0, 0.0, 0.0)).round(3))
    0.637
    """
    slope = linear_share(labels) * np.sqrt(labels.power)
    off = np.asarray(score.offset) - (2 * share_of_1(labels) - 1), score.slope - slope
    return np.asarray(off[0] ** 2 + off[1] ** 2 + np.square(score.spread))


def _power(directions: Directions) -> float:
    """Variance of the target."""
    weak = directions.weak
    return float(weak.target @ weak.target + weak.rho)
