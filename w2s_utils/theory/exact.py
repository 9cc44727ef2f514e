"""Finite-sample theory: the expected risks of the four models, the whole law of three of them.

Every formula holds exactly, for each n > d_w + 1 and N > d_s + 1, for Gaussian inputs and
ridgeless least squares. Chapter 4 of the book derives them step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from w2s_utils._validate import Array, sample_size
from w2s_utils.geometry import Geometry
from w2s_utils.metrics import Risks
from w2s_utils.pair import GaussianPair

RiskKind = Literal["population", "transductive"]


@dataclass(frozen=True)
class StudentTerms:
    """The five parts of the student's expected excess risk; they add up to it.

    Attributes
    ----------
    inherited : ndarray
        Teacher variance inside V_s: passed on in full.
    reduced : ndarray
        Teacher variance outside V_s: noise that N pseudo-labels average down.
    missed : ndarray
        Target that the strong features see and the teacher does not.
    leaked : ndarray
        Deterministic part of the pseudo-labels outside V_s, acting as label noise.
    unseen : ndarray
        Target outside V_s.
    """

    inherited: Array
    reduced: Array
    missed: Array
    leaked: Array
    unseen: Array

    @property
    def variance(self) -> Array:
        """Inherited plus reduced: the part that more labels (n) remove."""
        return self.inherited + self.reduced

    @property
    def bias(self) -> Array:
        """Missed plus leaked plus unseen: the part that remains as n grows."""
        return self.missed + self.leaked + self.unseen

    @property
    def total(self) -> Array:
        """Expected excess risk of the student."""
        return self.variance + self.bias


def coefficient_variance(pair: GaussianPair | Geometry, n: ArrayLike) -> Array:
    r"""Variance of each teacher coefficient, :math:`v = (\sigma^2+\rho_w)/(n-d_w-1)`.

    Parameters
    ----------
    pair : GaussianPair or Geometry
    n : array_like of int
        Labelled samples, each above d_w + 1.

    Returns
    -------
    ndarray
        The teacher's whitened coefficient errors are uncorrelated with this variance.

    Raises
    ------
    ValueError
        If some n <= d_w + 1, where the variance is infinite.
    """
    n = sample_size(n, "n", pair.d_w + 1, "d_w + 1")
    return (pair.noise_variance + pair.rho_w) / (n - pair.d_w - 1)


def noise_factor(
    pair: GaussianPair | Geometry, N: ArrayLike, risk: RiskKind = "population"
) -> Array:
    r"""Share k of pseudo-label noise outside V_s that the student keeps.

    Parameters
    ----------
    pair : GaussianPair or Geometry
    N : array_like of int
        Pseudo-labelled samples, each above d_s + 1.
    risk : {"population", "transductive"}

    Returns
    -------
    ndarray
        d_s/(N - d_s - 1) for fresh inputs, d_s/N on the N unlabelled inputs themselves.

    Raises
    ------
    ValueError
        If some N <= d_s + 1 or `risk` is neither kind.
    """
    N = sample_size(N, "N", pair.d_s + 1, "d_s + 1")
    return pair.d_s / (N - pair.d_s - 1 if is_population(risk) else N)


def student_terms(
    pair: GaussianPair | Geometry, n: ArrayLike, N: ArrayLike, risk: RiskKind = "population"
) -> StudentTerms:
    r"""The W2S student's expected excess risk, term by term.

    Parameters
    ----------
    pair : GaussianPair or Geometry
    n, N : array_like of int
        Labelled and pseudo-labelled samples, broadcast; n > d_w + 1 and N > d_s + 1.
    risk : {"population", "transductive"}
        On fresh inputs, or on the N unlabelled inputs.

    Returns
    -------
    StudentTerms
        In squared units of the target.

    Raises
    ------
    ValueError
        If n or N is too small, or `risk` is neither kind.

    Notes
    -----
    With :math:`v = (\sigma^2+\rho_w)/(n-d_w-1)`, on fresh inputs (:math:`k = d_s/(N-d_s-1)`)

    .. math:: v\,[d_{sw} + k(d_w-d_{sw})] + \|P_s(I-P_w)\beta\|^2
        + k\|(I-P_s)P_w\beta\|^2 + \rho_s

    and on the unlabelled inputs (:math:`k = d_s/N`)

    .. math:: v\,[d_{sw} + k(d_w-d_{sw})] + \|P_s(I-P_w)\beta\|^2
        + k\|(I-P_s)(I-P_w)\beta\|^2 + (1-k)\rho_s .
    """
    v, k = np.broadcast_arrays(coefficient_variance(pair, n), noise_factor(pair, N, risk))
    if is_population(risk):
        leaked, kept = pair.leaked, np.ones_like(k)
    else:  # of the teacher's miss, |(I - P_s)(I - P_w) beta|^2 lies outside V_s
        leaked, kept = pair.rho_w - pair.missed, 1 - k
    return StudentTerms(
        inherited=v * pair.d_sw,
        reduced=v * k * (pair.d_w - pair.d_sw),
        missed=np.full_like(k, pair.missed),
        leaked=k * leaked,
        unseen=kept * pair.rho_s,
    )


def expected_risks(
    pair: GaussianPair | Geometry, n: ArrayLike, N: ArrayLike, risk: RiskKind = "population"
) -> Risks:
    r"""Expected excess risks of teacher, student, baseline and ceiling.

    Parameters
    ----------
    pair : GaussianPair or Geometry
    n, N : array_like of int
        Labelled and pseudo-labelled samples, broadcast; n > max(d_w, d_s) + 1 and N > d_s + 1.
    risk : {"population", "transductive"}
        On fresh inputs, or on the N unlabelled inputs. The N inputs are new to the teacher and to
        the baseline, whose two risks are equal; they are training inputs of the ceiling.

    Returns
    -------
    Risks
        Arrays of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        If n or N is too small, or `risk` is neither kind.

    Notes
    -----
    A model with features of dimension d and approximation error rho, fitted to m labels, has
    :math:`\rho + (\sigma^2+\rho)\,d/(m-d-1)` on fresh inputs and, averaged over its own training
    inputs, :math:`\rho(1-d/m) + \sigma^2 d/m`.

    Examples
    --------
    >>> pair = GaussianPair.paper(d_sw=10)
    >>> risks = expected_risks(pair, n=[400, 4000], N=4000)
    >>> risks.opr.round(2)
    array([3.17, 0.89])
    """
    n_strong = sample_size(n, "n", max(pair.d_w, pair.d_s) + 1, "max(d_w, d_s) + 1")
    N_strong = sample_size(N, "N", pair.d_s + 1, "d_s + 1")
    labels = n_strong + N_strong
    ceiling = (
        _fresh_risk(pair.d_s, pair.rho_s, pair.noise_variance, labels)
        if is_population(risk)
        else pair.rho_s + (pair.noise_variance - pair.rho_s) * pair.d_s / labels
    )
    return Risks.of(
        _fresh_risk(pair.d_w, pair.rho_w, pair.noise_variance, n_strong),
        student_terms(pair, n, N, risk).total,
        _fresh_risk(pair.d_s, pair.rho_s, pair.noise_variance, n_strong),
        ceiling,
    )


def risk_law(d: int, rho: float, noise_variance: float, samples: int) -> Any:
    r"""Distribution of the excess risk of one least-squares model over its training sets.

    Teacher, baseline and ceiling are such models. With d features and m samples
    :math:`(\mathrm{ER} - \rho)/(\sigma^2+\rho)` is a ratio of independent chi-squares with d and
    m - d + 1 degrees of freedom (Hotelling's T-squared), which is a beta prime variable.

    Parameters
    ----------
    d : int
        Features of the model, at least 1.
    rho : float
        Approximation error.
    noise_variance : float
        Label noise sigma^2.
    samples : int
        Labels m of the model, at least d.

    Returns
    -------
    scipy.stats frozen distribution
        Its mean is finite for m > d + 1 only, its variance for m > d + 3.

    Raises
    ------
    ValueError
        If m < d, d < 1, a variance is negative, or there is neither noise nor approximation error
        and the risk is constant.

    Examples
    --------
    >>> float(risk_law(d=20, rho=0.5, noise_variance=1.0, samples=41).mean())
    2.0
    """
    sample_size(d, "d", 0, "zero")
    (m,) = np.atleast_1d(sample_size(samples, "samples", d - 1, "d - 1"))
    if not (rho >= 0 and noise_variance >= 0):
        raise ValueError(f"rho and noise_variance must be >= 0, got {rho} and {noise_variance}.")
    scale = noise_variance + rho
    if scale == 0:
        raise ValueError("Without noise and approximation error the risk is exactly 0.")
    return stats.betaprime(d / 2, (m - d + 1) / 2, loc=rho, scale=scale)


def weak_risk_law(pair: GaussianPair | Geometry, n: int) -> Any:
    """Distribution of the teacher's excess risk over training sets of n labels (`risk_law`).

    Parameters
    ----------
    pair : GaussianPair or Geometry
    n : int
        Labelled samples, n >= d_w.

    Returns
    -------
    scipy.stats frozen distribution

    Raises
    ------
    ValueError
        As `risk_law`.
    """
    return risk_law(pair.d_w, pair.rho_w, pair.noise_variance, n)


def _fresh_risk(d: int, rho: float, noise_variance: float, m: Array) -> Array:
    return rho + (noise_variance + rho) * d / (m - d - 1)


def is_population(risk: RiskKind) -> bool:
    """Whether the risk is on fresh inputs; raise ValueError if it is of neither kind."""
    if risk not in ("population", "transductive"):
        raise ValueError(f"risk must be 'population' or 'transductive', got {risk!r}.")
    return risk == "population"
