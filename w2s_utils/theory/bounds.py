"""The curves that the paper plots beside its synthetic measurements."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import sample_size
from w2s_utils.metrics import Risks
from w2s_utils.pair import GaussianPair


def paper_risks(pair: GaussianPair, n: ArrayLike, N: ArrayLike) -> Risks:
    r"""Excess risks of the four models as the paper's synthetic figures plot them.

    Parameters
    ----------
    pair : GaussianPair
    n, N : array_like of int
        Labelled and pseudo-labelled samples, broadcast; n > d_w + 1 and N > 0.

    Returns
    -------
    Risks
        In squared units of the target.

    Raises
    ------
    ValueError
        If n or N is too small.

    Notes
    -----
    With :math:`d_{sw}(N) = d_{sw} + (d_w - d_{sw})\,d_s/N`,

    .. math:: \mathrm{ER}_w \approx \sigma^2\frac{d_w}{n} + \rho_w,\quad
        \mathrm{ER}_{w2s} \approx \sigma^2\frac{d_{sw}(N)}{n-d_w-1} + \rho_w + \rho_s,\quad
        \mathrm{ER}_s \approx \sigma^2\frac{d_s}{n} + \rho_s,\quad
        \mathrm{ER}_c \approx \sigma^2\frac{d_s}{n+N} + \rho_s .

    They are approximations: `exact.expected_risks` has the expectations.
    """
    n = sample_size(n, "n", pair.d_w + 1, "d_w + 1")
    N = sample_size(N, "N", 0, "zero")
    sigma2, rho_w, rho_s = pair.noise_variance, pair.rho_w, pair.rho_s
    effective = pair.d_sw + (pair.d_w - pair.d_sw) * pair.d_s / N
    risks = (
        sigma2 * pair.d_w / n + rho_w,
        sigma2 * effective / (n - pair.d_w - 1) + rho_w + rho_s,
        sigma2 * pair.d_s / n + rho_s,
        sigma2 * pair.d_s / (n + N) + rho_s,
    )
    return Risks(*(np.array(array) for array in np.broadcast_arrays(*risks)))
