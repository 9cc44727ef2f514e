"""The curves that the paper plots beside its measurements, and what it concludes from them.

Where the bounds are bounds of the exact expectations is the subject of chapter 5 of the book.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array, real_array, sample_size
from w2s_utils.metrics import Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.theory.exact import RiskKind, is_population


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
    return Risks.of(
        sigma2 * pair.d_w / n + rho_w,
        sigma2 * _effective_dimension(pair, N) / (n - pair.d_w - 1) + rho_w + rho_s,
        sigma2 * pair.d_s / n + rho_s,
        sigma2 * pair.d_s / (n + N) + rho_s,
    )


def pgr_lower_bound(pair: GaussianPair, n: ArrayLike, N: ArrayLike) -> Array:
    r"""Lower bound of PGR that the paper plots.

    Parameters
    ----------
    pair : GaussianPair
    n, N : array_like of int
        Labelled and pseudo-labelled samples, broadcast; n > d_w + 1 and N > 0.

    Returns
    -------
    ndarray
        Minus infinity without label noise; NaN if the approximation errors are zero, too.

    Raises
    ------
    ValueError
        If n or N is too small.

    Notes
    -----
    With :math:`d_{sw}(N) = d_{sw} + (d_w - d_{sw})\,d_s/N`,

    .. math:: 1 - \frac{n}{n-d_w-1}\,\frac{d_{sw}(N)}{d_w}
        - \frac{n}{d_w}\,\frac{\rho_s+\rho_w}{\sigma^2} .

    It is one minus the student's curve of `paper_risks` over :math:`\sigma^2d_w/n`. `bounds_hold`
    says where it is known to be a bound of the exact PGR.

    Examples
    --------
    >>> pair = GaussianPair.paper(d_sw=10, noise_variance=1e-2)
    >>> pgr_lower_bound(pair, n=[400, 600, 4000], N=4000).round(2)
    array([0.79, 0.8 , 0.3 ])
    """
    return 1 - _student_share(pair, n, N, pair.d_w)


def opr_lower_bound(pair: GaussianPair, n: ArrayLike, N: ArrayLike) -> Array:
    r"""Lower bound of OPR that the paper plots.

    Parameters
    ----------
    pair : GaussianPair
    n, N : array_like of int
        Labelled and pseudo-labelled samples, broadcast; n > d_w + 1 and N > 0.

    Returns
    -------
    ndarray
        Zero without label noise; NaN if the approximation errors are zero, too.

    Raises
    ------
    ValueError
        If n or N is too small.

    Notes
    -----
    With :math:`d_{sw}(N) = d_{sw} + (d_w - d_{sw})\,d_s/N`,

    .. math:: 1\Big/\left[\frac{n}{n-d_w-1}\,\frac{d_{sw}(N)}{d_s}
        + \frac{n}{d_s}\,\frac{\rho_s+\rho_w}{\sigma^2}\right] .

    It is :math:`\sigma^2d_s/n` over the student's curve of `paper_risks`. `bounds_hold` says where
    it is known to be a bound of the exact OPR.
    """
    return 1 / _student_share(pair, n, N, pair.d_s)


def bounds_hold(
    pair: GaussianPair, n: ArrayLike, N: ArrayLike, risk: RiskKind = "population"
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    r"""Where the lower bounds of PGR and OPR are proved to be bounds of the exact ratios.

    Parameters
    ----------
    pair : GaussianPair
    n, N : array_like of int
        Labelled and pseudo-labelled samples, broadcast; n > max(d_w, d_s) + 1 and N > d_s + 1.
    risk : {"population", "transductive"}

    Returns
    -------
    pgr, opr : ndarray of bool
        Sufficient, not necessary. PGR is undefined where the teacher is no worse than the
        ceiling; there its bound bounds nothing.

    Raises
    ------
    ValueError
        If n or N is too small, or `risk` is neither kind.

    Notes
    -----
    With the bounds' values :math:`\ell_{\mathrm{PGR}}` and :math:`\ell_{\mathrm{OPR}}`, on the
    unlabelled inputs :math:`\ell_{\mathrm{PGR}}\ge0` and :math:`\ell_{\mathrm{OPR}}\ge1/4` are
    enough. On fresh inputs it takes also

    .. math:: \frac{N}{d_s+1} \ge 1 + \frac{n}{d_w+1} \quad\text{(PGR)},\qquad
        N \ge d_s + 1 + \frac{n}{1 - 1/(4\ell_{\mathrm{OPR}})} \quad\text{(OPR)}.

    Examples
    --------
    >>> pair = GaussianPair.paper(d_sw=10, noise_variance=1e-1)
    >>> pgr, opr = bounds_hold(pair, n=2000, N=[400, 2000, 4000])
    >>> pgr, opr
    (array([False,  True,  True]), array([False, False,  True]))
    """
    n = sample_size(n, "n", max(pair.d_w, pair.d_s) + 1, "max(d_w, d_s) + 1")
    N = sample_size(N, "N", pair.d_s + 1, "d_s + 1")
    pgr, opr = pgr_lower_bound(pair, n, N), opr_lower_bound(pair, n, N)
    if not is_population(risk):
        return pgr >= 0, opr >= 0.25
    spare = N - pair.d_s - 1
    return (
        (pgr >= 0) & (spare * (pair.d_w + 1) >= n * (pair.d_s + 1)),
        (opr > 0.25) & (spare * (opr - 0.25) >= n * opr),
    )


def optimal_n(pair: GaussianPair, N: ArrayLike) -> Array:
    r"""Labels at which both lower bounds are largest.

    Parameters
    ----------
    pair : GaussianPair
    N : array_like of int
        Pseudo-labelled samples, N > 0.

    Returns
    -------
    ndarray
        A real number; the best whole number is one of its neighbours. Infinite without
        approximation error (the bounds rise for ever), d_w + 1 in the limit of vanishing label
        noise, NaN with neither.

    Raises
    ------
    ValueError
        If N is not positive.

    Notes
    -----
    .. math:: n^* = (d_w+1) + \sqrt{(d_w+1)\,d_{sw}(N)\,\frac{\sigma^2}{\rho_s+\rho_w}},
        \qquad d_{sw}(N) = d_{sw} + (d_w - d_{sw})\,d_s/N .

    The exact PGR and OPR are largest elsewhere; see `phases.opr_optimal_n`.
    """
    effective = _effective_dimension(pair, sample_size(N, "N", 0, "zero"))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = pair.noise_variance / np.float64(pair.rho_s + pair.rho_w)
        return np.asarray(pair.d_w + 1 + np.sqrt((pair.d_w + 1) * effective * ratio))


def required_N(pair: GaussianPair, delta: ArrayLike, risk: RiskKind = "population") -> Array:
    r"""Pseudo-labels that bring the student's variance within 1 + delta of its limit.

    Parameters
    ----------
    pair : GaussianPair
    delta : array_like
        Relative excess over the variance with infinitely many pseudo-labels, above zero.
    risk : {"population", "transductive"}

    Returns
    -------
    ndarray
        A real number: each whole N > d_s + 1 that is not below it is enough, and no other. It is
        d_s + 1 where every N is enough, infinite for d_sw = 0: the limit is then zero and no N
        reaches it.

    Raises
    ------
    ValueError
        If delta is not above zero or `risk` is neither kind.

    Notes
    -----
    The variance is proportional to :math:`d_{sw}+k(d_w-d_{sw})`, so the share k of
    `exact.noise_factor` must be at most :math:`\delta d_{sw}/(d_w-d_{sw})`:

    .. math:: N \ge d_s + 1 + \frac{d_s(d_w-d_{sw})}{\delta\,d_{sw}}
        \quad\text{(population)},\qquad
        N \ge \frac{d_s(d_w-d_{sw})}{\delta\,d_{sw}} \quad\text{(transductive)}.
    """
    delta = real_array(delta, "delta", tuple(range(8)))
    if np.any(delta <= 0):
        raise ValueError(f"delta must be above zero, got {delta.min()}.")
    offset = pair.d_s + 1 if is_population(risk) else 0
    with np.errstate(divide="ignore"):
        needed = offset + pair.d_s * (pair.d_w - pair.d_sw) / (delta * pair.d_sw)
    return np.asarray(np.maximum(needed, pair.d_s + 1))


def _effective_dimension(pair: GaussianPair, N: Array) -> Array:
    """The paper's d_sw(N), the student's variance in units of a teacher coefficient's."""
    return pair.d_sw + (pair.d_w - pair.d_sw) * pair.d_s / N


def _student_share(pair: GaussianPair, n: ArrayLike, N: ArrayLike, d: int) -> Array:
    """The paper's student curve over the curve sigma^2 d/n of a well-specified model."""
    student = paper_risks(pair, n, N).student
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(student * np.asarray(n) / np.float64(pair.noise_variance * d))
