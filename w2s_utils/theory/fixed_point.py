r"""Probes with a ridge in the limit of many samples and features, for any convex loss.

A probe minimises :math:`\frac1m\sum_i\ell(y_i, b+\langle w,x_i\rangle)+\frac\lambda2\|w\|^2`.
Leave one input out: the others know nothing of it, its score :math:`\omega` is Gaussian given the
latents of its label, and the fit moves it to :math:`u` with :math:`u-\omega=Vf`,
:math:`f=-\ell'(y,u)`. Chapter 16 of the book derives the equations for the numbers of a `Fit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from w2s_utils._validate import Array

FAR = 60.0  # logarithms beyond which a number counts as infinite
CLOSE = 1e-10  # residual of a solution
_ROUNDED = 1e-13
_LITTLE = 1e-4  # share of a score's power beside its slopes
_ROUNDING, _LOG_ROUNDING = 1e-12, 1e-6  # residuals that rounding can leave there
_FAST = 0.3  # of the residual before, for derivatives to be kept
_NEWTON, _HALVINGS, _AVERAGED = 40, 12, 3
_LEAST_STEP = 0.02  # of the logarithm of the ridges, from one solution to the next


class Loss(Protocol):
    """A loss of scores; `certain` is what a label of 1 tells."""

    certain: float

    def answer(self, score: Array, told: Array, V: float) -> tuple[Array, Array]:
        """Residual f of inputs that the fit has seen, and its decrease with their scores."""


class SquaredLoss:
    """Half of (told - u)^2."""

    certain = 1.0

    def answer(self, score: Array, told: Array, V: float) -> tuple[Array, Array]:
        """As of `Loss`."""
        return (told - score) / (1 + V), np.full_like(score, 1 / (1 + V))


class CrossEntropy:
    """log(1 + e^u) - p u for labels of probability p, of which `told` is the log odds."""

    certain = np.inf

    def answer(self, score: Array, told: Array, V: float) -> tuple[Array, Array]:
        """As of `Loss`."""
        p, q = special.expit(told), special.expit(-told)
        # The gap is convex below zero and concave above: from its lower end Newton's method climbs
        # to the root, from its upper one it falls, and never beyond.
        up = score + V * (p - q) / 2 > 0
        u = np.where(up, np.maximum(score - V * q, 0), np.minimum(score + V * p, 0))
        for _ in range(100):
            s, r = special.expit(u), special.expit(-u)
            f, slope = p * r - q * s, s * r
            step = (score + V * f - u) / (1 + V * slope)
            u = u + step
            if np.all(np.abs(step) <= 1e-9 * (1 + np.abs(u))):
                break
        s, r = special.expit(u), special.expit(-u)
        slope = s * r
        return p * r - q * s, slope / (1 + V * slope)


LOSSES: dict[str, Loss] = {"cross-entropy": CrossEntropy(), "squared": SquaredLoss()}


class Lessons(NamedTuple):
    """An integration rule over what a probe sees.

    Attributes
    ----------
    weight, score, told : (nodes,) ndarray
        Weights, scores of inputs that were left out, and what their labels tell.
    latents : (latents, nodes) ndarray
        Their mean there.
    """

    weight: Array
    score: Array
    told: Array
    latents: Array


Teach = Callable[[Array, float, float], Lessons]
"""What a probe sees whose score has these slopes on the latents, this spread and offset."""


@dataclass(frozen=True, eq=False)
class Fit:
    r"""What a probe's training comes to.

    Its weights along direction i of variance e_i are Gaussian: of mean
    :math:`R_i\sum_k\kappa_kc_{ik}` and variance :math:`\hat q\,e_iR_i^2` with
    :math:`R_i=1/(\lambda_i+\hat Ve_i)` and the inputs' covariances c with the latents.

    Attributes
    ----------
    response : float
        V, by how much a unit of residual moves an input's own score.
    curvature : float
        :math:`\hat V`, mean decrease of the residual with the score.
    noise : float
        :math:`\hat q=\mathbb E f^2/m`.
    pull : (latents,) ndarray
        kappa.
    offset : float
        Mean intercept.
    slopes : (latents,) ndarray
        Of the score on the latents, which have unit variance and are uncorrelated.
    spread : float
        Standard deviation of the score around them.
    """

    response: float
    curvature: float
    noise: float
    pull: Array
    offset: float
    slopes: Array
    spread: float

    def factors(self, spectrum: Array, penalty: Array | float) -> Array:
        """R_i of `Fit`."""
        return np.asarray(1 / (penalty + self.curvature * spectrum))

    @property
    def state(self) -> Array:
        """Unknowns of the equations."""
        logarithms = np.log(self.response), 2 * np.log(self.spread)
        return np.array([*logarithms, *self.slopes, self.offset])


def fit(
    spectrum: Array,
    penalties: Array,
    m: float,
    powers: NDArray[np.float64],
    teach: Teach,
    loss: Loss,
    intercept: bool,
    near: Fit | None = None,
) -> Fit | None:
    """Solve for the law of a probe; None if no solution is found.

    Parameters
    ----------
    spectrum, penalties : (d,) ndarray
        Variances of the features along their directions and the ridge on each. An intercept's
        error is that of a direction of variance 1 and ridge 0, to be given with the others.
    m : float
        Samples.
    powers : (latents, latents, d) ndarray
        Mean products of the inputs' covariances with the latents.
    teach : callable
    loss : Loss
    intercept : bool
        Whether the offset is fitted; else it is zero.
    near : Fit, optional
        Where to start, of nearly the same problem.
    """
    problem = _Problem(spectrum, penalties, m, powers, teach, loss, intercept)
    if near is not None:
        found = problem.solve(near.state)
        if found is not None:
            return problem.fit(found)
    found = problem.solve(problem.start())
    return problem.fit(found) if found is not None else _follow(problem)


def _follow(problem: _Problem) -> Fit | None:
    """From the solution of larger ridges, which is easy, down to the wanted ones."""
    wanted = problem.penalties
    largest = wanted.max()
    if largest <= 0:
        return None

    def at(scale: float, near: Array) -> Array | None:
        problem.penalties = wanted * np.exp(scale)
        return problem.solve(near)

    here = float(max(0.0, np.log(problem.spectrum.mean() / largest)))
    problem.penalties = wanted * np.exp(here)
    found = problem.solve(problem.start())
    if found is None:
        return None
    step, path = np.log(10), [(here, found)]
    while here > 0:
        below = max(here - step, 0.0)
        start = path[-1][1]
        if len(path) > 1:
            (at_0, x_0), (at_1, x_1) = path[-2:]
            start = x_1 + (x_1 - x_0) * (below - at_1) / (at_1 - at_0)
        found = at(below, start)
        if found is not None:
            here = below
            path.append((here, found))
        else:
            step /= 2
            if step < _LEAST_STEP:
                return None
    return problem.fit(path[-1][1])


@dataclass(eq=False)
class _Problem:
    spectrum: Array
    penalties: Array
    m: float
    powers: NDArray[np.float64]
    teach: Teach
    loss: Loss
    intercept: bool

    def __post_init__(self) -> None:
        """Covariances of the inputs and of what they do not see with the latents."""
        self.covariances = self.powers / self.spectrum
        unseen = np.eye(len(self.powers)) - self.covariances.sum(axis=-1)
        values, vectors = np.linalg.eigh(unseen)
        self.unseen = vectors * np.where(values > _ROUNDED, values, 0) @ vectors.T

    def start(self) -> Array:
        """Some averaged steps from a fit that knows nothing."""
        response = self.spectrum.sum() / self.m / (self.penalties.max() + self.spectrum.mean() / 5)
        x = np.zeros(len(self.powers) + 3)
        x[:2] = np.log(response), np.log(0.1)
        for _ in range(_AVERAGED):
            after = self.after(x)[0]
            if not np.all(np.isfinite(after)):
                break
            x = (x + after) / 2
        return x

    def fit(self, x: Array) -> Fit:
        return self.after(x)[1]

    def after(self, x: Array, little: bool = False) -> tuple[Array, Fit]:
        """State that follows from a state, and the fit that has it."""
        response, variance = np.exp(np.clip(x[:2], -FAR, FAR))
        slopes, offset = x[2:-1], x[-1]
        seen = self.teach(slopes, np.sqrt(variance), offset)
        f, slope = self.loss.answer(seen.score, seen.told, response)
        curvature = max(float(seen.weight @ slope), np.exp(-4 * FAR))
        pulled = seen.weight * f
        noise = float(pulled @ f) / self.m
        pull = seen.latents @ pulled + curvature * slopes
        factors = 1 / (self.penalties + curvature * self.spectrum)
        kept = self.spectrum * factors
        new_slopes = (self.powers @ factors) @ pull
        # The whole power is matched, which converges from afar, or where little is left beside the
        # slopes (of a student that can match soft labels) the rest: a sum of squares, the latents'
        # parts that no feature sees among them, and no difference of nearly equal powers.
        beside = np.outer(pull, kept) - new_slopes[:, None]
        rest = np.einsum("ki,kli,li->", beside, self.covariances, beside)
        rest += new_slopes @ self.unseen @ new_slopes + noise * (kept @ kept)
        squares, whole = new_slopes @ new_slopes, slopes @ slopes + variance
        after = np.array(
            [
                np.log(kept.sum() / self.m),
                np.log(rest) if little else x[1] + np.log((rest + squares) / whole),
                *new_slopes,
                offset + pulled.sum() / curvature if self.intercept else 0.0,
            ]
        )
        made = Fit(
            float(response), curvature, noise, pull, float(offset), slopes, float(np.sqrt(variance))
        )
        return after, made

    def solve(self, x: Array) -> Array | None:
        """Solution near a state, by the residual that determines it well."""
        at_start = _little_spread(x)
        found = self._newton(x, at_start)
        if found is None or at_start == _little_spread(found):
            return found
        return self._newton(found, not at_start)

    def _newton(self, x: Array, little: bool) -> Array | None:
        """Newton's method with steps that are halved if needed.

        Derivatives are differences; as long as the residual falls fast they are updated instead,
        by Broyden's rule. Where little is left beside the slopes it depends on their last digits:
        the steps go on until rounding stops them.
        """

        def gap(x: Array) -> Array:
            return self.after(x, little)[0] - x

        value, slopes = gap(x), None
        for _ in range(_NEWTON):
            size = np.abs(value).max()
            if not np.isfinite(size):
                return None
            if size < CLOSE and not little:
                return x
            old = slopes is not None
            if slopes is None:
                moved = [(gap(x + 1e-6 * unit) - value) / 1e-6 for unit in np.eye(len(x))]
                slopes = np.column_stack(moved)
            try:
                step = np.linalg.solve(slopes, -value)
            except np.linalg.LinAlgError:
                return None
            step *= min(1, 3 / max(np.abs(step[:2]).max(), 1e-300))
            for length in (1.0,) if old else 0.5 ** np.arange(_HALVINGS):
                new = gap(x + length * step)
                if np.abs(new).max() < (_FAST if old else 1) * size:
                    break
            else:
                if old:
                    slopes = None
                    continue
                rounded = np.abs(np.delete(value, 1)).max() < _ROUNDING and size < _LOG_ROUNDING
                return x if little and rounded else None
            step = length * step
            slopes = slopes + np.outer(new - value - slopes @ step, step) / (step @ step)
            if little or np.abs(new).max() > _FAST * size:
                slopes = None
            x, value = x + step, new
        return None


def _little_spread(x: Array) -> bool:
    slopes = x[2:-1]
    return bool(np.exp(x[1]) < _LITTLE * (slopes @ slopes))
