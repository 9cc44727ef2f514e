r"""Laws of binary labels and of scores, and what follows of them: accuracy, loss, calibration.

A score is :math:`\omega = b + g\,t + s\,\zeta`: the latent t of the labels, of mean zero and
variance one, and independent Gaussian noise. What a model does with classes depends on its offset
b, its slope g and its spread s only. Labels are -1 and 1.

>>> labels = Logistic(power=4.0)
>>> float(accuracy(labels, Score(0.0, 1.0, 1e-6)).round(3))  # whoever knows the log odds
0.778
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from scipy import optimize, special

from w2s_utils._validate import Array
from w2s_utils.directions import Directions
from w2s_utils.theory.quadrature import NODES, WEIGHTS, between, density

_SAME = 0.01  # relative difference of variances that are meant to be equal
_BLOCK = 4096  # nodes for each of which the latent is integrated over at once


Rule = Callable[[Array, Array], tuple[Array, Array]]
"""Nodes and weights, from where the score is zero and where the labels' edge is."""


class Component(NamedTuple):
    """Gaussian part of a latent's law: its share, mean and variance."""

    share: float
    mean: float
    variance: float


class Labels(Protocol):
    """Law of labels -1 and 1 given a latent of mean zero and variance one."""

    @property
    def power(self) -> float:
        """Variance of the target that is the latent times its square root."""

    @property
    def edge(self) -> float:
        """Latent at which the chance of a label changes most."""

    @property
    def components(self) -> Sequence[Component]:
        """Gaussian parts of the latent's law."""

    def chance(self, component: int, mean: Array, variance: Array) -> tuple[Array, Array]:
        """P(y = 1) for latents N(mean, variance) in a component, and its derivative by the mean."""


@dataclass(frozen=True)
class Classes:
    r"""Inputs that are Gaussian in each of two classes, with one covariance: t is the label.

    The target is the label less its mean, :math:`\mathbb E[z(y-\bar y)]` along directions z.

    Attributes
    ----------
    share : float
        Share of class 1, in (0, 1).
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a share that leaves one class only."""
        if not 0 < self.share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {self.share}.")

    @property
    def power(self) -> float:
        """Variance of the label."""
        return 4 * self.share * (1 - self.share)

    @property
    def edge(self) -> float:
        """Latent without a label."""
        return 0.0

    @property
    def components(self) -> Sequence[Component]:
        """Class -1 and class 1."""
        odds = np.sqrt((1 - self.share) / self.share)
        return Component(1 - self.share, -1 / odds, 0.0), Component(self.share, odds, 0.0)

    def chance(self, component: int, mean: Array, variance: Array) -> tuple[Array, Array]:
        """As of `Labels`."""
        return np.full_like(mean, float(component)), np.zeros_like(mean)


@dataclass(frozen=True)
class Logistic:
    r"""Gaussian inputs and labels with the log odds :math:`a_0 + f_*`, :math:`f_*=\sqrt\rho\,t`.

    Attributes
    ----------
    power : float
        Variance rho > 0 of the target f_*.
    offset : float
        Mean log odds a_0.
    """

    power: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a target that does not vary."""
        _above_zero(self.power)
        if not np.isfinite(self.offset):
            raise ValueError(f"offset must be finite, got {self.offset}.")

    @property
    def edge(self) -> float:
        """Where both labels are equally likely."""
        return float(-self.offset / np.sqrt(self.power))

    @property
    def components(self) -> Sequence[Component]:
        """One for all."""
        return (Component(1.0, 0.0, 1.0),)

    def chance(self, component: int, mean: Array, variance: Array) -> tuple[Array, Array]:
        """As of `Labels`."""
        root = np.sqrt(self.power)
        middle, spread = self.offset + root * mean.ravel(), root * np.sqrt(variance).ravel()
        found = np.empty((2, mean.size))
        for start in range(0, mean.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            odds = middle[block, None] + spread[block, None] * NODES
            chance = special.expit(odds)
            found[0, block] = chance @ WEIGHTS
            found[1, block] = root * (chance * special.expit(-odds)) @ WEIGHTS
        return found[0].reshape(mean.shape), found[1].reshape(mean.shape)


@dataclass(frozen=True)
class Sign:
    r"""Gaussian inputs and labels :math:`\operatorname{sign}f_*`, some of them turned round.

    Attributes
    ----------
    power : float
        Variance of the target f_*, above zero.
    flips : float
        Share eta of labels that are turned round, in [0, 1/2).
    """

    power: float
    flips: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a target that does not vary, and labels that say the contrary."""
        _above_zero(self.power)
        if not 0 <= self.flips < 0.5:
            raise ValueError(f"flips must be in [0, 1/2), got {self.flips}.")

    @property
    def edge(self) -> float:
        """Where the labels change their sign."""
        return 0.0

    @property
    def components(self) -> Sequence[Component]:
        """One for all."""
        return (Component(1.0, 0.0, 1.0),)

    def chance(self, component: int, mean: Array, variance: Array) -> tuple[Array, Array]:
        """As of `Labels`."""
        spread = np.sqrt(np.maximum(variance, np.finfo(float).tiny))
        told = 1 - 2 * self.flips
        at = mean / spread
        return self.flips + told * special.ndtr(at), told * density(at) / spread


