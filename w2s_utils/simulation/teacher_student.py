r"""Teacher and student alone, from a few normal and chi-square variables a trial.

The teacher's coefficient errors are a multivariate t vector, and to the student its teacher is
the target:

.. math:: e_w = \sqrt{\frac{\sigma^2+\rho_w}{\chi^2_{n-d_w+1}}}\;g, \qquad
    b_w = P_w\beta + V_we_w, \qquad \tau^2 = \|(I-P_s)b_w\|^2, \qquad
    e_s = \sqrt{\frac{\tau^2}{\chi^2_{N-d_s+1}}}\;h, \qquad b_{w2s} = P_sb_w + V_se_s

with :math:`g \sim N(0, I_{d_w})` and :math:`h \sim N(0, I_{d_s})`. Both excess risks are squared
distances to :math:`\beta`. In principal coordinates only the :math:`k \le \min(d_w, d_s) + 1`
directions of V_w that are not silent need entries of their own; of silent directions and of h only
lengths matter.
"""

from __future__ import annotations

import numpy as np

from w2s_utils._validate import Array, count, seeded
from w2s_utils.pair import GaussianPair

BATCH_ELEMENTS = 2**18  # of float64 held at once


def simulate_teacher_student(
    pair: GaussianPair, n: int, N: int, trials: int, seed: int | np.random.SeedSequence
) -> tuple[Array, Array]:
    r"""Draw the excess risks of teacher and student on fresh inputs, in O(d) a trial.

    Parameters
    ----------
    pair : GaussianPair
    n, N : int
        Labelled and unlabelled samples, n >= d_w and N >= d_s.
    trials : int
        Number of training sets.
    seed : int or SeedSequence
        The same seed and number of trials give the same risks.

    Returns
    -------
    weak, student : (trials,) ndarray
        In squared units of the target; paired, with the joint law that `simulate` has for them.

    Raises
    ------
    ValueError
        If a count is no integer, trials is not positive, n < d_w or N < d_s.

    Examples
    --------
    >>> pair = GaussianPair.paper(d_sw=10)
    >>> weak, student = simulate_teacher_student(pair, 10**8, 10**8, trials=1000, seed=0)
    >>> bool(abs(weak.mean() / (pair.rho_w + 1e-2 * 200 / 10**8) - 1) < 1e-4)
    True
    """
    n, N = count(n, "n", pair.d_w - 1, "d_w - 1"), count(N, "N", pair.d_s - 1, "d_s - 1")
    trials = count(trials, "trials")
    rng = np.random.default_rng(seeded(seed))
    risks = np.empty((2, trials))
    batch = max(1, BATCH_ELEMENTS // (pair.d_w + pair.d_s))
    for done in range(0, trials, batch):
        risks[:, done : done + batch] = _draw(pair, n, N, min(batch, trials - done), rng)
    return risks[0], risks[1]


def _draw(pair: GaussianPair, n: int, N: int, batch: int, rng: np.random.Generator) -> Array:
    p = pair.principal
    linked = min(len(p.cosines), p.d_s)
    scale = np.sqrt((p.noise_variance + pair.rho_w) / rng.chisquare(n - p.d_w + 1, batch))
    error = rng.standard_normal((batch, len(p.cosines))) * scale[:, None]
    silent = scale**2 * _chi_square(p.silent, batch, rng)
    teacher = p.weak_target + error
    outside = p.sines * teacher
    tau2 = np.vecdot(outside, outside) + silent

    miss = np.broadcast_to(-p.strong_target, (batch, p.d_s)).copy()
    miss[:, :linked] += p.cosines[:linked] * teacher[:, :linked]
    # |miss + e_s|^2 for an isotropic e_s: split it along miss and across.
    size = np.sqrt(tau2 / rng.chisquare(N - p.d_s + 1, batch))
    along = np.sqrt(np.vecdot(miss, miss)) + size * rng.standard_normal(batch)
    across = size**2 * _chi_square(p.d_s - 1, batch, rng)
    return np.array([pair.rho_w + np.vecdot(error, error) + silent, pair.rho_s + along**2 + across])


def _chi_square(degrees: int, size: int, rng: np.random.Generator) -> Array:
    return rng.chisquare(degrees, size) if degrees else np.zeros(size)
