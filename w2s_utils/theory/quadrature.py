"""Nodes and weights for integrals over a standard normal variable."""

from __future__ import annotations

import numpy as np

from w2s_utils._validate import Array

NODES = np.linspace(-8, 8, 97)
WEIGHTS = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()  # exact for smooth functions
_FAR = 9.0  # standard deviations


def density(x: Array) -> Array:
    """Standard normal density."""
    return np.asarray(np.exp(-(np.clip(x, -40, 40) ** 2) / 2) / np.sqrt(2 * np.pi))


def between(one: Array, other: Array, per_unit: int = 10) -> tuple[Array, Array]:
    """Rule for functions that are smooth, if steep, between two places where they jump or bend.

    Its nodes crowd at both ends of the parts. Zero is an end, as half of a density that has all of
    16 units to itself would lie between two of them.
    """
    steps = np.linspace(-3.2, 3.2, round(6.4 * per_unit) + 1)
    places = np.tanh(np.pi / 2 * np.sinh(steps))
    shares = np.pi / 2 * np.cosh(steps) / np.cosh(np.pi / 2 * np.sinh(steps)) ** 2 / per_unit
    ends = np.clip(
        np.sort(np.concatenate(np.broadcast_arrays(one, other, 0.0), axis=-1)), -_FAR, _FAR
    )
    outer = np.full_like(ends[..., :1], _FAR)
    ends = np.concatenate([-outer, ends, outer], axis=-1)[..., None]
    half = np.diff(ends, axis=-2) / 2
    nodes = (ends[..., :-1, :] + half * (1 + places)).reshape(*ends.shape[:-2], -1)
    return nodes, (half * shares).reshape(nodes.shape) * density(nodes)