def _above_zero(power: float) -> None:
    if not (np.isfinite(power) and power > 0):
        raise ValueError(f"power must be finite and > 0, got {power}.")


def check_target(directions: Directions, labels: Labels) -> None:
    """Refuse a target of another variance than the labels' law says, by one sentence."""
    for name, features in (("weak", directions.weak), ("strong", directions.strong)):
        power = float(features.target @ features.target + features.rho)
        if isinstance(labels, Classes):
            if power > labels.power * (1 + 1e-9):
                raise ValueError(
                    f"The target of the {name} directions must vary less than the label, whose "
                    f"variance is {labels.power:.6g}, got |target|^2 + rho = {power:.6g}."
                )
        elif abs(power / labels.power - 1) > _SAME:
            raise ValueError(
                f"labels.power must be the variance of the target of the {name} directions, "
                f"|target|^2 + rho = {power:.6g}, got {labels.power:.6g}."
            )


@dataclass(frozen=True)
class Score:
    """Law of a model's score; its sign is the model's answer.

    Attributes
    ----------
    offset, slope, spread : ndarray
        Mean, covariance with the labels' latent, and standard deviation of the rest, above zero.
    """

    offset: Array | float
    slope: Array | float
    spread: Array | float


class Scores(NamedTuple):
    """Scores of the four models."""

    weak: Score
    student: Score
    baseline: Score
    ceiling: Score


class Seen(NamedTuple):
    r"""Values of a score and their weights; at each P(y = 1), and the latent's mean with y = 1.

    The latter is :math:`\mathbb E[t\,1(y=1)]`, beside :math:`\mathbb E[t]`.
    """

    weight: Array
    score: Array
    chance: Array
    latent_of_1: Array
    latent: Array


def seen(labels: Labels, score: Score) -> Seen:
    """Integration rule over a score, the last axis, with the labels' law at each of its values."""
    return _seen(labels, score, lambda *_: (NODES, WEIGHTS))


def _seen(labels: Labels, score: Score, rule: Rule) -> Seen:
    """`seen` by another rule for standard normal values."""
    offset, slope, spread = (
        np.asarray(part, float)[..., None] for part in (score.offset, score.slope, score.spread)
    )
    parts = []
    for k, (share, mean, variance) in enumerate(labels.components):
        total = np.sqrt(slope**2 * variance + spread**2)
        middle = offset + slope * mean
        to_latent = slope * variance / total
        with np.errstate(divide="ignore", invalid="ignore"):
            at_edge = (labels.edge - mean) / np.where(to_latent, to_latent, np.nan)
        nodes, weights = rule(-middle / total, np.nan_to_num(at_edge))
        latent = mean + to_latent * nodes
        left = variance * (spread / total) ** 2 + 0 * latent
        chance, growth = labels.chance(k, latent, left)
        columns = share * weights, middle + total * nodes, chance, latent * chance + left * growth
        parts.append(np.broadcast_arrays(*columns, latent))
    return Seen(*(np.concatenate(one, axis=-1) for one in zip(*parts, strict=True)))


