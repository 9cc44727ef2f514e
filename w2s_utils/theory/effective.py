r"""The effective ridge of a fit, for inputs of equal and of unequal size.

Inputs of unequal size are :math:`x_i = r_iz_i` with Gaussian :math:`z_i` and independent radii of
mean square 1. A large one counts less than its square, and a small one that is interpolated
amplifies its noise: so it matters also at which sizes there is more of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, ridges, sample_size, variances
from w2s_utils.directions import Radii

STEPS = 100


def effective_ridge(spectrum: ArrayLike, m: ArrayLike, alpha: ArrayLike) -> Array:
    r"""Effective ridge of a fit to m samples.

    Parameters
    ----------
    spectrum : (d,) array_like
        Variances l of the features along their principal directions, all above zero.
    m : array_like of int
        Samples, broadcast with `alpha`.
    alpha : array_like
        Ridge on the mean squared loss, as in `probes.fit_ridge`, in squared units of the features.

    Returns
    -------
    ndarray
        At least alpha; 0 for a ridgeless fit of m >= d samples.

    Raises
    ------
    ValueError
        If a variance is not above zero, m is no positive integer, or alpha is negative.

    Notes
    -----
    The root :math:`\kappa>0` of

    .. math:: \kappa = \alpha + \frac{\kappa}{m}\sum_i\frac{l_i}{l_i+\kappa} .

    In :math:`q = 1/\kappa` it is the root of :math:`m - d - \alpha m q + \sum_i 1/(1+l_iq)`, which
    falls and is convex: from the lower bound :math:`q = 1/(\alpha + \sum_i l_i/m)` Newton's method
    climbs to the root without overshooting.

    Examples
    --------
    One sample and two directions of equal variance, without ridge: the fit keeps half of each.

    >>> effective_ridge([1.0, 1.0], 1, 0.0)
    array(1.)
    """
    var = variances(spectrum, "spectrum")
    m, alpha = np.broadcast_arrays(sample_size(m, "m", 0, "zero"), ridges(alpha, "alpha"))
    kappa = np.zeros(m.shape)
    positive = (alpha > 0) | (m < len(var))
    samples, penalty = m[positive], m[positive] * alpha[positive]
    step = q = samples / (penalty + var.sum())
    while (step > 1e-14 * q).any():
        left = 1 / (1 + np.multiply.outer(q, var))
        gap = samples - len(var) - penalty * q + left.sum(axis=-1)
        step = np.maximum(gap, 0) / (penalty + left**2 @ var)
        q = q + step
    kappa[positive] = 1 / q
    return kappa


@dataclass(frozen=True)
class EffectiveFit:
    r"""What unequal sizes of the inputs make of a ridge fit to m samples.

    To leading order the fit is one to `samples` Gaussian inputs of equal size, with the effective
    ridge `kappa`, and label noise multiplied by `noise`.

    Attributes
    ----------
    kappa : ndarray
        Effective ridge.
    samples : ndarray
        Effective number of samples, at most m.
    noise : ndarray
        Factor of the noise's variance.
    """

    kappa: Array
    samples: Array
    noise: Array


def effective_samples(
    spectrum: ArrayLike, m: ArrayLike, alpha: ArrayLike, radii: Radii
) -> EffectiveFit:
    r"""Effective ridge, samples and noise of a fit to inputs of unequal size.

    Parameters
    ----------
    spectrum, m, alpha
        As in `effective_ridge`.
    radii : Radii

    Returns
    -------
    EffectiveFit
        Arrays of the broadcast shape of m and alpha.

    Raises
    ------
    ValueError
        As in `effective_ridge`.

    Notes
    -----
    Removing one input from a fit leaves the others independent of it, and the fit's response to it
    is divided by :math:`1+r^2\delta`. So, with :math:`\gamma = \mathbb E\,r^2/(1+r^2\delta)`,

    .. math:: m\gamma\delta = \mathrm{df}_1(\kappa), \qquad \kappa = \alpha/\gamma .

    Let noise have the variance :math:`\nu(r)(\sigma^2+\rho)` at size r. With
    :math:`q = \mathbb E[r^4/(1+r^2\delta)^2]/\gamma^2` and
    :math:`\eta = \mathbb E[\nu r^2/(1+r^2\delta)^2]/\gamma^2` the coefficients' errors have the
    variance :math:`c\,S^2` of `student_terms` with

    .. math:: c = \frac{q\,\|(I-S)V^\top\beta\|^2 + \eta\,(\sigma^2+\rho)}
        {m - q\,\mathrm{df}_2} ,

    which is that of m/q samples and noise times :math:`\eta/q`. Interpolation without ridge
    (m < d) has :math:`q=1` and :math:`\eta=\mathbb E[\nu/r^2]`; of many samples
    :math:`\eta\to\mathbb E[\nu r^2]`, the noise inflation. A student's pseudo-labels are linear in
    the inputs, and what it cannot fit of them grows with the size: it comes with q in place of
    :math:`\eta`, as noise that is not multiplied.
    """
    var = variances(spectrum, "spectrum")
    r2, noise = radii.squared, radii.noise
    m, alpha = np.broadcast_arrays(sample_size(m, "m", 0, "zero"), ridges(alpha, "alpha"))
    kappa = effective_ridge(var, m, alpha)
    df1 = np.sum(var / np.add.outer(kappa, var), axis=-1)
    if np.ptp(r2) == 0:
        return EffectiveFit(kappa, m.copy(), np.ones(m.shape))
    q, eta = np.ones(m.shape), np.full(m.shape, np.mean(noise / r2))
    open_ = m > df1 * (1 + 1e-12)  # else the fit interpolates, and delta is infinite
    samples, penalty = m[open_], alpha[open_]
    share, share2 = r2 / r2.size, r2**2 / r2.size
    x = np.log(df1[open_] / (samples - df1[open_]))  # log delta
    for _ in range(STEPS):
        kept = 1 / (1 + np.multiply.outer(np.exp(x), r2))
        gamma, gamma2 = kept @ share, kept**2 @ share2
        ridge = penalty / gamma
        factors = var / np.add.outer(ridge, var)
        used, used2 = factors.sum(axis=-1), (factors**2).sum(axis=-1)
        gap = np.log(used / (samples * gamma)) - x
        growth = np.exp(x) * gamma2 / gamma  # of log kappa with x
        step = gap / ((1 - used2 / used) * growth + 1 - growth)
        x = x + np.clip(step, -2, 2)
        if np.all(np.abs(step) < 1e-12 * (1 + np.abs(x))):
            break
    kappa[open_] = ridge
    q[open_] = gamma2 / gamma**2
    eta[open_] = kept**2 @ (noise * share) / gamma**2
    return EffectiveFit(kappa, m / q, eta / q)
