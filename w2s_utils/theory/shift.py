r"""Expected risks where labelled, pseudo-labelled and test inputs have different laws.

Exact for Gaussian inputs and ridgeless least squares, for each n > d_w + 1 and N > d_s + 1, but for
the ceiling. Notation: with the maps A of the features and the second moments M of the inputs, a fit
to inputs of moment M has the coefficients :math:`C M\beta` of the population and errors along
:math:`C = A(A^\top MA)^{-1}A^\top`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, sample_size
from w2s_utils.metrics import Risks
from w2s_utils.pair import ShiftedPair
from w2s_utils.theory.exact import StudentTerms


def student_terms(pair: ShiftedPair, n: ArrayLike, N: ArrayLike) -> StudentTerms:
    r"""The student's expected excess risk on test inputs, term by term.

    Parameters
    ----------
    pair : ShiftedPair
    n, N : array_like of int
        Labelled and pseudo-labelled samples, above d_w + 1 and d_s + 1; broadcast.

    Returns
    -------
    StudentTerms
        Arrays of the broadcast shape, in squared units of the target. `unseen` is the bias of a
        student of the truth, `missed` what the teacher's own bias changes of it: below zero where
        the two cancel.

    Raises
    ------
    ValueError
        If a sample size is too small.

    Notes
    -----
    Let :math:`C_l` be that of the weak map among labelled inputs, :math:`C_u` that of the strong
    map among unlabelled ones, :math:`g = C_lM_l\beta` the mean teacher, :math:`\Pi = C_uM_u` and
    :math:`R = M_u - M_uC_uM_u`. The teacher's errors have the covariance :math:`vC_l` with

    .. math:: v = \frac{\sigma^2+\|\beta-g\|^2_{M_l}}{n-d_w-1} ,

    the student fits :math:`\Pi` times the teacher, and to it the rest of the teacher is noise:

    .. math:: \mathrm{ER} = \|\Pi g-\beta\|^2_{M_t} + v\operatorname{tr}(\Pi^\top M_t\Pi C_l)
        + \frac{g^\top Rg + v\operatorname{tr}(RC_l)}{N-d_s-1}\operatorname{tr}(M_tC_u) .

    With equal moments :math:`\operatorname{tr}(\Pi^\top M_t\Pi C_l)` is :math:`d_{sw}`.
    """
    n, N = (
        sample_size(n, "n", pair.d_w + 1, "d_w + 1"),
        sample_size(N, "N", pair.d_s + 1, "d_s + 1"),
    )
    beta, M_u, M_t = pair.target, pair.unlabelled, pair.test
    C_l, C_u = _spread(pair.weak_map, pair.labelled), _spread(pair.strong_map, M_u)
    g, to_strong = C_l @ pair.labelled @ beta, C_u @ M_u
    v = _noise(pair, pair.labelled, g) / (n - pair.d_w - 1)
    kept = np.sum((to_strong.T @ M_t @ to_strong) * C_l)
    noise = M_u - M_u @ to_strong
    share = np.sum(M_t * C_u) / (N - pair.d_s - 1)
    unseen, bias = _power(M_t, to_strong @ beta - beta), _power(M_t, to_strong @ g - beta)
    terms = (
        v * kept,
        v * np.sum(noise * C_l) * share,
        np.float64(bias - unseen),
        _power(noise, g) * share,
        np.float64(unseen),
    )
    return StudentTerms(*(np.array(term) for term in np.broadcast_arrays(*terms)))


def expected_risks(pair: ShiftedPair, n: ArrayLike, N: ArrayLike) -> Risks:
    r"""Expected excess risks of teacher, student, baseline and ceiling on test inputs.

    Parameters
    ----------
    pair, n, N
        As in `student_terms`; n above d_s + 1, too.

    Returns
    -------
    Risks
        Arrays of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        If a sample size is too small.

    Notes
    -----
    A model with map A, fitted to m inputs of moment M, has the mean :math:`g = CM\beta` and risk

    .. math:: \|g-\beta\|^2_{M_t} + \frac{\sigma^2+\|\beta-g\|^2_M}{m-d-1}
        \operatorname{tr}(M_tC) .

    The ceiling's n + N inputs have two laws; it is taken for a fit to inputs of their mean moment,
    which is right to leading order.
    """
    n, N = np.asarray(n), np.asarray(N)
    sample_size(n, "n", pair.d_s + 1, "d_s + 1")
    student = student_terms(pair, n, N).total
    ceiling = np.empty(student.shape)
    sizes = (np.broadcast_to(size, student.shape) for size in (n, N))
    for place, (labels, more) in enumerate(zip(*(size.flat for size in sizes), strict=True)):
        share = labels / (labels + more)
        pooled = share * pair.labelled + (1 - share) * pair.unlabelled
        ceiling.flat[place] = _single(pair, pair.strong_map, pooled, np.asarray(labels + more))
    return Risks.of(
        _single(pair, pair.weak_map, pair.labelled, n),
        student,
        _single(pair, pair.strong_map, pair.labelled, n),
        ceiling,
    )


def _single(pair: ShiftedPair, features: Array, moment: Array, m: Array) -> Array:
    """Risk of one model on test inputs."""
    spread = _spread(features, moment)
    g = spread @ moment @ pair.target
    v = _noise(pair, moment, g) / (m - features.shape[1] - 1)
    variance = v * np.sum(pair.test * spread)
    return np.asarray(_power(pair.test, g - pair.target) + variance)


def _noise(pair: ShiftedPair, moment: Array, g: Array) -> float:
    """Variance of the labels around the best fit g to inputs of this moment."""
    return pair.noise_variance + _power(moment, pair.target - g)


def _spread(features: Array, moment: Array) -> Array:
    """Covariance C of the coefficients' errors, for unit noise and one sample to spare."""
    spread: Array = features @ np.linalg.solve(features.T @ moment @ features, features.T)
    return spread


def _power(moment: Array, function: Array) -> float:
    return float(function @ moment @ function)
