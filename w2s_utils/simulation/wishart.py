r"""Exact samplers whose cost does not grow with the number of samples.

Least squares on the rows of :math:`X = QR` equals least squares on the rows of R, for every
right-hand side in the span of X. With what acts as label noise as one more column, R holds all
that the four fits use. For Gaussian X of m rows its entries are independent: :math:`\chi_{m-i}` at
place i of the diagonal (counted from 0), standard normal above (Bartlett 1933). A leading block of
R is the factor of the leading columns, so the order of the columns decides which fits are mere
back substitutions: the teacher's columns lead in the labelled set, the student's in the other.

Only directions that matter are drawn (`principal.PrincipalCoordinates`). On the unlabelled set
they are V_s, what the teacher says outside V_s, and what the target has outside V_s besides.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from w2s_utils._validate import Array
from w2s_utils.metrics import Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.principal import PrincipalCoordinates
from w2s_utils.simulation import direct

BATCH_ELEMENTS = 2**18  # of float64 held at once, few enough to stay in the cache


def risks(
    coordinates: PrincipalCoordinates,
    n: int,
    N: int,
    trials: int,
    rng: np.random.Generator,
    transductive: bool,
) -> Risks:
    """Draw the risks of `trials` training sets; see `simulation.simulate`."""
    p = coordinates
    if n > max(p.d_w, p.d_s) + 1 and p.d_s + 1 < N:
        columns = len(p.cosines) + p.d_s - p.shared + 1
        batch = max(1, BATCH_ELEMENTS // (2 * columns**2 + 3 * p.d_s**2))
        samples = np.concatenate(
            [
                _least_squares(p, n, N, min(batch, trials - done), rng, transductive)
                for done in range(0, trials, batch)
            ]
        )
    else:
        pair = _explicit(p)
        samples = np.array(
            [direct.trial(pair, n, N, rng, triangular_factor, transductive) for _ in range(trials)]
        )
    return Risks(*samples.T)


def triangular_factor(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Draw the R of the QR decomposition of a standard normal (rows, columns) matrix."""
    kept = min(rows, columns)
    factor = np.zeros((kept, columns))
    above = _above_diagonal(kept, columns)
    factor.ravel()[above] = rng.standard_normal(len(above))
    np.fill_diagonal(factor, np.sqrt(rng.chisquare(rows - np.arange(kept))))
    return factor


@lru_cache(maxsize=4)
def _above_diagonal(rows: int, columns: int) -> NDArray[np.intp]:
    return np.flatnonzero(np.triu(np.ones((rows, columns), dtype=bool), 1))


