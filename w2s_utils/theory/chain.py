r"""Chains and committees: students of students, and of several teachers at once.

What a model answers is a random linear function of the inputs, and all that follows depends on its
mean and covariance over training sets. A stage turns those of what it is taught into those of its
own answers (`theory.fits`): exactly without ridge, for each size above d + 1; with ridge or fewer
samples to the next order in one over the size. Chapter 18 of the book derives both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from w2s_utils._gram import check_condition, moment_root, second_moment
from w2s_utils._validate import Array, real_array, ridges, same_rows, sample_size
from w2s_utils.directions import EQUAL, Features, Radii
from w2s_utils.theory.fits import Fit, fit_features, misfit_to, single_risk


class Answers(NamedTuple):
    """Law of a linear function of the inputs over training sets, by its first two moments.

    Attributes
    ----------
    directions : (D, k) ndarray
        Functions that it is made of, one a column.
    mean : (k,) ndarray
        Mean coefficients.
    covariance : (k, k) ndarray
        Of the coefficients.
    loss : float
        Expected squared distance to what was taught, the target or a teacher, on fresh inputs of
        the training law; NaN of averages.
    """

    directions: Array
    mean: Array
    covariance: Array
    loss: float = np.nan

    def risk(self, target: Array, test: Array | None = None) -> float:
        r"""Expected excess risk.

        Parameters
        ----------
        target : (D,) ndarray
            Coefficients beta.
        test : (D, D) ndarray, optional
            Second moment of the inputs that count; the identity by default.

        Returns
        -------
        float
            :math:`\|m-\beta\|^2 + \operatorname{tr}C`, in squared units of the target.
        """
        seen = self.directions if test is None else test @ self.directions
        error = self.directions @ self.mean - target
        bias = error @ (error if test is None else test @ error)
        return float(bias + np.sum((self.directions.T @ seen) * self.covariance))


@dataclass(frozen=True, eq=False)
class Stage:
    """One model: its features, its training inputs and its ridge.

    Attributes
    ----------
    features : (D, d) ndarray
        Features as linear functions of the inputs, one a column, of full rank where the model is
        trained. Without ridge only their span matters; an orthonormal basis of whitened inputs has
        features of variance 1.
    size : int
        Samples that it is trained on.
    ridge : float
        Penalty on its mean squared loss (`probes.fit_ridge`), in squared units of the features.
    moment : (D, D) ndarray, optional
        Second moment of the inputs that it is trained on; the identity by default.
    radii : Radii
        Sizes of these inputs as the features see them.

    Raises
    ------
    ValueError
        If shapes do not fit, the size is no positive integer, the ridge is negative, or features
        are dependent.
    """

    features: Array
    size: int
    ridge: float = 0.0
    moment: Array | None = None
    radii: Radii = EQUAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", real_array(self.features, "features", 2))
        sample_size(self.size, "size", 0, "zero")
        ridges(self.ridge, "ridge")
        if self.moment is not None:
            moment = second_moment(self.moment, "moment", len(self.features))
            object.__setattr__(self, "moment", moment)

    def at(self, size: int, ridge: float) -> Stage:
        """The same features with another size and ridge; what is known of them is kept."""
        other = replace(self, size=size, ridge=ridge)
        other.__dict__["_principal"] = self._principal
        return other

    def taught_labels(self, target: Array, noise_variance: float, strict: bool = True) -> Answers:
        """Answers of a model that is fitted to noisy labels of the target.

        Parameters
        ----------
        target : (D,) ndarray
            Coefficients beta.
        noise_variance : float
            Label noise sigma^2, in squared units of the target.
        strict : bool
            Refuse a fit whose risk diverges. If False, what depends on it is NaN.

        Returns
        -------
        Answers

        Raises
        ------
        ValueError
            If, strict, the size is so near the interpolation threshold that the risk diverges.
        """
        features = self._of_labels(target)
        fit = self._fit(features, self.ridge, strict)
        noise = fit.noise_factor * (noise_variance + features.rho)
        variance, common = fit.errors(features.target, noise)
        covariance = np.diag(variance) + np.outer(common, common)
        mean, loss = fit.mean_factors * features.target, single_risk(features, noise_variance, fit)
        return Answers(self._directions, mean, covariance, float(loss))

    def taught(self, teacher: Answers, strict: bool = True) -> Answers:
        r"""Answers of a model that is fitted to what another one answers on fresh inputs.

        Parameters
        ----------
        teacher : Answers
        strict : bool
            As in `taught_labels`.

        Returns
        -------
        Answers

        Raises
        ------
        ValueError
            As `taught_labels`.

        Notes
        -----
        Without ridge and for whitened inputs :math:`m\leftarrow Pm` and

        .. math:: C \leftarrow PCP + \frac{t}{N-d-1}\,P, \qquad
            t = \|(I-P)m\|^2 + \operatorname{tr}[(I-P)C] .
        """
        mean, covariance, power, unseen = self._told(teacher)
        fit = self._fit(self._features(mean, unseen), self.ridge, strict)
        kept, lost = fit.mean_factors, fit.factors * (1 - fit.factors)
        second = covariance + np.outer(mean, mean)
        own = np.diag(fit.variances(power, np.asarray(unseen)))
        spread = np.outer(kept, kept) * covariance + fit.order * np.outer(lost, lost) * second
        loss = float(misfit_to(power, unseen, fit))
        return Answers(self._directions, kept * mean, own + spread, loss)

    def label_losses(self, target: Array, noise_variance: float, ridge: ArrayLike) -> Array:
        """Expected risk of fits to labels of the target, where they are trained, for each ridge.

        NaN where it diverges; the parameters are those of `taught_labels`.
        """
        features = self._of_labels(target)
        return single_risk(features, noise_variance, self._fit(features, ridge, False))

    def misfits(self, teacher: Answers, ridge: ArrayLike) -> Array:
        """Expected squared difference to the teacher on fresh inputs of its kind, for each ridge.

        NaN where it diverges.
        """
        mean, _, power, unseen = self._told(teacher)
        fit = self._fit(self._features(mean, unseen), ridge, False)
        return misfit_to(power, unseen, fit)

    def _told(self, teacher: Answers) -> tuple[Array, Array, Array, float]:
        """Along the own directions: mean, covariance, power; and the power beside them."""
        told = self._where_trained(teacher.directions)
        along = self._seen.T @ told
        mean, covariance = along @ teacher.mean, along @ teacher.covariance @ along.T
        power = mean**2 + covariance.diagonal()
        # What is told less what is seen of it, before it is squared: exactly zero inside of V_s.
        beside = told - self._seen @ along
        of_mean = beside @ teacher.mean
        unseen = of_mean @ of_mean + np.sum((beside.T @ beside) * teacher.covariance)
        return mean, covariance, power, float(unseen)

    def _of_labels(self, target: Array) -> Features:
        told = self._where_trained(target)
        along = self._seen.T @ told
        return self._features(along, max(float(told @ told - along @ along), 0.0))

    def _features(self, target: Array, rho: float) -> Features:
        return Features(target, rho, self._spectrum, self.radii)

    def _fit(self, features: Features, ridge: ArrayLike, strict: bool = True) -> Fit:
        return fit_features(features, self.size, ridge, "size", "ridge", True, strict)

    def _where_trained(self, functions: Array) -> Array:
        """Functions in coordinates in which their inner product is that of the training inputs."""
        return functions if self._root is None else self._root.T @ functions

    @cached_property
    def _root(self) -> Array | None:
        return None if self.moment is None else moment_root(self.moment)

    @cached_property
    def _principal(self) -> tuple[Array, Array, Array]:
        seen = self._where_trained(self.features)
        left, singular, right = linalg.svd(seen, full_matrices=False)
        full = len(seen) >= seen.shape[1] and singular[-1] > 0
        check_condition(singular[0] / singular[-1] if full else np.inf, "a stage's")
        return left, singular**2, self.features @ (right.T / singular)

    @property
    def _seen(self) -> Array:
        """Orthonormal functions among the training inputs."""
        return self._principal[0]

    @property
    def _spectrum(self) -> Array:
        """Variances of the features along them."""
        return self._principal[1]

    @property
    def _directions(self) -> Array:
        """The same functions as coefficients of the inputs, (D, d)."""
        return self._principal[2]


def committee(
    teachers: Sequence[Stage],
    target: ArrayLike,
    noise_variance: float,
    weights: ArrayLike | None = None,
) -> Answers:
    r"""Average the answers of teachers that were fitted to labels of their own.

    Parameters
    ----------
    teachers : sequence of Stage
        Their training sets are independent. Teachers of the same labels have correlated errors:
        `simulation.simulate_chain` draws those.
    target : (D,) array_like
        Coefficients beta.
    noise_variance : float
        Label noise sigma^2, in squared units of the target.
    weights : array_like, optional
        One a teacher; equal and of sum 1 by default.

    Returns
    -------
    Answers
        :math:`m=\sum_i w_im_i` and :math:`C=\sum_i w_i^2C_i`.

    Raises
    ------
    ValueError
        If shapes do not fit, or as `Stage.taught_labels`.
    """
    beta = real_array(target, "target", 1)
    same_rows(**{f"teacher {i}": one.features for i, one in enumerate(teachers)}, target=beta)
    if not (np.isfinite(noise_variance) and noise_variance >= 0):
        raise ValueError(f"noise_variance must be finite and >= 0, got {noise_variance}.")
    return average([one.taught_labels(beta, noise_variance) for one in teachers], weights)


def average(answers: Sequence[Answers], weights: ArrayLike | None = None) -> Answers:
    """Weighted sum of independent answers; the parameters are those of `committee`."""
    if weights is None:
        weights = np.full(len(answers), 1 / max(len(answers), 1))
    w = real_array(weights, "weights", 1)
    if len(w) != len(answers):
        raise ValueError(f"weights must be one for each of {len(answers)} teachers, got {len(w)}.")
    return Answers(
        np.hstack([one.directions for one in answers]),
        np.concatenate([share * one.mean for share, one in zip(w, answers, strict=True)]),
        linalg.block_diag(*(s**2 * one.covariance for s, one in zip(w, answers, strict=True))),
    )


def expected_risks(
    bases: Sequence[ArrayLike],
    target: ArrayLike,
    noise_variance: float,
    sizes: Sequence[int],
    *,
    ridge: float | Sequence[float] = 0.0,
    moments: Sequence[Array | None] | None = None,
    test: ArrayLike | None = None,
) -> Array:
    r"""Expected excess risk of each model of a chain teacher -> middle -> ... -> student.

    Parameters
    ----------
    bases : sequence of (D, d) array_like
        Features from the teacher's to the student's, as in `Stage`.
    target : (D,) array_like
        Coefficients beta.
    noise_variance : float
        Label noise sigma^2, in squared units of the target.
    sizes : sequence of int
        Labels n of the teacher, and of each further model the fresh inputs that the one before it
        labels: n, N_1, ..., N_k.
    ridge : float or sequence of float
        Of all models or of each.
    moments : sequence of (D, D) array_like, optional
        Second moment of each model's training inputs; the identity by default.
    test : (D, D) array_like, optional
        Second moment of the inputs that count; the identity by default.

    Returns
    -------
    (stages,) ndarray
        In squared units of the target.

    Raises
    ------
    ValueError
        If shapes or lengths do not fit, or as `Stage` and `Stage.taught_labels`.

    Examples
    --------
    A student of its own twin changes nothing: it sees all that it is told.

    >>> V = np.eye(6)
    >>> expected_risks([V[:, :4], V[:, 2:]], np.ones(6), 1.0, [20, 30]).round(3)
    array([2.8  , 4.784])
    >>> expected_risks([V[:, :4], V[:, 2:], V[:, 2:]], np.ones(6), 1.0, [20, 30, 30]).round(3)
    array([2.8  , 4.784, 4.784])
    """
    beta, stages = stages_of(bases, target, sizes, ridge, moments)
    law = None if test is None else second_moment(test, "test", len(beta))
    answers = committee(stages[:1], beta, noise_variance)
    found = [answers.risk(beta, law)]
    for stage in stages[1:]:
        answers = stage.taught(answers)
        found.append(answers.risk(beta, law))
    return np.array(found)


def stages_of(
    bases: Sequence[ArrayLike],
    target: ArrayLike,
    sizes: Sequence[int],
    ridge: float | Sequence[float] = 0.0,
    moments: Sequence[Array | None] | None = None,
) -> tuple[Array, list[Stage]]:
    """Target and models of a chain; the parameters are those of `expected_risks`."""
    beta = real_array(target, "target", 1)
    features = [real_array(basis, f"bases[{i}]", 2) for i, basis in enumerate(bases)]
    same_rows(**{f"bases[{i}]": one for i, one in enumerate(features)}, target=beta)
    alphas = np.ravel(ridges(ridge, "ridge")).tolist()
    alphas = alphas * len(features) if np.ndim(ridge) == 0 else alphas
    laws = [None] * len(features) if moments is None else list(moments)
    for name, given in (("sizes", sizes), ("ridge", alphas), ("moments", laws)):
        if len(given) != len(features):
            raise ValueError(
                f"{name} must be one for each of {len(features)} models, got {len(given)}."
            )
    each = zip(features, sizes, alphas, laws, strict=True)
    return beta, [Stage(*about) for about in each]
