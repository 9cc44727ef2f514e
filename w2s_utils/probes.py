"""Linear probes: ridgeless and ridge least squares on fixed features."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from w2s_utils._validate import Array, real_array, same_rows


def fit_ridge(X: ArrayLike, y: ArrayLike, ridge: float = 0.0) -> Array:
    r"""Weights that minimise :math:`\frac1n\|Xw-y\|^2 + \alpha\|w\|^2`.

    Without ridge it is the ridgeless limit: least squares when the columns are independent, the
    solution of least norm otherwise, also when n < d.

    Parameters
    ----------
    X : (n, d) array_like
        Features, no intercept added.
    y : (n,) or (n, k) array_like
        Labels; k columns are k independent fits.
    ridge : float
        Penalty alpha on the mean squared loss, in squared units of the features.

    Returns
    -------
    (d,) or (d, k) ndarray

    Raises
    ------
    ValueError
        If the shapes do not fit, values are not finite, or the ridge is negative.

    Notes
    -----
    Both cases are solved by an orthogonal factorization of the data, never of X'X, whose condition
    number is the square. The ridge enters as d more rows, :math:`\sqrt{n\alpha}\,I` with label 0.

    Examples
    --------
    >>> fit_ridge([[1.0], [1.0]], [1.0, 3.0])
    array([2.])
    >>> fit_ridge([[1.0], [1.0]], [1.0, 3.0], ridge=1.0)
    array([1.])
    """
    X, y = real_array(X, "X", 2), real_array(y, "y", (1, 2))
    rows = same_rows(X=X, y=y)
    if not (np.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"ridge must be finite and >= 0, got {ridge}.")
    if ridge > 0:
        columns = X.shape[1]
        X = np.vstack([X, np.sqrt(rows * ridge) * np.eye(columns)])
        y = np.concatenate([y, np.zeros((columns, *y.shape[1:]))])
    cutoff = max(X.shape) * np.finfo(float).eps  # LAPACK's own default keeps rounding noise
    weights: Array = linalg.lstsq(X, y, cond=cutoff, lapack_driver="gelsy", check_finite=False)[0]
    return weights
