r"""Exact samplers whose cost does not grow with the number of samples.

Least squares on the rows of :math:`X = QR` equals least squares on the rows of R, for every
right-hand side in the span of X. With the label noise as one more column, R holds all that the
four fits use. For Gaussian X of m rows its entries are independent: :math:`\chi_{m-i}` at place i
of the diagonal (counted from 0), standard normal above (Bartlett 1933). Only the coordinates in
the span of V_w, V_s and the target matter.
"""

from __future__ import annotations

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import direct


def risks(
    pair: GaussianPair, n: int, N: int, trials: int, rng: np.random.Generator, transductive: bool
) -> Risks:
    """Draw the risks of `trials` training sets; see `simulation.simulate`."""
    pair = _relevant(pair)
    samples = [
        direct.trial(pair, n, N, rng, triangular_factor, transductive) for _ in range(trials)
    ]
    return Risks(**dict(zip(MODELS, np.transpose(samples), strict=True)))


def triangular_factor(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Draw the R of the QR decomposition of a standard normal (rows, columns) matrix."""
    kept = min(rows, columns)
    factor = np.triu(rng.standard_normal((kept, columns)), 1)
    np.fill_diagonal(factor, np.sqrt(rng.chisquare(rows - np.arange(kept))))
    return factor


def _relevant(pair: GaussianPair) -> GaussianPair:
    """Express the pair in orthonormal coordinates of the span of V_w, V_s and the target."""
    columns = np.column_stack([pair.weak_basis, pair.strong_basis, pair.target])
    if columns.shape[1] >= len(columns):
        return pair
    frame = np.linalg.qr(columns)[0].T
    return GaussianPair(
        frame @ pair.weak_basis, frame @ pair.strong_basis, frame @ pair.target, pair.noise_variance
    )
