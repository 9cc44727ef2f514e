"""Two sketches of the correlation dimension that compare coordinates of different models.

They are written from the description of the published measurements, only to show what they measure:
the eigenvectors of two models live in unrelated coordinate systems, a random map between these
relates them at random, and the result is the overlap of two unrelated subspaces
(`subspaces.random_overlap`), whatever the features are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array
from w2s_utils.measure.spectrum import energy_directions, intrinsic_dimension, leading_directions
from w2s_utils.subspaces import overlap, random_basis


def projection_sketch(
    weak: ArrayLike, strong: ArrayLike, rng: np.random.Generator, energy: float = 0.99
) -> float:
    """Overlap of eigenvectors after random projections of both feature sets to the smaller width.

    Parameters
    ----------
    weak : (M, width_w) array_like
    strong : (M, width_s) array_like
        Features, one row an input; not centred. The sets need not have the same inputs: the sketch
        does not know.
    rng : numpy.random.Generator
        Draws the two Gaussian projections.
    energy : float
        Share of the trace that sets both intrinsic dimensions, in (0, 1].

    Returns
    -------
    float
        Its expectation is d_w d_s / D, with D the smaller width.

    Raises
    ------
    ValueError
        If the features are not finite matrices, are all zero, or the energy is out of range.
    """
    W, S = real_array(weak, "weak", 2), real_array(strong, "strong", 2)
    width = min(W.shape[1], S.shape[1])

    def sketch(X: Array) -> Array:
        projected = X @ rng.standard_normal((X.shape[1], width))
        return leading_directions(projected, intrinsic_dimension(X, energy))

    return overlap(sketch(W), sketch(S))


def rotation_sketch(
    weak: ArrayLike, strong: ArrayLike, rng: np.random.Generator, energy: float = 0.99
) -> float:
    """Overlap of eigenvectors after a random orthogonal map into the coordinates of the wider set.

    Parameters
    ----------
    weak : (M, width_w) array_like
    strong : (M, width_s) array_like
        Features, one row an input; not centred.
    rng : numpy.random.Generator
        Draws the map.
    energy : float
        Share of the trace that sets both intrinsic dimensions, in (0, 1].

    Returns
    -------
    float
        Its expectation is d_w d_s / D, with D the larger width.

    Raises
    ------
    ValueError
        If the features are not finite matrices, are all zero, or the energy is out of range.
    """
    narrow, wide = sorted((energy_directions(X, energy)[1] for X in (weak, strong)), key=len)
    return overlap(random_basis(len(wide), len(narrow), rng) @ narrow, wide)