def _least_squares(
    p: PrincipalCoordinates,
    n: int,
    N: int,
    batch: int,
    rng: np.random.Generator,
    transductive: bool,
) -> Array:
    """Risks of a batch of trials, (batch, 4), where every fit has more samples than features."""
    weak, strong, shared = len(p.cosines), p.d_s, p.shared
    linked = min(weak, strong)

    # Labelled set. Columns: silent directions of V_w, the other a_i, the b_i, the rest of the
    # label. Of the rows that belong to silent directions only the Gram matrix of the other
    # columns matters, and the factor of their block has the same.
    columns = weak + strong - shared + 1
    top = min(p.silent, columns)
    labelled = np.empty((batch, top + min(n - p.silent, columns), columns))
    silent_scale = np.empty(batch)
    # Unlabelled set. Columns: the v_i, the teacher outside V_s, the rest of the target, the noise.
    unlabelled = np.empty((batch, strong + 2, strong + 3))
    for t in range(batch):
        labelled[t, :top] = triangular_factor(p.silent, columns, rng)
        labelled[t, top:] = triangular_factor(n - p.silent, columns, rng)
        silent_scale[t] = rng.chisquare(n - p.silent + 1)
        unlabelled[t] = triangular_factor(N, strong + 3, rng)[: strong + 2]

    # Teacher: what it cannot see is noise; back substitution gives the errors along the a_i, and
    # the squared error along silent directions is that of a T-squared statistic.
    a = labelled[:, :, :weak]
    unseen = labelled[:, :, weak:-1] @ p.new_target[shared:]
    unseen += labelled[:, :, -1] * np.sqrt(p.noise_variance + p.rest)
    error = np.empty((batch, weak))
    for t in range(batch):
        error[t] = _back_substitute(a[t, top : top + weak], unseen[t, top : top + weak])
    silent = unseen[:, :top] - _times(a[:, :top], error)
    silent_error = np.vecdot(silent, silent) / silent_scale

    # Baseline: v_i = cos a_i + sin b_i.
    v = np.zeros((*labelled.shape[:2], strong))
    v[:, :, :linked] = a[:, :, :linked] * p.cosines[:linked]
    v[:, :, shared:] += labelled[:, :, weak:-1] * p.strong_sines[shared:]
    gram = v.swapaxes(1, 2) @ v
    moment = _times(v.swapaxes(1, 2), unseen + a @ p.weak_target - v @ p.strong_target)

    # Student: to it the teacher is the target, with what is outside V_s as noise.
    teacher = np.zeros((batch, strong))
    teacher[:, :linked] = p.cosines[:linked] * (p.weak_target + error)[:, :linked]
    outside = p.sines * (p.weak_target + error)
    size = np.sqrt(np.vecdot(outside, outside) + silent_error)
    # Row by row: a product with the whole batch may round its last rows differently.
    projected = np.vecdot(outside, p.beyond_target)
    along = np.divide(projected, size, out=np.zeros(batch), where=size > 0)
    rho_s = p.beyond_target @ p.beyond_target + p.rest
    across = np.sqrt(np.maximum(rho_s - along**2, 0))

    # Ceiling: the two sets' Gram matrices add up.
    z = unlabelled[:, :strong, :strong]
    noise = np.column_stack([along, across, np.full(batch, np.sqrt(p.noise_variance))])
    all_gram = gram + z.swapaxes(1, 2) @ z
    all_moment = moment + _times(z.swapaxes(1, 2), _times(unlabelled[:, :strong, strong:], noise))

    # Errors of the four models in the unlabelled set's coordinates, the noise left out.
    errors = np.empty((4, batch, strong + 2))
    errors[:, :, strong] = -along
    errors[:, :, strong + 1] = -across
    errors[0, :, strong] += size
    errors[0, :, :strong] = errors[1, :, :strong] = teacher - p.strong_target
    for t in range(batch):
        errors[1, t, :strong] += size[t] * _back_substitute(z[t], unlabelled[t, :strong, strong])
        errors[2, t, :strong] = _solve_positive(gram[t], moment[t])
        errors[3, t, :strong] = _solve_positive(all_gram[t], all_moment[t])
    if transductive:
        errors = _times(unlabelled[:, :, :-1], errors) / np.sqrt(N)
    squares: Array = np.vecdot(errors, errors).T
    return squares


def _times(matrices: Array, vectors: Array) -> Array:
    return (matrices @ vectors[..., None])[..., 0]


def _back_substitute(factor: Array, y: Array) -> Array:
    # LAPACK wants columns: it gets the transposed factor and is told so.
    x: Array = lapack.dtrtrs(factor.T, y, lower=1, trans=1)[0]
    return x


def _solve_positive(gram: Array, y: Array) -> Array:
    x: Array
    _, x, info = lapack.dposv(gram.T, y)
    if info:
        raise np.linalg.LinAlgError("A Gram matrix of Gaussian features is numerically singular.")
    return x


def _explicit(p: PrincipalCoordinates) -> GaussianPair:
    """Build a pair with these principal coordinates in as few dimensions as it takes."""
    weak, shared, new = len(p.cosines), p.shared, p.d_s - p.shared
    identity = np.eye(p.d_w + new + 1)
    linked = min(weak, p.d_s)
    strong = np.zeros((len(identity), p.d_s))
    strong[:linked, :linked] = np.diag(p.cosines[:linked])
    strong[p.d_w : -1, shared:] = np.diag(p.strong_sines[shared:])
    target = np.r_[p.weak_target, np.zeros(p.silent), p.new_target[shared:], np.sqrt(p.rest)]
    return GaussianPair(identity[:, : p.d_w], strong, target, p.noise_variance)
