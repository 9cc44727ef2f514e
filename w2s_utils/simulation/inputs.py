r"""Laws of whitened inputs, to put in place of the Gaussian one.

An input law is a function ``inputs(rows, columns, rng)`` that draws `rows` independent inputs z in
`columns` coordinates with :math:`\mathbb E\,zz^\top = I`. That is all a population risk depends on:
the excess risk of coefficients b is :math:`\|b-\beta\|^2` under each of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array

Inputs = Callable[[int, int, np.random.Generator], Array]


def gaussian(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Independent standard normal coordinates: the law of the theory."""
    return rng.standard_normal((rows, columns))


def rademacher(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Independent coordinates +1 or -1; kurtosis 1, the least there is."""
    return rng.choice([-1.0, 1.0], (rows, columns))


def uniform(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Independent uniform coordinates; kurtosis 1.8."""
    return rng.uniform(-np.sqrt(3), np.sqrt(3), (rows, columns))


def sparse(share: float) -> Inputs:
    """Independent coordinates that are zero but for a share of the inputs; kurtosis 1/share.

    Parameters
    ----------
    share : float
        Probability that a coordinate is not zero, in (0, 1]; it is then +-1/sqrt(share).

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If the share is out of range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}.")

    def draw(rows: int, columns: int, rng: np.random.Generator) -> Array:
        active = rng.random((rows, columns)) < share
        values: Array = rademacher(rows, columns, rng) * active / np.sqrt(share)
        return values

    return draw


def student_t(degrees: float) -> Inputs:
    """Independent coordinates with Student's t distribution, scaled to variance 1.

    Parameters
    ----------
    degrees : float
        Degrees of freedom, above 2; the fourth moment is infinite up to 4.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If the variance is infinite.
    """
    scale = _t_scale(degrees)

    def draw(rows: int, columns: int, rng: np.random.Generator) -> Array:
        return scale * rng.standard_t(degrees, (rows, columns))

    return draw


def elliptical_t(degrees: float) -> Inputs:
    """Multivariate t: one random scale a row, so that whole inputs are large or small.

    Each coordinate has the law of `student_t`, they are uncorrelated, but they are not independent.

    Parameters
    ----------
    degrees : float
        Degrees of freedom, above 2.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If the variance is infinite.
    """
    scale = _t_scale(degrees)

    def draw(rows: int, columns: int, rng: np.random.Generator) -> Array:
        sizes = scale * np.sqrt(degrees / rng.chisquare(degrees, (rows, 1)))
        return sizes * rng.standard_normal((rows, columns))

    return draw


def resampled(features: ArrayLike) -> Inputs:
    """Rows of a feature matrix, drawn with replacement and whitened.

    The M rows are the population. Whitening is linear, without centring, as the linear probes of
    this package have no intercept: the second moment becomes the identity, the mean need not be 0.

    Parameters
    ----------
    features : (M, D) array_like
        Of full column rank, M > D. For ``[weak, strong, target]`` side by side the coordinates are
        those of ``GaussianPair.from_features(weak, strong, target, ...)``.

    Returns
    -------
    callable
        Draws inputs in exactly D coordinates.

    Raises
    ------
    ValueError
        If there are no more rows than columns or the columns are linearly dependent; on drawing,
        if another number of coordinates is asked for.
    """
    X = real_array(features, "features", 2)
    count, width = X.shape
    if count <= width:
        raise ValueError(f"features need more rows than columns, got shape {X.shape}.")
    Q, R = np.linalg.qr(X)
    if not np.linalg.cond(R) < 1 / (count * np.finfo(float).eps):
        raise ValueError("features must have linearly independent columns.")
    whitened: Array = Q * np.copysign(np.sqrt(count), R.diagonal())

    def draw(rows: int, columns: int, rng: np.random.Generator) -> Array:
        if columns != width:
            raise ValueError(f"The features have {width} columns, but {columns} are needed.")
        drawn: Array = whitened[rng.integers(count, size=rows)]
        return drawn

    return draw


def _t_scale(degrees: float) -> float:
    if not 2 < degrees < np.inf:
        raise ValueError(f"degrees must be finite and above 2 for a variance, got {degrees}.")
    return float(np.sqrt((degrees - 2) / degrees))