def accuracy(labels: Labels, score: Score, threshold: float = 0.0, balanced: bool = False) -> Array:
    r"""Chance that the side of a threshold on which a score lies is its label's.

    Parameters
    ----------
    labels : Labels
    score : Score
    threshold : float
    balanced : bool
        The mean of both classes' accuracies in place of that of all inputs.

    Returns
    -------
    ndarray
        Of the score's shape.

    Notes
    -----
    Of `Classes` it is :math:`\sum_y\pi_y\Phi(y(b+g\,t_y)/s)`, and of `Sign` labels
    :math:`1-\arccos(r)/\pi` for a score of mean zero whose correlation with the target is r.
    """
    moved = Score(np.asarray(score.offset) - threshold, score.slope, score.spread)
    at = _seen(labels, moved, between)
    right_1 = np.sum(at.weight * at.chance * (at.score > 0), axis=-1)
    right_0 = np.sum(at.weight * (1 - at.chance) * (at.score <= 0), axis=-1)
    if balanced:
        share = share_of_1(labels)
        return np.asarray((right_0 / (1 - share) + right_1 / share) / 2)
    return np.asarray(right_0 + right_1)


def share_of_1(labels: Labels) -> float:
    """Share of labels that are 1."""
    return sum(
        share * float(labels.chance(k, np.asarray(mean), np.asarray(variance))[0])
        for k, (share, mean, variance) in enumerate(labels.components)
    )


def cross_entropy(labels: Labels, score: Score) -> Array:
    """Expected cross-entropy in nats of scores that are log odds.

    Parameters
    ----------
    labels : Labels
    score : Score

    Returns
    -------
    ndarray
        Of the score's shape.
    """
    at = _seen(labels, score, between)
    loss = np.logaddexp(0, -at.score) * at.chance + np.logaddexp(0, at.score) * (1 - at.chance)
    return np.asarray(np.sum(at.weight * loss, axis=-1))


def calibration_error(labels: Labels, score: Score) -> Array:
    r"""Expected error of the probabilities, :math:`\mathbb E|P(y=1\mid\omega)-\sigma(\omega)|`.

    Parameters
    ----------
    labels : Labels
    score : Score
        Log odds.

    Returns
    -------
    ndarray
        Of the score's shape.
    """
    at = _seen(labels, score, partial(between, per_unit=80))  # there is a kink where it is zero
    if len(labels.components) == 1:
        error = np.abs(at.chance - special.expit(at.score))
        return np.asarray(np.sum(at.weight * error, axis=-1))
    # A value can come from each component: weigh them by their densities there.
    weight, of_1 = np.zeros_like(at.score), np.zeros_like(at.score)
    slope, spread = (np.asarray(part, float)[..., None] for part in (score.slope, score.spread))
    for k, (share, mean, variance) in enumerate(labels.components):
        total = np.sqrt(slope**2 * variance + spread**2)
        middle = np.asarray(score.offset, float)[..., None] + slope * mean
        here = share * density((at.score - middle) / total) / total
        latent = mean + slope * variance / total**2 * (at.score - middle)
        chance, _ = labels.chance(k, latent, variance * (spread / total) ** 2 + 0 * latent)
        weight, of_1 = weight + here, of_1 + here * chance
    error = np.abs(of_1 / weight - special.expit(at.score))
    return np.asarray(np.sum(at.weight * error, axis=-1))


def separable_from(labels: Labels, seen_share: float = 1.0) -> float:
    r"""Most features a sample that a fit without ridge can have, d/n: above it none exists.

    With more features a hyperplane separates the labels of nearly every training set, and the
    weights that minimise the cross-entropy without ridge are infinite.

    Parameters
    ----------
    labels : Labels
    seen_share : float
        Share of the latent's variance that the features explain, in [0, 1].

    Returns
    -------
    float

    Notes
    -----
    :math:`\min_{b,g}\mathbb E\,(\zeta - y(b + g\,t'))_+^2` with the latent's visible part t', for
    models with an intercept (Candès and Sur, 2020, for logistic labels).
    """
    if not 0 <= seen_share <= 1:
        raise ValueError(f"seen_share must be in [0, 1], got {seen_share}.")
    # What they see is a score of variance 1, with all that it says of the labels.
    hidden = max(1 - seen_share, 1e-12)
    at_score = _seen(labels, Score(0.0, np.sqrt(1 - hidden), np.sqrt(hidden)), between)
    visible = [
        (at_score.weight * chance, y, at_score.score)
        for chance, y in ((at_score.chance, 1.0), (1 - at_score.chance, -1.0))
    ]

    def loss(at: Array) -> float:
        b, g = at
        total = 0.0
        for weight, y, t in visible:
            edge = -y * (b + g * t)
            power = (1 + edge**2) * special.ndtr(edge) + edge * density(edge)
            total += float(np.sum(weight * power))
        return total

    return float(optimize.minimize(loss, np.zeros(2), tol=1e-12).fun)
