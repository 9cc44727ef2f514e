"""The best ridges of probes, by the cross-entropy that is expected of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy import special

from w2s_utils import _ridge_path
from w2s_utils._validate import Array, count
from w2s_utils.directions import Directions, Features
from w2s_utils.theory.classes import check_target, cross_entropy
from w2s_utils.theory.fixed_point import Fit, Teach
from w2s_utils.theory.logistic import Probes, Side, score
from w2s_utils.theory.ridge import Ridges

Expect = Callable[[Callable[[Directions], Array]], Array]
TRIED = _ridge_path.RIDGES[:7:-2]  # shares of the total variance, from 10 down to about 1e-6
_GIVEN_UP = 0.5  # logarithm of a loss above the least one, from which on a path is not followed


def best_ridges(probes: Probes, n: float, N: float, expect: Expect | None = None) -> Ridges:
    """Each model's best ridge for the labels that it sees, by cross-entropy.

    Parameters
    ----------
    probes : Probes
    n, N : float
        Labelled and pseudo-labelled samples.
    expect : callable, optional
        As of `theory.ridge.best_ridges`; it is given logarithms of losses.

    Returns
    -------
    Ridges
        Numbers.

    Raises
    ------
    ValueError
        If a size is no positive integer, the target has another variance than the labels' law says,
        or the loss is the squared one: that has `theory.ridge.best_ridges`.

    Notes
    -----
    Teacher, baseline and ceiling have the ridge of their least cross-entropy; the student has that
    of its least cross-entropy to pseudo-labels, since it sees no others.
    """
    n, N = count(n, "n"), count(N, "N")
    check_target(probes.directions, probes.labels)
    if probes.loss != "cross-entropy":
        raise ValueError(
            f"best_ridges are those of the cross-entropy, got loss {probes.loss!r}: take "
            "theory.ridge.best_ridges."
        )
    alpha_w = best_ridge(probes, "weak", n, expect)
    each = (
        alpha_w,
        best_student_ridge(probes, n, alpha_w, N, expect),
        best_ridge(probes, "strong", n, expect),
        best_ridge(probes, "strong", n + N, expect),
    )
    return Ridges(*map(np.asarray, each))


def best_ridge(probes: Probes, side: Side, m: float, expect: Expect | None = None) -> float:
    """Ridge of the least expected cross-entropy of a fit to m drawn labels; see `best_ridges`."""

    def losses(probes: Probes, path: Array) -> Iterator[float]:
        found = None
        for alpha in path:
            found = probes.single(side, m, alpha, found)
            loss = np.inf if found is None else float(cross_entropy(probes.labels, score(found)))
            yield loss

    return _least(probes, side, losses, expect)


def best_student_ridge(
    probes: Probes, n: float, alpha_w: float, N: float, expect: Expect | None = None
) -> float:
    """Ridge of the student's least cross-entropy to pseudo-labels; see `best_ridges`."""

    def losses(probes: Probes, path: Array) -> Iterator[float]:
        teacher, found = probes.single("weak", n, alpha_w), None
        if teacher is None:
            return
        for alpha in path:
            found = probes.student(teacher, alpha_w, N, alpha, found)
            yield np.inf if found is None else _loss(probes.lesson(teacher), found)

    return _least(probes, "strong", losses, expect)


def _least(
    probes: Probes,
    side: Side,
    losses: Callable[[Probes, Array], Iterator[float]],
    expect: Expect | None,
) -> float:
    """Ridge of the least expected loss, of losses along the path of ridges."""
    features: Features = getattr(probes.directions, side)
    path = TRIED * features.spectrum.sum()

    def logarithms(directions: Directions) -> Array:
        found: list[float] = []
        for loss in losses(replace(probes, directions=directions), path):
            found.append(np.log(loss))
            if found[-1] > min(found) + _GIVEN_UP:
                break
        return np.array(found + [np.inf] * (len(path) - len(found)))

    at = expect or (lambda function: function(probes.directions))
    with np.errstate(invalid="ignore"):  # of infinite losses
        return float(_ridge_path.least(at(logarithms), path))


def _loss(lesson: Teach, probe: Fit) -> float:
    """Expected cross-entropy to what is told."""
    at = lesson(probe.slopes, probe.spread, probe.offset)
    p, q = special.expit(at.told), special.expit(-at.told)
    loss = p * np.logaddexp(0, -at.score) + q * np.logaddexp(0, at.score)
    return float(at.weight @ loss)
