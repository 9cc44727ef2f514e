r"""Expected risks with ridge, and of few samples, where the three sets of inputs have other laws.

A fit has the mean and the covariance that it has where it is trained (`theory.fits`); the test law
says what they cost. Without ridge and with enough samples this is `theory.shift`. Chapter 14 of the
book derives both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils import _ridge_path
from w2s_utils._validate import Array, ridges, sample_size
from w2s_utils.directions import Features
from w2s_utils.metrics import Risks
from w2s_utils.pair import ShiftedPair
from w2s_utils.shifted import Form, Model, ShiftedDirections, nodes
from w2s_utils.theory.fits import Fit, fit_features, misfit, single_risk, teacher_answers
from w2s_utils.theory.ridge import Ridges

Sizes = NDArray[np.signedinteger[Any]]
Expect = Callable[[Callable[[ShiftedDirections], Array]], Array]


def expected_risks(
    pair: ShiftedPair, n: ArrayLike, N: ArrayLike, alpha_w: float, alpha_s: float
) -> Risks:
    r"""Expected excess risks on test inputs of four models with a ridge.

    Parameters
    ----------
    pair : ShiftedPair
    n, N : int or (k,) array_like of int
        Labelled and pseudo-labelled samples: all pairs of them.
    alpha_w, alpha_s : float
        Ridge of the weak and of the strong models on their mean squared losses
        (`probes.fit_ridge`), in squared units of the features.

    Returns
    -------
    Risks
        Of the shapes of n and N, one after the other; in squared units of the target.

    Raises
    ------
    ValueError
        If a sample size or ridge is out of range, or a fit is so near its interpolation threshold
        that its risk diverges (`theory.ridge.student_terms`).
    """
    sizes, more = np.asarray(n), np.asarray(N)
    rows, columns = np.ravel(sizes), np.ravel(more)
    shape = len(rows), len(columns)
    directions = ShiftedDirections.of(pair, nodes(rows[:, None] / (rows[:, None] + columns)))
    weak, strong = (
        np.full(shape, float(ridges(alpha, name)))
        for alpha, name in ((alpha_w, "alpha_w"), (alpha_s, "alpha_s"))
    )
    ceilings = np.broadcast_to(strong, (len(directions.ceilings), *shape))
    every = Ridges(weak, strong, strong, ceilings)
    (risks,) = risks_at_ridges(directions, rows, columns, every, strict=True)
    return risks.map(lambda risk: risk.reshape((*sizes.shape, *more.shape)))


def risks_at_ridges(
    directions: ShiftedDirections, n: Sizes, N: Sizes, ridges: Ridges, strict: bool = False
) -> list[Risks]:
    r"""Expected excess risks for each of the test laws, with a ridge for each model.

    Parameters
    ----------
    directions : ShiftedDirections
    n : (a,) ndarray of int
        Labels; without the one that an intercept takes.
    N : (b,) ndarray of int
        Pseudo-labels, likewise.
    ridges : Ridges
        Arrays (a, b); of the ceiling (ceilings, a, b).
    strict : bool
        Refuse fits whose risk diverges; else they are NaN.

    Returns
    -------
    list of Risks
        Arrays (a, b), in squared units of the target.

    Raises
    ------
    ValueError
        As `expected_risks`.

    Notes
    -----
    With coefficients of mean m and covariance :math:`\operatorname{diag}(v)+uu^\top` along the
    directions of where a model is trained, its risk on inputs of moment G along them, products t
    with the target and power p of the target is

    .. math:: p - 2\,t^\top m + m^\top Gm + \operatorname{tr}(G\operatorname{diag}v) + u^\top Gu .

    A student's mean and covariance follow from the second moment
    :math:`B=\mathbb E\,bb^\top` of what it is taught: :math:`m^\top Gm` is
    :math:`s^\top(G\circ B)s` with its mean factors s, and likewise for u. An intercept is a last
    direction that no ridge shrinks.
    """
    size, shape = n[:, None], (len(n), len(N))

    def single(model: Model, m: Sizes, alpha: Array, name: str) -> list[Array]:
        fit = fit_features(model.features, m, alpha, name, "alpha", True, strict)
        return _single(model, directions, fit, m)

    teacher = single(directions.teacher, size, ridges.weak, "n")
    baseline = single(directions.baseline, size, ridges.baseline, "n")
    of_share = [
        single(model, size + N, alpha, "n + N")
        for model, alpha in zip(directions.ceilings.values(), ridges.ceiling, strict=True)
    ]
    weights = between(directions, n, N)
    students = np.array([_students(directions, n, N, ridges, i, strict) for i in range(len(n))])
    return [
        Risks(
            np.broadcast_to(teacher[k], shape),
            students[:, k],
            np.broadcast_to(baseline[k], shape),
            np.einsum("kij,kij->ij", weights, [risk[k] for risk in of_share]),
        )
        for k in range(len(teacher))
    ]


def best_ridges(
    directions: ShiftedDirections,
    n: Sizes,
    N: Sizes,
    expect: Expect | None = None,
    near: Ridges | None = None,
) -> Ridges:
    """Each model's best ridge for the labels that it sees, where it sees them.

    Cross-validation chooses so: nobody holds labels of test inputs back to tune a model.

    Parameters
    ----------
    directions, n, N
        As in `risks_at_ridges`.
    expect : callable, optional
        As in `theory.ridge.best_ridges`.
    near : Ridges, optional
        As is returned: search two steps up and down from these only.

    Returns
    -------
    Ridges
        Arrays (a, b); of the ceiling (ceilings, a, b).
    """
    at = expect or (lambda function: function(directions))
    shape = len(n), len(N)

    def path(model: Model, known: Array | None) -> Array:
        if known is None:
            return np.asarray(_ridge_path.RIDGES * model.features.spectrum.sum())
        return np.asarray(known[..., None] * _ridge_path.NEAR)

    def least(
        of: Callable[[ShiftedDirections], Model], m: Sizes, known: Array | None = None
    ) -> Array:
        tried = path(of(directions), known)

        def risk(one: ShiftedDirections) -> Array:
            features = of(one).features
            fit = fit_features(features, m[..., None], tried, "m", "alpha", True, False)
            return single_risk(features, one.noise_variance, fit)

        return np.broadcast_to(_ridge_path.least(at(risk), tried), shape)

    weak = least(lambda one: one.teacher, n[:, None], near and near.weak[:, :1])

    def student(i: int) -> Array:
        tried = path(directions.student, near and near.student[i])

        def distance(one: ShiftedDirections) -> Array:
            features = one.teacher.features
            taught = fit_features(features, n[i], weak[i, 0], "n", "alpha", True, False)
            answers = teacher_answers(features, one.noise_variance, taught, one.cross, one.power)
            fit = fit_features(one.student.features, N[:, None], tried, "N", "alpha", True, False)
            return misfit(answers, fit)

        return _ridge_path.least(at(distance), tried)

    ceilings = [
        least(
            lambda one, share=share: one.ceilings[share],  # type: ignore[misc]
            n[:, None] + N,
            near and near.ceiling[k],
        )
        for k, share in enumerate(directions.ceilings)
    ]
    return Ridges(
        weak,
        np.array([student(i) for i in range(len(n))]),
        least(lambda one: one.baseline, n[:, None], near and near.baseline[:, :1]),
        np.array(ceilings),
    )


def between(directions: ShiftedDirections, n: Sizes, N: Sizes) -> Array:
    """Weights (ceilings, a, b) that interpolate the ceilings at the shares of (n, N).

    They are those of the polynomial through all of them.
    """
    made = np.array([*directions.ceilings])
    labels = sample_size(n, "n", 0, "zero")[:, None] + directions.intercept
    share = labels / (labels + N + directions.intercept)
    weights = np.ones((len(made), *share.shape))
    for i, here in enumerate(made):
        for other in np.delete(made, i):
            weights[i] *= (share - other) / (here - other)
    return weights


def _single(model: Model, directions: ShiftedDirections, fit: Fit, m: Sizes) -> list[Array]:
    """Risks of one model, for each test law."""
    features: Features = model.features
    beta, sigma2, d = features.target, directions.noise_variance, len(features.target)
    mean = fit.mean_factors * beta
    variance, common = fit.errors(beta, fit.noise_factor * (sigma2 + features.rho))
    own = _intercept(directions, single_risk(features, sigma2, fit), m)

    def risk(form: Form) -> Array:
        G, t = form.moment[:d, :d], form.target[:d]
        bias = form.power - 2 * mean @ t + np.sum(mean @ G * mean, axis=-1)
        spread = variance @ G.diagonal() + np.sum(common @ G * common, axis=-1)
        return np.asarray(bias + spread + own)

    return [risk(form) for form in model.forms]


def _students(
    directions: ShiftedDirections, n: Sizes, N: Sizes, ridges: Ridges, i: int, strict: bool
) -> list[Array]:
    """Risks of the students of n[i] labels, for each test law."""
    features, sigma2 = directions.teacher.features, directions.noise_variance
    cross, d = directions.cross, len(directions.cross)
    fit = fit_features(features, n[i], ridges.weak[i, 0], "n", "alpha_w", True, strict)
    answers = teacher_answers(features, sigma2, fit, cross, directions.power)
    student = fit_features(
        directions.student.features, N, ridges.student[i], "N", "alpha_s", True, strict
    )
    kept, lost = student.mean_factors, student.factors * (1 - student.factors)
    power_s = answers.mean_s**2 + answers.variance_s
    unseen = answers.mean + answers.variance - power_s.sum()
    spread = student.variances(power_s, unseen)
    own = _intercept(directions, single_risk(features, sigma2, fit), n[i])
    own = own + _intercept(directions, misfit(answers, student), N)
    if directions.intercept:
        cross = np.vstack([cross, directions.moved])
        kept, lost = (
            np.pad(a, ((0, 0), (0, 1)), constant_values=value)
            for a, value in ((kept, 1), (lost, 0))
        )
    mean = fit.mean_factors * features.target
    variance, common = fit.errors(features.target, fit.noise_factor * (sigma2 + features.rho))
    told, shared = cross @ mean, cross @ common
    taught = (cross * variance) @ cross.T + np.outer(told, told) + np.outer(shared, shared)

    def risk(form: Form) -> Array:
        G = form.moment * taught
        bias = form.power - 2 * (kept * told) @ form.target + np.sum(kept @ G * kept, axis=-1)
        own_errors = spread @ form.moment.diagonal()[:d]
        common_errors = student.order[:, 0] * np.sum(lost @ G * lost, axis=-1)
        return np.asarray(bias + own_errors + common_errors + own)

    return [risk(form) for form in directions.student.forms]


def _intercept(directions: ShiftedDirections, error: Array, m: Sizes) -> Array:
    """Error of an intercept from m samples beside its own, 0 for models without."""
    return np.asarray(directions.intercept * error / (m + 1))
