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


def tuned_weights(gram: Array, moment: Array, power: Array) -> tuple[Array, Array]:
    """Weights and ridge of `probes.fit_tuned`, from products of rows with a last column of ones."""
    rows = gram[-1, -1]
    mean, label_mean = gram[-1, :-1] / rows, moment[-1] / rows
    covariance = gram[:-1, :-1] / rows - np.outer(mean, mean)
    cross = moment[:-1] / rows - np.outer(mean, label_mean)
    values, directions = np.linalg.eigh(covariance)
    total = values.sum()
    seen = values > len(values) * np.finfo(float).eps * total
    values, directions = values[seen], directions[:, seen]
    along = directions.T @ cross
    ridges = RIDGES * total
    lost = ridges[:, None] / np.add.outer(ridges, values)  # shares of the directions
    power = power / rows - label_mean**2
    unseen = np.maximum(power - np.sum(along**2 / values[:, None], axis=0), 0)
    residual = lost**2 @ (along**2 / values[:, None]) + unseen
    spare = lost.sum(axis=1) + (rows - 1 - len(values))
    ridge = least((residual / spare[:, None] ** 2).T, ridges)
    weights = directions @ (along / (values[:, None] + ridge))
    return np.vstack([weights, label_mean - mean @ weights]), ridge
