"""Intrinsic dimensions measured from features, and how far the features are from Gaussian ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array, same_rows


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


def leverage_excess(features: ArrayLike) -> float:
    r"""How much more the inputs vary in leverage than Gaussian ones.

    Parameters
    ----------
    features : (M, d) array_like
        Of full column rank, M > d; one row an input.

    Returns
    -------
    float
        :math:`\ell = \mathrm{Var}(|x|^2)/d - 2` with x the whitened features: 0 for Gaussian
        inputs, -2 at least. Label noise costs :math:`1 + \ell/m` times as much as with Gaussian
        inputs, up to higher orders in 1/m.

    Raises
    ------
    ValueError
        If the features have no more rows than columns or are rank deficient.

    Examples
    --------
    >>> leverage_excess([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    -2.0
    """
    leverage = _leverage(real_array(features, "features", 2))
    return float(leverage.var() / leverage.mean() - 2)


def noise_inflation(features: ArrayLike, residual: ArrayLike) -> float:
    r"""How much more a misspecified target disturbs a fit than independent noise would.

    Parameters
    ----------
    features : (M, d) array_like
        Of full column rank, M > d; one row an input.
    residual : (M,) or (M, k) array_like
        What the features do not explain; k columns act as k independent disturbances.

    Returns
    -------
    float
        :math:`h = \mathbb E[|x|^2\xi^2]/(d\,\mathbb E\,\xi^2)` with x the whitened features: 1
        for independent noise, above 1 if the residual is large where the features are.

    Raises
    ------
    ValueError
        If the shapes do not fit, the features are rank deficient, or the residual is all zero.

    Examples
    --------
    >>> round(noise_inflation([[1.0], [2.0]], [1.0, 2.0]), 12)
    1.36
    """
    X, xi = real_array(features, "features", 2), real_array(residual, "residual", (1, 2))
    same_rows(features=X, residual=xi)
    power = xi**2 if xi.ndim == 1 else np.sum(xi**2, axis=1)
    if not power.any():
        raise ValueError("residual must not be all zero.")
    leverage = _leverage(X)
    return float(leverage @ power / (leverage.mean() * power.sum()))


def _leverage(X: Array) -> Array:
    """Squared norm of each row after whitening; the mean is the number of columns."""
    if len(X) <= X.shape[1]:
        raise ValueError(f"features need more rows than columns, got shape {X.shape}.")
    left, singular, _ = np.linalg.svd(X, full_matrices=False)
    if singular[-1] <= singular[0] * len(X) * np.finfo(float).eps:
        raise ValueError("features must have linearly independent columns.")
    leverage: Array = len(X) * np.sum(left**2, axis=1)
    return leverage
