"""Gram matrices and second moments: factors of them, where these are safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lapack

from w2s_utils._validate import Array, real_array

MAX_CONDITION = 1e10
MIN_COLUMN_SHARE = 1e-8  # of the longest column's length
MAX_GRAM_CONDITION = 1e8  # of normal equations that are solved; beyond, the data are factorized


def safe_factor(gram: Array) -> Array | None:
    """Upper triangular R with R'R = gram; None if the Gram matrix is too ill-conditioned."""
    factor, failed = lapack.dpotrf(gram, lower=0)
    if failed:
        return None
    norm = np.abs(gram).sum(axis=0).max()
    reciprocal_condition, _ = lapack.dpocon(factor, norm)
    safe: Array | None = factor if reciprocal_condition * MAX_GRAM_CONDITION >= 1 else None
    return safe


def solve_safely(gram: Array, moment: Array, penalty: float) -> Array | None:
    """Solve (gram + penalty I) w = moment; None if that is too ill-conditioned."""
    diagonal = gram.diagonal() + penalty
    # Columns so unequal in length are dependent up to rounding: fit_ridge judges that.
    if diagonal.min() <= MIN_COLUMN_SHARE**2 * diagonal.max():
        return None
    scale = 1 / np.sqrt(diagonal)
    scaled = gram * scale * scale[:, None]
    np.fill_diagonal(scaled, 1.0)
    factor = safe_factor(scaled)
    if factor is None:
        return None
    solution, _ = lapack.dpotrs(factor, scale[:, None] * moment, lower=0)
    weights: Array = scale[:, None] * solution
    return weights


def summed_products(
    X: Array,
    labels: Callable[[NDArray[np.intp]], Array],
    order: NDArray[np.intp],
    sizes: Sequence[int],
) -> Iterator[tuple[int, Array, Array]]:
    """Yield each size m with X'X and X'y over the first m rows, overwritten by the next."""
    gram = np.zeros((X.shape[1], X.shape[1]))
    moment = X[:0].T @ labels(order[:0])
    done = 0
    for size in sizes:
        rows = order[done:size]
        block = X[rows]
        gram += block.T @ block
        moment += block.T @ labels(rows)
        done = size
        yield size, gram, moment


def second_moment(values: ArrayLike, name: str, columns: int) -> Array:
    """Return a second moment of so many columns; raise ValueError if it is none."""
    moment = real_array(values, name, 2)
    if moment.shape != (columns, columns):
        raise ValueError(
            f"{name} must be a ({columns}, {columns}) second moment, got shape {moment.shape}."
        )
    lowest = float(np.linalg.eigvalsh(moment)[0])
    if not np.allclose(moment, moment.T, rtol=1e-9) or lowest < -1e-9 * np.trace(moment):
        raise ValueError(
            f"{name} must be symmetric and have no eigenvalue below zero, got {lowest:.3g}."
        )
    return moment


def moment_root(moment: Array) -> Array:
    """Matrix F, of as many columns as the rank, with F F' = moment."""
    values, directions = np.linalg.eigh(moment)
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    root: Array = directions[:, kept] * np.sqrt(values[kept])
    return root


def check_rank(columns: Array, name: str) -> None:
    """Raise ValueError if columns are dependent up to rounding."""
    tall = len(columns) >= columns.shape[1]
    check_condition(float(np.linalg.cond(columns)) if tall else np.inf, name)


def check_condition(condition: float, name: str) -> None:
    """Raise ValueError if columns of this condition number are dependent up to rounding."""
    if not condition < MAX_CONDITION:
        raise ValueError(
            f"{name} features must have full column rank, but their condition number is "
            f"{condition:.1e}; keep their top eigenspace with measure.top_eigenspace."
        )
