"""Two sets of features along their principal directions: all that fits with ridge depend on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from w2s_utils._validate import Array, squares, variances


class Radii:
    """How unequal the inputs are: groups of them, equally many in each.

    Parameters
    ----------
    squared : (k,) array_like
        Squared radii r^2, above zero and with mean 1.
    noise : (k,) array_like, optional
        Power of the labels' noise, what the features miss included, on inputs of these radii,
        relative to its mean. The same at all radii by default.

    Raises
    ------
    ValueError
        If the squared radii are not positive, the noise is negative or of another length, or the
        mean of either is not 1.
    """

    def __init__(self, squared: ArrayLike, noise: ArrayLike | None = None) -> None:
        self.squared = variances(squared, "radii")
        self.noise = np.ones_like(self.squared) if noise is None else squares(noise, "noise", 1)
        same_length = len(self.noise) == len(self.squared)
        if not same_length or self.noise.min() < 0:
            raise ValueError(
                f"noise must hold a number >= 0 for each of {len(self.squared)} radii, got "
                f"{len(self.noise)} from {self.noise.min():.6g} up."
            )
        for name, values in (("radii", self.squared), ("noise", self.noise)):
            if abs(values.mean() - 1) > 1e-6:
                raise ValueError(f"{name} must have mean 1, got {values.mean():.6g}.")

    def __repr__(self) -> str:
        """Short, as signatures show it."""
        return "EQUAL" if np.ptp(self.squared) == 0 else f"Radii({len(self.squared)} groups)"


EQUAL = Radii([1.0])
"""Gaussian inputs."""


@dataclass(frozen=True, eq=False)
class Features:
    r"""One set of features along its d principal directions.

    Attributes
    ----------
    target : (d,) ndarray
        Target along the directions, :math:`V^\top\beta`.
    rho : float
        Approximation error, in squared units of the target.
    spectrum : (d,) ndarray
        Variances of the features along the directions, all above zero.
    radii : Radii
        Sizes of the inputs as these features see them; all are equal for Gaussian inputs.
    """

    target: Array
    rho: float
    spectrum: Array
    radii: Radii = EQUAL


@dataclass(frozen=True, eq=False)
class Directions:
    r"""A weak and a strong set of features, and how their directions lie to each other.

    Attributes
    ----------
    cross : (d_s, d_w) ndarray
        Inner products :math:`V_s^\top V_w` of the principal directions.
    weak, strong : Features
    noise_variance : float
        Label noise sigma^2.
    """

    cross: Array
    weak: Features
    strong: Features
    noise_variance: float


@dataclass(frozen=True, eq=False)
class PairDirections(Directions):
    """Directions of a `GaussianPair`, from which data can be drawn.

    Attributes
    ----------
    columns : (D, d_w + d_s + 1) ndarray
        The weak and the strong directions and the target.
    """

    columns: Array


GRADED = 1e4  # eigenvalues lose all digits where directions differ more in length


def principal_map(moment: Array, lengths: Array) -> tuple[Array, Array]:
    """Variances of features, and the map of coordinates to whitened ones along their directions.

    The second moment (d, d) is that of the coordinates; the features are the coordinates times
    their lengths (d,). Variances rise.
    """
    if lengths.max() < GRADED * lengths.min():
        values, directions = np.linalg.eigh(moment * lengths * lengths[:, None])
        return values, lengths[:, None] * directions / np.sqrt(values)
    # Slower, and right for features of any units.
    root = np.linalg.cholesky(moment, upper=True)
    left, singular, _ = np.linalg.svd(root * lengths)
    return singular[::-1] ** 2, linalg.solve_triangular(root, left[:, ::-1])
