"""The path of ridges that is searched for the best one, by theory and by cross-validation."""

from __future__ import annotations

import numpy as np

from w2s_utils._validate import Array

RIDGES = np.geomspace(1e-8, 10, 37)  # in the features' total variance
NEAR = (RIDGES[1] / RIDGES[0]) ** np.arange(-2, 3)  # two steps down, and two up


def least(loss: Array, ridges: Array) -> Array:
    """Ridge of the least loss along the last axis, refined by a parabola in its logarithm.

    The ridges are as many in equal steps, for all losses or for each.
    """
    loss = np.where(np.isnan(loss), np.inf, loss)  # fits without a finite risk
    best = np.argmin(loss, axis=-1)
    middle = np.clip(best, 1, ridges.shape[-1] - 2)
    left, here, right = (
        np.take_along_axis(loss, (middle + step)[..., None], -1)[..., 0] for step in (-1, 0, 1)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (left - right) / (left - 2 * here + right) / 2
    inner = (best == middle) & (np.abs(step) <= 1)  # NaN, or the least at an end: no parabola
    chosen = np.take_along_axis(np.broadcast_to(ridges, loss.shape), best[..., None], -1)[..., 0]
    factor = ridges[..., 1] / ridges[..., 0]
    return np.asarray(chosen * factor ** np.where(inner, step, 0.0))
