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
from numpy.typing import ArrayLike

from w2s_utils import _ridge_path
from w2s_utils._validate import Array, sample_size, variances
from w2s_utils.directions import Directions, Features
from w2s_utils.metrics import Risks
from w2s_utils.theory.effective import effective_ridge
from w2s_utils.theory.exact import StudentTerms
from w2s_utils.theory.fits import Answers, fit_features, misfit, single_risk, teacher_answers


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
    taught = _answers(directions, n, alpha_w, finite_size, strict)
    student = fit_features(strong, N, alpha_s, "N", "alpha_s", finite_size, strict)

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
    taught = _answers(directions, n, alpha_w, finite_size, strict)
    student = fit_features(directions.strong, N, alpha_s, "N", "alpha_s", finite_size, strict)
    return misfit(taught, student)


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
        single_risk(weak, sigma2, fit_features(weak, n, alpha_w, "n", "alpha_w", *how)),
        student_terms(directions, n, N, alpha_w, alpha_s, *how).total,
        single_risk(strong, sigma2, fit_features(strong, n, alpha_b, "n", "alpha_b", *how)),
        single_risk(strong, sigma2, fit_features(strong, n + N, alpha_c, "n + N", "alpha_c", *how)),
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
    near: Ridges | None = None,
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
    near : Ridges, optional
        Arrays of the broadcast shape: only the next ridges of the path around them are tried.

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
    of_w, of_s = tried_ridges(directions)
    paths = Ridges(of_w, of_s, of_s, of_s)
    if near is not None:
        paths = Ridges(*(ridge[..., None] * _ridge_path.NEAR for ridge in near))

    def least(which: str, m: Array, path: Array) -> Array:
        def risk(pair: Directions) -> Array:
            features: Features = getattr(pair, which)
            fit = fit_features(features, m[..., None], path, "m", "ridge", True, False)
            return single_risk(features, pair.noise_variance, fit)

        return _ridge_path.least(at(risk), path)

    alpha_w = least("weak", n, paths.weak)

    def misfit(pair: Directions) -> Array:
        fits = n[..., None], N[..., None], alpha_w[..., None], paths.student
        return student_misfit(pair, *fits, strict=False)

    alpha_s = _ridge_path.least(at(misfit), paths.student)
    baseline = least("strong", n, paths.baseline)
    return Ridges(alpha_w, alpha_s, baseline, least("strong", n + N, paths.ceiling))


def tried_ridges(directions: Directions) -> list[Array]:
    """Ridges that are tried for weak and for strong features."""
    sets = directions.weak, directions.strong
    return [np.asarray(_ridge_path.RIDGES * features.spectrum.sum()) for features in sets]


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
    return _answers(directions, n, alpha_w, True, strict).variance


def _answers(
    directions: Directions, n: ArrayLike, alpha_w: ArrayLike, finite_size: bool, strict: bool
) -> Answers:
    weak = directions.weak
    fit = fit_features(weak, n, alpha_w, "n", "alpha_w", finite_size, strict)
    return teacher_answers(weak, directions.noise_variance, fit, directions.cross)
