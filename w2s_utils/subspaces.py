"""Bases of subspaces, the canonical angles between them, and their overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from w2s_utils._validate import Array, real_array

ORTHONORMAL_TOLERANCE = 1e-8


def orthonormal(basis: ArrayLike, name: str = "basis") -> Array:
    """Check that the columns of `basis` are orthonormal and return it as float64.

    Parameters
    ----------
    basis : (D, d) array_like
        Columns that span the subspace.
    name : str
        What to call it in an error.

    Returns
    -------
    (D, d) ndarray

    Raises
    ------
    ValueError
        If the array is not a finite real matrix with 1 <= d <= D orthonormal columns.
    """
    matrix = real_array(basis, name, 2)
    rows, columns = matrix.shape
    if not 1 <= columns <= rows:
        raise ValueError(f"{name} must be D x d with 1 <= d <= D, got shape {matrix.shape}.")
    defect = np.abs(matrix.T @ matrix - np.eye(columns)).max()
    if defect > ORTHONORMAL_TOLERANCE:
        raise ValueError(
            f"{name} must have orthonormal columns, but its Gram matrix differs from the identity "
            f"by {defect:.1e}; pass numpy.linalg.qr({name})[0] for the same subspace."
        )
    return matrix


def overlap(A: ArrayLike, B: ArrayLike) -> float:
    r"""Correlation dimension of two subspaces, :math:`\|A^\top B\|_F^2`.

    It is the sum of the squared cosines of the canonical angles: 0 for orthogonal subspaces and
    the smaller dimension when one subspace contains the other.

    Parameters
    ----------
    A : (D, a) array_like
        Orthonormal basis of the first subspace.
    B : (D, b) array_like
        Orthonormal basis of the second.

    Returns
    -------
    float
        Between 0 and min(a, b).

    Raises
    ------
    ValueError
        If a basis is not orthonormal or the ambient dimensions differ.

    Examples
    --------
    >>> import numpy as np
    >>> identity = np.eye(5)
    >>> overlap(identity[:, :3], identity[:, 1:5])
    2.0
    """
    A, B = _same_space(A, B)
    return float(np.sum((A.T @ B) ** 2))


def canonical_angles(A: ArrayLike, B: ArrayLike) -> Array:
    """Canonical (principal) angles between two subspaces, in radians, ascending.

    Cosines lose small angles and sines lose angles near 90 degrees; each is taken where it is
    accurate [1]_. (SciPy's `subspace_angles` mixes them up where there are angles of both kinds.)

    Parameters
    ----------
    A : (D, a) array_like
        Orthonormal basis of the first subspace.
    B : (D, b) array_like
        Orthonormal basis of the second.

    Returns
    -------
    (min(a, b),) ndarray
        Angles between 0 and pi/2.

    Raises
    ------
    ValueError
        If a basis is not orthonormal or the ambient dimensions differ.

    References
    ----------
    .. [1] A. Bjorck, G. Golub, "Numerical methods for computing angles between linear subspaces",
       Mathematics of Computation 27, 1973.

    Examples
    --------
    >>> import numpy as np
    >>> identity = np.eye(3)
    >>> canonical_angles(identity[:, :2], identity[:, 1:]).round(4)
    array([0.    , 1.5708])
    """
    A, B = _same_space(A, B)
    if A.shape[1] < B.shape[1]:
        A, B = B, A
    cosines = linalg.svdvals(A.T @ B)
    sines = linalg.svdvals(B - A @ (A.T @ B))[::-1]
    by_sine, by_cosine = np.arcsin(np.minimum(sines, 1)), np.arccos(np.minimum(cosines, 1))
    return np.where(cosines**2 > 0.5, by_sine, by_cosine)


def random_basis(dimension: int, rank: int, rng: np.random.Generator) -> Array:
    """Orthonormal basis of a uniformly random (Haar) subspace.

    Parameters
    ----------
    dimension : int
        Ambient dimension D.
    rank : int
        Dimension d of the subspace, 1 <= d <= D.
    rng : numpy.random.Generator

    Returns
    -------
    (dimension, rank) ndarray

    Raises
    ------
    ValueError
        If the rank does not fit the dimension.
    """
    if not 1 <= rank <= dimension:
        raise ValueError(f"rank must be between 1 and the dimension {dimension}, got {rank}.")
    return np.linalg.qr(rng.standard_normal((dimension, rank)))[0]


def random_overlap(dimension: int, rank_a: int, rank_b: int) -> tuple[float, float]:
    r"""Mean and standard deviation of the overlap of two unrelated subspaces.

    Parameters
    ----------
    dimension : int
        Ambient dimension D, at least 2.
    rank_a, rank_b : int
        Dimensions a and b of two independent uniform (Haar) subspaces, each from 1 to D.

    Returns
    -------
    mean, standard_deviation : float

    Raises
    ------
    ValueError
        If a rank does not fit the dimension.

    Notes
    -----
    .. math:: \mathbb E = \frac{ab}{D}, \qquad
        \operatorname{Var} = \frac{2ab\,(D-a)(D-b)}{D^2(D-1)(D+2)} .

    Examples
    --------
    The squared cosine of a uniform angle has mean 1/2 and variance 1/8:

    >>> mean, standard_deviation = random_overlap(2, 1, 1)
    >>> mean, round(standard_deviation**2, 6)
    (0.5, 0.125)
    """
    for rank in (rank_a, rank_b):
        if dimension < 2 or not 1 <= rank <= dimension:
            raise ValueError(
                f"Ranks must be between 1 and the dimension, which must be at least 2, got ranks "
                f"{rank_a} and {rank_b} in dimension {dimension}."
            )
    D, a, b = dimension, rank_a, rank_b
    variance = 2 * a * b * (D - a) * (D - b) / (D**2 * (D - 1) * (D + 2))
    return a * b / D, float(np.sqrt(variance))


def pair_with_angles(
    dimension: int, angles: ArrayLike, rank_a: int, rank_b: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Random pair of subspaces with prescribed canonical angles.

    Parameters
    ----------
    dimension : int
        Ambient dimension D; at least rank_a + rank_b.
    angles : (min(rank_a, rank_b),) array_like
        Canonical angles in radians, each between 0 and pi/2.
    rank_a, rank_b : int
        Dimensions of the two subspaces.
    rng : numpy.random.Generator
        Draws the common rotation and the bases inside each subspace.

    Returns
    -------
    A : (dimension, rank_a) ndarray
    B : (dimension, rank_b) ndarray
        Orthonormal bases.

    Raises
    ------
    ValueError
        If the number of angles or the dimension does not fit the ranks.
    """
    theta = real_array(angles, "angles", 1)
    shared = min(rank_a, rank_b)
    if len(theta) != shared:
        raise ValueError(
            f"angles must have min(rank_a, rank_b) = {shared} entries, got {len(theta)}."
        )
    if theta.min() < 0 or theta.max() > np.pi / 2:
        raise ValueError(
            f"angles must lie in [0, pi/2], got [{theta.min():.4g}, {theta.max():.4g}]."
        )
    if dimension < rank_a + rank_b:
        raise ValueError(
            f"dimension must be at least rank_a + rank_b = {rank_a + rank_b}, got {dimension}."
        )
    frame = random_basis(dimension, rank_a + rank_b, rng)
    A, B = frame[:, :rank_a], frame[:, rank_a:].copy()
    B[:, :shared] = np.cos(theta) * A[:, :shared] + np.sin(theta) * B[:, :shared]
    return A @ random_basis(rank_a, rank_a, rng), B @ random_basis(rank_b, rank_b, rng)


def _same_space(A: ArrayLike, B: ArrayLike) -> tuple[Array, Array]:
    A, B = orthonormal(A, "A"), orthonormal(B, "B")
    if len(A) != len(B):
        raise ValueError(
            f"A and B must live in the same space, got {len(A)} and {len(B)} coordinates."
        )
    return A, B
