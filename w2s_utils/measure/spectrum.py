"""The spectrum of a feature set and the dimensions read off it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, numpy_array, real_array, squares

RELATIVE_RANK = 1e-12  # a share of the trace this small is rounding noise of the second moment


def spectrum(features: ArrayLike) -> Array:
    r"""Eigenvalues of the features' uncentred second moment :math:`X^\top X/M`.

    Parameters
    ----------
    features : (M, width) array_like
        One row an input; not centred.

    Returns
    -------
    (width,) ndarray
        In falling order, in squared units of the features.

    Raises
    ------
    ValueError
        If the features are not a finite matrix or are all zero.
    """
    rising = np.linalg.eigvalsh(_second_moment(features, "features"))
    values: Array = np.maximum(rising[::-1], 0)
    return values


def energy_dimension(variances: ArrayLike, energy: float = 0.99) -> int:
    """Least number of leading variances that carry a share of their sum.

    Parameters
    ----------
    variances : (width,) array_like
        A spectrum, in falling order.
    energy : float
        Share of the sum, in (0, 1].

    Returns
    -------
    int
        Between 1 and the width.

    Raises
    ------
    ValueError
        If the energy is out of range, or the variances are no spectrum.

    Examples
    --------
    >>> energy_dimension([100.0, 1.0, 0.01], energy=0.99)
    1
    >>> energy_dimension([100.0, 1.0, 0.01], energy=0.999)
    2
    """
    if not 0 < energy <= 1:
        raise ValueError(f"energy must lie in (0, 1], got {energy}.")
    carried = np.cumsum(_checked_spectrum(variances))
    return int(np.searchsorted(carried / carried[-1], energy * (1 - RELATIVE_RANK)) + 1)


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
    """
    return energy_dimension(spectrum(features), energy)


def soft_dimension(variances: ArrayLike, ridge: float) -> float:
    r"""Number of directions along which a ridge fit keeps noise, df2 of the theory of ridge.

    Ridge regression has no sharp cut: a direction of variance l keeps the share
    :math:`l/(l+\kappa)` of its coefficient and the square of it of its noise. So
    :math:`\mathrm{df}_2 = \sum_i (l_i/(l_i+\kappa))^2` replaces the intrinsic dimension in the
    variance of a ridge fit.

    Parameters
    ----------
    variances : (width,) array_like
        A spectrum, in falling order.
    ridge : float
        Effective ridge kappa >= 0, in squared units of the features. With many samples it is the
        penalty alpha itself; with few it is larger.

    Returns
    -------
    float
        Between 0 and the number of variances above zero, which it is at ridge 0.

    Raises
    ------
    ValueError
        If the variances are no spectrum or the ridge is negative.

    Examples
    --------
    >>> round(soft_dimension([1.0, 1.0, 1e-9], ridge=0.01), 2)
    1.96
    """
    if not (np.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"ridge must be finite and >= 0, got {ridge}.")
    values = _checked_spectrum(variances)
    values = values[values > 0]
    return float(np.sum((values / (values + ridge)) ** 2))


def leading_directions(features: ArrayLike, dimension: int) -> Array:
    """Leading eigenvectors of the features' uncentred second moment.

    They live in the features' own coordinates: those of two models cannot be compared.

    Parameters
    ----------
    features : (M, width) array_like
        One row an input; not centred.
    dimension : int
        How many directions, at most the width.

    Returns
    -------
    (width, dimension) ndarray
        Orthonormal columns.

    Raises
    ------
    ValueError
        If the features are not a finite matrix, are all zero, or have fewer columns.
    """
    directions = eigen_directions(features)[1]
    if not 1 <= dimension <= len(directions):
        raise ValueError(
            f"dimension must be between 1 and the width {len(directions)}, got {dimension}."
        )
    return directions[:, :dimension]


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


def leading_coordinates(features: ArrayLike, energy: float = 0.99, name: str = "features") -> Array:
    """Whitened coordinates of the features' eigen-directions that carry a share of the energy.

    Parameters
    ----------
    features : (M, width) array_like
        One row an input; not centred.
    energy : float
        Share of the second moment's trace, in (0, 1].
    name : str
        What to call the features in an error.

    Returns
    -------
    (M, d) ndarray
        Columns are orthogonal with mean square 1; d is the `intrinsic_dimension`.

    Raises
    ------
    ValueError
        If the features are not a finite matrix, are all zero, or the energy is out of range.
    """
    variances, directions = energy_directions(features, energy, name)
    coordinates: Array = numpy_array(features) @ (directions / np.sqrt(variances))
    return coordinates


def energy_directions(
    features: ArrayLike, energy: float, name: str = "features"
) -> tuple[Array, Array]:
    """Spectrum (d,) and eigenvectors (width, d) that carry a share of the features' energy."""
    variances, directions = moment_directions(_second_moment(features, name), energy)
    return variances[: directions.shape[1]], directions


def moment_directions(moment: Array, energy: float) -> tuple[Array, Array]:
    """Leading directions of a second moment that carry a share of its trace.

    Parameters
    ----------
    moment : (width, width) ndarray
        Uncentred second moment of the features.
    energy : float
        Share of the trace, in (0, 1]. At 1 every direction is kept that least squares sees: the
        columns, each scaled to unit length, leave more than a share of `RELATIVE_RANK` there,
        whatever their units. Columns may differ in size by a factor of 1e12.

    Returns
    -------
    variances : (width,) ndarray
        In falling order; zero where the columns are dependent.
    directions : (width, d) ndarray
        Orthonormal columns, leading ones first.
    """
    if energy != 1:
        variances, directions = np.linalg.eigh(moment)
        variances = np.maximum(variances[::-1], 0)
        rank = int(np.sum(variances > RELATIVE_RANK * variances.sum()))
        d = min(energy_dimension(variances, energy), rank)
        return variances, directions[:, ::-1][:, :d]
    lengths = np.sqrt(moment.diagonal())
    units = np.where(lengths > 0, lengths, 1.0)
    shares, directions = np.linalg.eigh(moment / units / units[:, None])
    seen = shares > RELATIVE_RANK * shares.sum()
    # The moment is the square of this root, whose singular values lose half as many digits.
    root = np.sqrt(shares[seen, None]) * directions[:, seen].T * units
    _, singular, right = np.linalg.svd(root, full_matrices=False)
    singular = singular[singular > RELATIVE_RANK * singular[0]]
    variances = np.zeros(len(moment))
    variances[: len(singular)] = singular**2
    return variances, right[: len(singular)].T


def eigen_directions(features: ArrayLike, name: str = "features") -> tuple[Array, Array]:
    """Spectrum (width,) and eigenvectors (width, width), one a column, leading ones first."""
    variances, directions = np.linalg.eigh(_second_moment(features, name))
    return np.maximum(variances[::-1], 0), directions[:, ::-1]


def _second_moment(features: ArrayLike, name: str) -> Array:
    X = real_array(features, name, 2)
    if not X.any():
        raise ValueError(f"{name} must not all be zero.")
    moment: Array = X.T @ X / len(X)
    return moment


def _checked_spectrum(variances: ArrayLike) -> Array:
    values = squares(variances, "variances", 1)
    if values[0] <= 0 or values[-1] < 0 or np.any(np.diff(values) > 0):
        raise ValueError(
            "variances must be in falling order, none negative and not all zero; take those of"
            " measure.spectrum."
        )
    return values
