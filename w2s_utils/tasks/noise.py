"""Label noise that is added on purpose, of known variance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array


@dataclass(frozen=True)
class Noise:
    """Noisy labels of M samples.

    Attributes
    ----------
    variance : float
        Mean square distance between a label and its target.
    draw_labels : callable
        ``draw_labels(rng)`` draws (M,) labels; their mean over draws is the target.
    """

    variance: float
    draw_labels: Callable[[np.random.Generator], Array]


def normal(target: ArrayLike, deviation: float) -> Noise:
    """Add normal noise to each target.

    Parameters
    ----------
    target : (M,) array_like
    deviation : float
        Standard deviation of the noise, in units of the target.

    Returns
    -------
    Noise

    Raises
    ------
    ValueError
        If the target is not a finite vector or the deviation is negative.
    """
    f = real_array(target, "target", 1)
    if not (np.isfinite(deviation) and deviation >= 0):
        raise ValueError(f"deviation must be finite and >= 0, got {deviation}.")
    return Noise(deviation**2, lambda rng: f + deviation * rng.standard_normal(len(f)))


def flips(target: ArrayLike, rate: float) -> Noise:
    r"""Flip signs at random, and undo the shrinkage that this brings.

    A flipped sign has the mean :math:`(1-2\eta) f`, so the labels are divided by :math:`1-2\eta`.
    Otherwise all models would learn a shrunken target, and that bias would hide the noise.

    Parameters
    ----------
    target : (M,) array_like
        Each -1 or 1.
    rate : float
        Probability eta of a flip, below one half.

    Returns
    -------
    Noise
        Of variance :math:`4\eta(1-\eta)/(1-2\eta)^2`.

    Raises
    ------
    ValueError
        If the target holds anything but -1 and 1 or the rate is not in [0, 1/2).
    """
    f = real_array(target, "target", 1)
    if not np.all(np.abs(f) == 1):
        raise ValueError("target must hold -1 and 1 only, for labels that are flipped.")
    if not 0 <= rate < 0.5:
        raise ValueError(f"rate must lie in [0, 1/2), got {rate}.")
    scale = 1 - 2 * rate
    return Noise(
        4 * rate * (1 - rate) / scale**2,
        lambda rng: np.where(rng.random(len(f)) < rate, -f, f) / scale,
    )
