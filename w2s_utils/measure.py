"""Intrinsic dimensions measured from features."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array


def intrinsic_dimension(features: ArrayLike, energy: float = 0.99) -> int:
    """Least number of eigen-directions that carry a share of the second moment's trace.

    Parameters
    ----------
    features : (M, width) array_like
        One row an input; not centred.
    energy : float
        Share of the trace, in (0, 1].

    Returns
    -------
    int
        Between 1 and min(M, width).

    Raises
    ------
    ValueError
        If the features are not a finite matrix, are all zero, or the energy is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> intrinsic_dimension(np.diag([10.0, 1.0, 0.1]), energy=0.99)
    1
    >>> intrinsic_dimension(np.diag([10.0, 1.0, 0.1]), energy=0.999)
    2
    """
    if not 0 < energy <= 1:
        raise ValueError(f"energy must lie in (0, 1], got {energy}.")
    variances = np.linalg.svd(real_array(features, "features", 2), compute_uv=False) ** 2
    carried = np.cumsum(variances)
    if carried[-1] == 0:
        raise ValueError("features must not all be zero.")
    return int(np.searchsorted(carried / carried[-1], energy * (1 - 1e-12)) + 1)


def top_eigenspace(features: ArrayLike, dimension: int) -> Array:
    """Whitened coordinates of the features' top eigen-directions.

    Parameters
    ----------
    features : (M, width) array_like
        One row an input; not centred.
    dimension : int
        How many directions to keep, at most the rank.

    Returns
    -------
    (M, dimension) ndarray
        Columns are orthogonal with mean square 1.

    Raises
    ------
    ValueError
        If the features are not a finite matrix or have fewer independent directions.
    """
    X = real_array(features, "features", 2)
    left, singular, _ = np.linalg.svd(X, full_matrices=False)
    rank = int(np.sum(singular > singular[0] * max(X.shape) * np.finfo(float).eps))
    if not 1 <= dimension <= rank:
        raise ValueError(f"dimension must be between 1 and the rank {rank}, got {dimension}.")
    coordinates: Array = left[:, :dimension] * np.sqrt(len(X))
    return coordinates
