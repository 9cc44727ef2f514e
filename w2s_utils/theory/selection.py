r"""The law of the inputs of which a model is most sure.

>>> import numpy as np
>>> from w2s_utils.theory.selection import most_confident
>>> sure = most_confident([np.eye(2), np.diag([9.0, 1.0])], [0.5, 0.5], [1, 0], 0.2)
>>> sure.shares.round(2)  # the group in which the score varies more
array([0.02, 0.98])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from w2s_utils._gram import second_moment
from w2s_utils._validate import Array, real_array


@dataclass(frozen=True)
class Selected:
    """Groups of inputs after a selection.

    Attributes
    ----------
    moments : (groups, D, D) ndarray
        Uncentred second moment of each group's selected inputs.
    shares : (groups,) ndarray
        Share of each group among the selected inputs.
    """

    moments: Array
    shares: Array

    @property
    def moment(self) -> Array:
        """Second moment of all selected inputs: `unlabelled` of a `ShiftedPair`."""
        moment: Array = np.tensordot(self.shares, self.moments, axes=1)
        return moment


def most_confident(
    moments: ArrayLike,
    shares: ArrayLike,
    direction: ArrayLike,
    kept: float,
    means: ArrayLike | None = None,
) -> Selected:
    r"""Groups among the inputs with the largest scores in size, of a mixture of Gaussian groups.

    Parameters
    ----------
    moments : (groups, D, D) array_like
        Uncentred second moment of each group's inputs.
    shares : (groups,) array_like
        Share of each group, 1 in all.
    direction : (D,) array_like
        Coefficients w of the score :math:`\langle w,z\rangle`; it varies in each group.
    kept : float
        Share q of inputs that are selected, above 0 and at most 1.
    means : (groups, D) array_like, optional
        Mean of each group's inputs, zero if None. A group and its mirror image, of mean -m, are
        selected alike and have the same moments: give one for both.

    Returns
    -------
    Selected

    Raises
    ------
    ValueError
        If shapes do not fit, shares are negative or do not add up to 1, a moment is none, the score
        does not vary in a group, or `kept` is no such share.

    Notes
    -----
    In group k of mean m and covariance S the score has the mean :math:`a=\langle w,m\rangle` and
    the variance :math:`s^2=w^\top Sw`. With t its standardised value, selection by
    :math:`|a+st|>c` changes the law of t alone, and what of z is not told by t stays:

    .. math:: \mathbb E[zz^\top\mid|a+st|>c] = S + mm^\top + (\mathbb E[t^2]-1)\,bb^\top
        + \mathbb E[t]\,(mb^\top+bm^\top), \qquad b=Sw/s,

    with the moments of t over what is selected. c is such that the share q of all is kept, and a
    group's share is multiplied by its own chance of being kept over q. Equation
    eq-14-selected of chapter 14 is the case of one group of mean zero.
    """
    of_groups, share = real_array(moments, "moments", 3), real_array(shares, "shares", 1)
    w = real_array(direction, "direction", 1)
    for one in of_groups:
        second_moment(one, "moments of a group", len(w))
    m = real_array(np.zeros((len(of_groups), len(w))) if means is None else means, "means", 2)
    if m.shape != of_groups.shape[:2] or share.shape != m.shape[:1]:
        raise ValueError(
            f"means and shares must be of {len(of_groups)} groups and {len(w)} columns, got shapes "
            f"{m.shape} and {share.shape}."
        )
    if share.min() < 0 or abs(share.sum() - 1) > 1e-9:
        raise ValueError(f"shares must be >= 0 and add up to 1, got {share.tolist()}.")
    if not 0 < kept <= 1:
        raise ValueError(f"kept must be above 0 and at most 1, got {kept}.")
    covariances = of_groups - m[:, :, None] * m[:, None, :]
    along = covariances @ w
    variance, a = along @ w, m @ w
    if variance.min() <= 1e-12 * (variance.max() + np.max(a**2)):
        raise ValueError(f"The score must vary in each group, got variances {variance.tolist()}.")
    s = np.sqrt(variance)

    def log_kept(c: float) -> Array:
        """Logarithm of each group's chance to be kept."""
        chance: Array = np.logaddexp(special.log_ndtr((a - c) / s), special.log_ndtr(-(a + c) / s))
        return chance

    c = 0.0
    if kept < 1:
        farthest = float(np.max(np.abs(a) + s * stats.norm.isf(kept / 4)))
        c = optimize.brentq(lambda c: float(share @ np.exp(log_kept(c))) - kept, 0, farthest)
    chance = log_kept(c)
    high, low = (c - a) / s, (-c - a) / s
    at_high, at_low = (np.exp(stats.norm.logpdf(end) - chance) for end in (high, low))
    first, second = at_high - at_low, 1 + high * at_high - low * at_low
    b = along / s[:, None]
    cross = m[:, :, None] * b[:, None, :]
    selected = (
        of_groups
        + (second - 1)[:, None, None] * b[:, :, None] * b[:, None, :]
        + first[:, None, None] * (cross + cross.transpose(0, 2, 1))
    )
    after = share * np.exp(chance)
    return Selected(selected, after / after.sum())
