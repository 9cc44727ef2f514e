"""How far features are from Gaussian ones, where it matters to a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array, same_rows


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
