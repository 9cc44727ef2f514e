r"""Where the student beats teacher, baseline and ceiling: closed forms from the exact risks.

The student's expected risk is :math:`L + kS` with L and S free of N, and :math:`d_s/k` is
:math:`N-d_s-1` or N. So each comparison is a polynomial in N of degree one or two.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array
from w2s_utils.geometry import Geometry
from w2s_utils.pair import GaussianPair
from w2s_utils.theory import exact
from w2s_utils.theory.exact import RiskKind, is_population

Opponent = Literal["weak", "baseline", "ceiling"]

ROUNDING = 1e-12  # differences below this share of a risk are rounding errors


def winning_N(
    pair: GaussianPair | Geometry, n: ArrayLike, opponent: Opponent, risk: RiskKind = "population"
) -> tuple[Array, Array]:
    r"""Pseudo-labels with which the student's expected risk is below another model's.

    Parameters
    ----------
    pair : GaussianPair or Geometry
    n : array_like of int
        Labelled samples, n > max(d_w, d_s) + 1.
    opponent : {"weak", "baseline", "ceiling"}
    risk : {"population", "transductive"}

    Returns
    -------
    low, high : ndarray
        Of n's shape. The student wins for every whole N > d_s + 1 with low < N < high and for no
        other. `low` is at least d_s + 1, `high` may be infinite; both are NaN where the interval is
        empty.

    Raises
    ------
    ValueError
        If n is too small, or `opponent` or `risk` is unknown.

    Notes
    -----
    On fresh inputs let :math:`j = N-d_s-1`. The student has :math:`\rho_s + Q + d_sS/j` with
    :math:`Q = v\,d_{sw} + \|P_s(I-P_w)\beta\|^2` and
    :math:`S = v(d_w-d_{sw}) + \|(I-P_s)P_w\beta\|^2`. An opponent of risk T, free of N, loses iff
    :math:`(T-\rho_s-Q)\,j > d_sS`; the ceiling, of risk :math:`\rho_s+A/(j+n)` with
    :math:`A=(\sigma^2+\rho_s)d_s`, loses iff

    .. math:: Qj^2 + (Qn + d_sS - A)\,j + d_sSn < 0 .

    The transductive risk has :math:`j = N`,
    :math:`S = v(d_w-d_{sw}) + \|(I-P_s)(I-P_w)\beta\|^2 - \rho_s` and
    :math:`A=(\sigma^2-\rho_s)d_s`.

    Examples
    --------
    >>> pair = GaussianPair.paper(d_sw=10, noise_variance=1e-1)
    >>> low, high = winning_N(pair, 2000, "ceiling")
    >>> print(low.round(1), high.round(1))
    401.8 8819.6
    """
    offset = pair.d_s + 1 if is_population(risk) else 0
    # Any N tells the two coefficients of a risk that is affine in k.
    some_N = 2 * pair.d_s + 2
    risks = exact.expected_risks(pair, n, some_N, risk)
    terms, k = exact.student_terms(pair, n, some_N, risk), exact.noise_factor(pair, some_N, risk)
    above = terms.inherited + terms.missed  # Q
    slope = pair.d_s * (terms.total - pair.rho_s - above) / k
    slope = _without_rounding(slope, pair.d_s * terms.total)  # d_s S
    if opponent == "ceiling":
        labels = np.asarray(n, dtype=float)
        gap = (risks.ceiling - pair.rho_s) * (some_N - offset + labels)  # A
        quadratic = above, above * labels + slope - gap, slope * labels
    elif opponent in ("weak", "baseline"):
        T = risks[opponent]
        lead = _without_rounding(pair.rho_s + above - T, T)
        quadratic = np.zeros_like(T), lead, slope
    else:
        raise ValueError(f"opponent must be 'weak', 'baseline' or 'ceiling', got {opponent!r}.")
    low, high = (offset + root for root in _negative_between(*quadratic))
    smallest = pair.d_s + 1
    empty = ~(high > np.maximum(low, smallest))
    return np.where(empty, np.nan, np.maximum(low, smallest)), np.where(empty, np.nan, high)


def opr_optimal_n(
    pair: GaussianPair | Geometry, N: ArrayLike, risk: RiskKind = "population"
) -> Array:
    r"""Labels at which the exact OPR, the ratio of the expected risks, is largest.

    Parameters
    ----------
    pair : GaussianPair or Geometry
    N : array_like of int
        Pseudo-labelled samples, N > d_s + 1.
    risk : {"population", "transductive"}

    Returns
    -------
    ndarray
        A real number. Infinite where OPR rises for ever, max(d_w, d_s) + 1 where it is largest at
        that edge, NaN where the baseline's risk is zero for every n.

    Raises
    ------
    ValueError
        If N is too small or `risk` is neither kind.

    Notes
    -----
    Let :math:`m=n-d_w-1`, :math:`a=d_w-d_s`, :math:`A=(\sigma^2+\rho_s)d_s`, and let
    :math:`C/m+B` be the student's risk: variance and bias. For :math:`a>0` OPR vanishes at m = 0,
    and is largest at the positive root of

    .. math:: (AB-\rho_sC)\,m^2 - 2\rho_saC\,m - (A+\rho_sa)aC = 0,

    if :math:`AB>\rho_sC`; else it rises for ever. Without strong approximation error the root is
    :math:`m = \sqrt{aC/B}`. For :math:`a<0` the baseline fails at the edge and OPR is infinite
    there; for :math:`a=0` OPR is monotone.
    """
    edge = pair.d_w + 2  # m = 1
    terms = exact.student_terms(pair, edge, N, risk)
    B, C, rho = terms.bias, terms.variance, np.asarray(pair.rho_s)
    A, a = (pair.noise_variance + rho) * pair.d_s, pair.d_w - pair.d_s
    if A == 0:
        return np.full_like(C, np.nan)
    if a < 0:
        return np.full_like(C, pair.d_s + 1)
    unit = A + B + C  # the root is free of it, and no square of a large risk overflows
    A, B, C, rho = (np.asarray(value / unit) for value in (A, B, C, rho))
    lead, half, constant = A * B - rho * C, rho * a * C, (A + rho * a) * a * C
    with np.errstate(divide="ignore", invalid="ignore"):
        m = (half + np.sqrt(half**2 + lead * constant)) / lead
    return pair.d_w + 1 + np.where(lead > 0, m, np.inf)


def _without_rounding(difference: Array, scale: Array) -> Array:
    return np.where(np.abs(difference) <= ROUNDING * scale, 0.0, difference)


def _negative_between(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """Ends of the interval on which a x^2 + b x + c < 0, for a, c >= 0; NaN where it is empty."""
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.maximum(a, np.maximum(np.abs(b), np.abs(c)))
        a, b, c = (np.where(unit > 0, x / unit, 0.0) for x in (a, b, c))  # squares fit in range
        # The root of larger magnitude first: no difference of nearly equal numbers.
        q = -(b + np.where(b < 0, -1, 1) * np.sqrt(b**2 - 4 * a * c)) / 2
        low, high = np.sort([q / a, c / q], axis=0)
    return low, high
