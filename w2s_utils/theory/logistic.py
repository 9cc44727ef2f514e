r"""Weak-to-strong training of classifiers with ridge cross-entropy, in the proportional limit.

For two classes, any angles and spectra, soft or hard pseudo-labels; chapter 16 of the book derives
it. The squared loss is a special case of the same code, where it agrees with `theory.ridge`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from w2s_utils._validate import Array, ridges, sample_size
from w2s_utils.directions import Directions, Features
from w2s_utils.theory import lessons
from w2s_utils.theory.classes import (
    Labels,
    Score,
    Scores,
    check_target,
    share_of_1,
)
from w2s_utils.theory.fixed_point import LOSSES, Fit, Teach, fit

Side = Literal["weak", "strong"]


class Coefficients(NamedTuple):
    """Law of a probe's score on whitened inputs: independent Gaussian coefficients.

    Attributes
    ----------
    mean, variance : (d,) or (d + 1,) ndarray
        With an intercept the last entry is that of a constant input 1, whose mean is `offset`.
    offset : float
    """

    mean: Array
    variance: Array
    offset: float


class _Inputs(NamedTuple):
    """Directions of one feature set, the constant among them if there is an intercept."""

    spectrum: Array
    target: Array  # in units of the labels' latent
    penalised: Array


@dataclass(frozen=True, eq=False)
class Probes:
    """Probes on a pair of feature sets.

    Attributes
    ----------
    directions : Directions
        Their target has the variance `labels.power`, and is what the labels depend on; the noise
        is that of the labels' law.
    labels : Labels
    loss : {"cross-entropy", "squared"}
    pseudo_labels : {"soft", "hard"}
        A teacher's probabilities, for the squared loss its scores; or the more probable class.
    temperature : float
        Divides a teacher's log odds before they become soft pseudo-labels.
    intercept : bool
        Whether probes have one, without ridge.
    """

    directions: Directions
    labels: Labels
    loss: Literal["cross-entropy", "squared"] = "cross-entropy"
    pseudo_labels: Literal["soft", "hard"] = "soft"
    temperature: float = 1.0
    intercept: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse words that mean nothing here."""
        for name, value, known in (
            ("loss", self.loss, tuple(LOSSES)),
            ("pseudo_labels", self.pseudo_labels, ("soft", "hard")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be {known[0]!r} or {known[1]!r}, got {value!r}.")
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature must be finite and > 0, got {self.temperature}.")

    def single(self, side: Side, m: float, alpha: float, near: Fit | None = None) -> Fit | None:
        """Fit to m drawn labels; None if no solution is found."""
        loss, x = LOSSES[self.loss], self._inputs[side]
        return fit(
            x.spectrum,
            alpha * x.penalised,
            m,
            (x.spectrum * x.target**2)[None, None],
            lessons.drawn(self.labels, loss),
            loss,
            self.intercept,
            near,
        )

    def student(
        self, teacher: Fit, alpha_w: float, N: float, alpha_s: float, near: Fit | None = None
    ) -> Fit | None:
        """Fit of the strong features to N pseudo-labels; None if no solution is found."""
        x = self._inputs["strong"]
        mean, variance = self._told(teacher, alpha_w)
        between = x.target * mean
        return fit(
            x.spectrum,
            alpha_s * x.penalised,
            N,
            x.spectrum * np.array([[x.target**2, between], [between, mean**2 + variance]]),
            self.lesson(teacher),
            LOSSES[self.loss],
            self.intercept,
            near,
        )

    def lesson(self, teacher: Fit) -> Teach:
        """What a student is told."""
        if self.pseudo_labels == "hard":
            return lessons.hard(self.labels, score(teacher), LOSSES[self.loss])
        scale = 1 / self.temperature if self.loss == "cross-entropy" else 1.0
        return lessons.soft(self.labels, score(teacher), scale)

    def taught_1(self, teacher: Fit) -> float:
        """Share of a teacher's hard pseudo-labels that are 1; soft ones are of both classes."""
        if self.pseudo_labels == "soft":
            return 0.5
        law, total = score(teacher), 0.0
        for share, mean, variance in self.labels.components:
            spread = np.hypot(law.slope * np.sqrt(variance), law.spread)
            total += share * float(special.ndtr((law.offset + law.slope * mean) / spread))
        return total

    def coefficients(self, side: Side, probe: Fit, alpha: float) -> Coefficients:
        """Law of a probe that is fitted to drawn labels."""
        kept = self._kept(side, probe, alpha)
        mean = self.gain(side, probe, alpha) * self._inputs[side].target
        return Coefficients(mean, probe.noise * kept**2, probe.offset)

    def gain(self, side: Side, probe: Fit, alpha: float) -> Array:
        """Mean coefficients over the target's, this in units of the labels' latent."""
        return np.asarray(self._kept(side, probe, alpha) * probe.pull[0])

    def student_gains(
        self, teacher: Fit, alpha_w: float, probe: Fit, alpha_s: float
    ) -> tuple[Array, Array]:
        """The same of a student: over the strong target's, and sizes of those over the weak one's.

        The latter are root sums of squares over weak directions.
        """
        kept, (slope,), (pull_t, pull_w) = (
            self._kept("strong", probe, alpha_s), teacher.slopes, probe.pull,
        )  # fmt: skip
        through = np.sqrt(self._cross**2 @ self.gain("weak", teacher, alpha_w) ** 2)
        pull_w = pull_w / teacher.spread
        return kept * (pull_t - pull_w * slope), kept * np.abs(pull_w) * through

    def student_coefficients(
        self, teacher: Fit, alpha_w: float, probe: Fit, alpha_s: float
    ) -> Coefficients:
        """Law of a student, over teachers as well."""
        kept = self._kept("strong", probe, alpha_s)
        mean, variance = self._told(teacher, alpha_w)
        pull_t, pull_w = probe.pull
        return Coefficients(
            kept * (pull_t * self._inputs["strong"].target + pull_w * mean),
            kept**2 * (pull_w**2 * variance + probe.noise),
            probe.offset,
        )

    def _told(self, teacher: Fit, alpha_w: float) -> tuple[Array, Array]:
        """Strong directions' covariances with what a teacher's score has beside the latent."""
        own, target = self.coefficients("weak", teacher, alpha_w), self._inputs["weak"].target
        # The score's moments are those of the coefficients to the last digit, so that a student
        # that sees all of them has nothing left.
        slope = float(own.mean @ target)
        beside = np.sum((own.mean - slope * target) ** 2 + own.variance)
        power = beside + slope**2 * max(1 - float(target @ target), 0.0)
        mean = self._cross @ own.mean - slope * self._inputs["strong"].target
        return mean / np.sqrt(power), self._cross**2 @ own.variance / power

    def _kept(self, side: Side, probe: Fit, alpha: float) -> Array:
        x = self._inputs[side]
        return x.spectrum * probe.factors(x.spectrum, alpha * x.penalised)

    @cached_property
    def _inputs(self) -> dict[Side, _Inputs]:
        found: dict[Side, _Inputs] = {}
        sides: tuple[Side, Side] = "weak", "strong"
        for side in sides:
            features: Features = getattr(self.directions, side)
            target = features.target / np.sqrt(self.labels.power)
            inputs = _Inputs(features.spectrum, target, np.ones_like(target))
            if self.intercept:
                inputs = _Inputs(*map(np.append, inputs, (1.0, 0.0, 0.0)))
            found[side] = inputs
        return found

    @cached_property
    def _cross(self) -> Array:
        cross = self.directions.cross
        if not self.intercept:
            return cross
        return np.block([[cross, np.zeros((len(cross), 1))], [np.zeros(cross.shape[1]), 1.0]])


def score(probe: Fit) -> Score:
    """Score of a probe as the labels see it."""
    slope, *others = probe.slopes
    return Score(probe.offset, slope, float(np.hypot(np.linalg.norm(others), probe.spread)))


def expected_scores(
    probes: Probes,
    n: ArrayLike,
    N: ArrayLike,
    alpha_w: ArrayLike,
    alpha_s: ArrayLike,
    *,
    alpha_b: ArrayLike | None = None,
    alpha_c: ArrayLike | None = None,
) -> Scores:
    r"""Laws of the four models' scores on fresh inputs, for `theory.classes` to evaluate.

    Parameters
    ----------
    probes : Probes
    n, N : array_like of int
        Labelled and pseudo-labelled samples.
    alpha_w, alpha_s, alpha_b, alpha_c : array_like
        Ridges of teacher, student, baseline and ceiling, :math:`\frac\alpha2\|w\|^2` beside the
        mean cross-entropy or half of the mean squared loss, in squared units of the features; the
        last two are `alpha_s` by default. `softmax.fit_softmax` has the same ridge for two classes,
        and so has `probes.fit_ridge` for the squared loss.

    Returns
    -------
    Scores
        Arrays of the broadcast shape.

    Raises
    ------
    ValueError
        If a size or ridge is out of range, the target has another variance than the labels' law
        says, or no solution is found: without ridge none exists where the labels are separable
        (`theory.classes.separable_from`), and none where all labels of a fit are of one class.

    Examples
    --------
    >>> from w2s_utils.pair import GaussianPair
    >>> from w2s_utils.theory.classes import Sign, accuracy
    >>> pair = GaussianPair.paper(d_sw=10)
    >>> directions = pair.along(np.ones(pair.d_w), np.ones(pair.d_s))
    >>> labels = Sign(power=float(pair.target @ pair.target))
    >>> found = expected_scores(Probes(directions, labels), 400, 4000, 0.1, 0.1)
    >>> [float(accuracy(labels, one).round(3)) for one in found]
    [0.558, 0.516, 0.796, 0.855]
    """
    check_target(probes.directions, probes.labels)
    alpha_b, alpha_c = (alpha_s if alpha is None else alpha for alpha in (alpha_b, alpha_c))
    sizes = sample_size(n, "n", 0, "zero"), sample_size(N, "N", 0, "zero")
    named = {"alpha_w": alpha_w, "alpha_s": alpha_s, "alpha_b": alpha_b, "alpha_c": alpha_c}
    given = *sizes, *(ridges(alpha, name) for name, alpha in named.items())
    try:
        every = np.broadcast_arrays(*given)
    except ValueError:
        shapes = ", ".join(str(one.shape) for one in given)
        raise ValueError(f"n, N and the ridges must broadcast, got shapes {shapes}.") from None
    shape = every[0].shape
    known: dict[tuple[float, ...], Fit] = {}

    def found(
        key: tuple[float, ...],
        model: str,
        solve: Callable[[], Fit | None],
        taught_1: Callable[[], float] = lambda: share_of_1(probes.labels),
    ) -> Fit:
        if key not in known:
            solution = solve()
            if solution is None:
                rare, at = key[1] * taught_1(), f"at size {key[1]:g} and ridge {key[2]:g}"
                rare = min(rare, key[1] - rare)
                why = (
                    f"its labels are all of one class, {rare:.1g} of the other are expected."
                    if probes.intercept and rare < 1
                    else "raise the ridge, or, without one, take labels that are not separable."
                )
                raise ValueError(f"No fit of the {model} was found {at}: {why}")
            known[key] = solution
        return known[key]

    points: list[tuple[Score, ...]] = []
    for n_, N_, a_w, a_s, a_b, a_c in zip(*(one.ravel().tolist() for one in every), strict=True):
        teacher = found((0, n_, a_w), "teacher", lambda: probes.single("weak", n_, a_w))  # noqa: B023
        fits = (
            teacher,
            found(
                (1, N_, a_s, n_, a_w),
                "student",
                lambda: probes.student(teacher, a_w, N_, a_s),  # noqa: B023
                lambda: probes.taught_1(teacher),  # noqa: B023
            ),
            found((2, n_, a_b), "baseline", lambda: probes.single("strong", n_, a_b)),  # noqa: B023
            found((2, n_ + N_, a_c), "ceiling", lambda: probes.single("strong", n_ + N_, a_c)),  # noqa: B023
        )
        points.append(tuple(map(score, fits)))

    def stacked(of_model: tuple[Score, ...]) -> Score:
        parts = ([getattr(one, name) for one in of_model] for name in ("offset", "slope", "spread"))
        return Score(*(np.reshape(part, shape) for part in parts))

    return Scores(*map(stacked, zip(*points, strict=True)))
