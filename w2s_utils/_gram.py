"""Cholesky factors of Gram matrices, where normal equations are safe."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from w2s_utils._validate import Array

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
