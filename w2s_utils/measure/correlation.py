"""The correlation dimension of two feature sets, measured in function space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from w2s_utils._validate import Array, same_rows
from w2s_utils.measure.spectrum import leading_coordinates

BLOCKS = 20  # of rows; the two halves are the even and the odd ones


@dataclass(frozen=True)
class CorrelationDimension:
    """Correlation dimension of two feature sets on the same M inputs.

    Attributes
    ----------
    estimate : float
        The plug-in value, corrected for the finite sample.
    standard_error : float
        Of the estimate, by a jackknife over blocks of rows.
    plug_in : float
        Sum of the squared sample canonical correlations.
    held_out : float
        Trace of the product of two regressions on different halves of the rows: unbiased.
    held_out_error : float
        Its standard error, by the same jackknife.
    chance : float
        Mean of the plug-in value for unrelated features, d_w d_s / M. The other two have 0.
    d_w, d_s : int
        Retained directions of the weak and of the strong features.
    rows : int
        Number M of inputs.
    """

    estimate: float
    standard_error: float
    plug_in: float
    held_out: float
    held_out_error: float
    chance: float
    d_w: int
    d_s: int
    rows: int


def correlation_dimension(
    weak: ArrayLike, strong: ArrayLike, energy: float = 0.99
) -> CorrelationDimension:
    r"""Measure how many dimensions two feature sets share as functions of the input.

    Each set is restricted to its leading eigen-directions. What remains spans two spaces of
    functions, and the cosines of the angles between these are the canonical correlations. No
    coordinates of one set are compared with coordinates of the other, so the widths may differ, and
    any invertible linear map of the retained features leaves the result as it is.

    Parameters
    ----------
    weak : (M, width_w) array_like
        Weak features, one row an input; not centred.
    strong : (M, width_s) array_like
        Strong features of the same inputs, in the same order.
    energy : float
        Share of each second moment's trace that the retained directions carry, in (0, 1].

    Returns
    -------
    CorrelationDimension

    Raises
    ------
    ValueError
        If the features are not finite matrices with the same rows, are all zero, the energy is out
        of range, or there are fewer than 40 rows or 3 rows a retained direction of either set.

    Notes
    -----
    With sample second moments S of the retained features the plug-in value is

    .. math:: V = \operatorname{tr}(S_{ww}^{-1} S_{ws} S_{ss}^{-1} S_{sw}) .

    Two unrelated subspaces of M dimensions share :math:`d_wd_s/M` by chance. If k directions are
    common and the rest unrelated, :math:`\mathbb E V = k + (d_w-k)(d_s-k)/(M-k)`; solved for k,

    .. math:: \hat d_{sw} = \frac{MV - d_wd_s}{M - d_w - d_s + V} .

    For other canonical correlations of Gaussian features it is too small by
    :math:`\sum_i\cos^2\theta_i\sin^2\theta_i/M`, at most a quarter of the smaller dimension over M,
    up to terms of order :math:`M^{-2}`. Inputs that weigh heavily in both sets leave it too large,
    by about :math:`\operatorname{Cov}(h_w,h_s)(d_w-d_{sw})(d_s-d_{sw})/M`, where h is the squared
    norm of an input's whitened features over their number. The standard error does not contain
    that bias: where the two values differ, the held-out one is to be trusted.

    The held-out value needs neither Gaussian features nor many rows: with coefficients A of the
    strong features regressed on the weak ones in one half of the rows, and B of the weak ones on
    the strong ones in the other half, the mean of :math:`\operatorname{tr}(AB)` is :math:`d_{sw}`
    if both regressions are linear. The average over exchanged halves is returned.

    The jackknife is never too small on average [1]_. It is too large, by up to the square root of
    two, where all canonical angles are 0 or 90 degrees. The retained directions are those of the
    sample and are held fixed.

    References
    ----------
    .. [1] B. Efron, C. Stein, "The jackknife estimate of variance", Annals of Statistics 9, 1981.

    Examples
    --------
    Two sets of two functions that share one of them:

    >>> rng = np.random.default_rng(0)
    >>> z = rng.standard_normal((4000, 3))
    >>> found = correlation_dimension(z[:, :2], 5 * z[:, 1:] @ [[1, 1], [1, 2]], energy=1.0)
    >>> round(found.estimate, 2)
    1.0
    """
    W = leading_coordinates(weak, energy, "weak")
    S = leading_coordinates(strong, energy, "strong")
    rows, d_w, d_s = same_rows(weak=W, strong=S), W.shape[1], S.shape[1]
    needed = rows_needed(d_w, d_s)
    if rows < needed:
        raise ValueError(
            f"At least {needed} rows are needed for {d_w} weak and {d_s} strong directions, got "
            f"{rows}; give more inputs or lower the energy."
        )
    Z = np.column_stack([W, S])
    halves = [half.T @ half for half in (Z[::2], Z[1::2])]

    def fits(gram: Array) -> tuple[Array, Array]:
        return regressions(gram[:d_w, :d_w], gram[:d_w, d_w:], gram[d_w:, d_w:])

    total, of_halves = halves[0] + halves[1], [*map(fits, halves)]
    left_out = np.empty((BLOCKS, 2))
    for b in range(BLOCKS):
        block = Z[b::BLOCKS]
        gram = block.T @ block
        overlap = _plug_in(total - gram, d_w)
        left_out[b, 0] = corrected(overlap, rows - len(block), d_w, d_s)
        left_out[b, 1] = held_out(fits(halves[b % 2] - gram), of_halves[1 - b % 2])
    errors = np.sqrt((BLOCKS - 1) * left_out.var(axis=0))

    plug_in = _plug_in(total, d_w)
    return CorrelationDimension(
        estimate=corrected(plug_in, rows, d_w, d_s),
        standard_error=float(errors[0]),
        plug_in=plug_in,
        held_out=held_out(*of_halves),
        held_out_error=float(errors[1]),
        chance=d_w * d_s / rows,
        d_w=d_w,
        d_s=d_s,
        rows=rows,
    )


def rows_needed(d_w: int, d_s: int) -> int:
    """Fewest rows that `correlation_dimension` accepts."""
    return max(2 * BLOCKS, 3 * d_w, 3 * d_s)


def _plug_in(gram: Array, d_w: int) -> float:
    """Sum of the squared canonical correlations, from the Gram matrix of both sets."""
    weak = linalg.cholesky(gram[:d_w, :d_w], lower=True)
    strong = linalg.cholesky(gram[d_w:, d_w:], lower=True)
    half = linalg.solve_triangular(weak, gram[:d_w, d_w:], lower=True)
    correlations = linalg.solve_triangular(strong, half.T, lower=True)
    return float(np.sum(correlations**2))


def corrected(plug_in: float, rows: int, d_w: int, d_s: int) -> float:
    """Estimate of `correlation_dimension` from the plug-in value of so many rows."""
    return float((rows * plug_in - d_w * d_s) / (rows - d_w - d_s + plug_in))


def regressions(weak: Array, cross: Array, strong: Array) -> tuple[Array, Array]:
    """Coefficients of strong on weak, (d_w, d_s), and of weak on strong, (d_s, d_w).

    It takes second moments: of the weak features, of both sets together, of the strong ones.
    """
    on_weak: Array = linalg.cho_solve(linalg.cho_factor(weak), cross)
    on_strong: Array = linalg.cho_solve(linalg.cho_factor(strong), cross.T)
    return on_weak, on_strong


def held_out(one: tuple[Array, Array], two: tuple[Array, Array]) -> float:
    """Held-out value of `correlation_dimension`, from the `regressions` in each half of the rows.

    Trace of the product of two regressions, averaged over which half serves which.
    """
    return float(np.sum(one[0] * two[1].T) + np.sum(two[0] * one[1].T)) / 2
