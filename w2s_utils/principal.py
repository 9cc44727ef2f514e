"""Principal coordinates: the few numbers of a pair that its risks depend on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from w2s_utils._validate import Array

PARALLEL = 1e-10  # sine of a canonical angle below which two directions count as one
ORTHOGONAL = 1e-12  # cosine below which they count as orthogonal


@dataclass(frozen=True, eq=False)
class PrincipalCoordinates:
    r"""Canonical angles of a pair and the target's coordinates along its principal directions.

    Choose orthonormal bases :math:`a_i` of V_w and :math:`v_i` of V_s such that
    :math:`v_i = \cos\theta_i\, a_i + \sin\theta_i\, b_i` with :math:`b_i` orthogonal to V_w, and
    all other pairs of directions orthogonal. Likewise
    :math:`a_i = \cos\theta_i\, v_i + \sin\theta_i\, w_i` with :math:`w_i` orthogonal to V_s.
    Gaussian inputs look the same in any orthonormal basis, so the law of all risks depends on the
    pair through these numbers alone, not on the ambient dimension.

    Directions of V_w orthogonal to V_s are turned among themselves so that at most one of them
    holds target; the others are *silent*: their number is all that matters. Directions of V_s
    orthogonal to V_w are turned in the same way.

    Attributes
    ----------
    d_w, d_s : int
        Dimensions of the weak and the strong feature subspace.
    cosines, sines : (k,) ndarray
        Of the angles between a_i and V_s, ascending angles, for the k directions of V_w that are
        not silent.
    weak_target : (k,) ndarray
        Target along a_i.
    beyond_target : (k,) ndarray
        Target along w_i; zero where the angle is zero.
    strong_sines : (d_s,) ndarray
        Of the angles between v_i and V_w.
    strong_target : (d_s,) ndarray
        Target along v_i.
    new_target : (d_s,) ndarray
        Target along b_i; zero where the angle is zero.
    rest : float
        Squared norm of the target outside both subspaces.
    noise_variance : float
        Label noise sigma^2.
    """

    d_w: int
    d_s: int
    cosines: Array
    sines: Array
    weak_target: Array
    beyond_target: Array
    strong_sines: Array
    strong_target: Array
    new_target: Array
    rest: float
    noise_variance: float

    @property
    def silent(self) -> int:
        """Directions of V_w orthogonal both to V_s and to the target."""
        return self.d_w - len(self.cosines)

    @property
    def shared(self) -> int:
        """Directions that V_w and V_s have in common."""
        return int(np.sum(self.strong_sines == 0))


def principal_coordinates(
    weak_basis: Array, strong_basis: Array, target: Array, noise_variance: float
) -> PrincipalCoordinates:
    """Find the principal coordinates of two orthonormal (D, d) bases and a (D,) target."""
    d_w, d_s = weak_basis.shape[1], strong_basis.shape[1]
    _, cosines, right = np.linalg.svd(weak_basis.T @ strong_basis, full_matrices=False)
    linked = int(np.sum(cosines > ORTHOGONAL))
    cosines = cosines[:linked]
    v = strong_basis @ right[:linked].T
    # Cosines tell large angles apart, sines the small ones (Bjorck and Golub 1973).
    small = int(np.sum(cosines**2 > 0.5))
    b = v - weak_basis @ (weak_basis.T @ v)
    b[:, small:] /= np.linalg.norm(b[:, small:], axis=0)
    frame, sines, turn = np.linalg.svd(b[:, :small], full_matrices=False)
    sines = np.where(sines < PARALLEL, 0, sines)[::-1]
    b[:, :small] = frame[:, ::-1] * (sines > 0)
    v[:, :small] @= turn[::-1].T
    cosines[:small] = np.sqrt(1 - sines**2)
    sines = np.r_[sines, np.sqrt(1 - cosines[small:] ** 2)]
    a = weak_basis @ (weak_basis.T @ v) / cosines

    along_a, along_v, along_b = a.T @ target, v.T @ target, b.T @ target
    weak_part, strong_part = (
        basis @ (basis.T @ target) - linked_basis @ along
        for basis, linked_basis, along in (
            (weak_basis, a, along_a),
            (strong_basis, v, along_v),
        )
    )
    rest = target - a @ along_a - b @ along_b - weak_part - strong_part
    # One more direction of V_w for the target orthogonal to V_s, if there is any such direction.
    lone = [float(np.linalg.norm(weak_part))] if d_w > linked else []
    new = np.zeros(d_s)
    new[:linked] = along_b
    if d_s > linked:
        new[linked] = np.linalg.norm(strong_part)
    return PrincipalCoordinates(
        d_w=d_w,
        d_s=d_s,
        cosines=np.r_[cosines, np.zeros(len(lone))],
        sines=np.r_[sines, np.ones(len(lone))],
        weak_target=np.r_[along_a, lone],
        beyond_target=np.r_[sines * along_a - cosines * along_b, lone],
        strong_sines=np.r_[sines, np.ones(d_s - linked)],
        strong_target=np.r_[along_v, new[linked:]],
        new_target=new,
        rest=float(rest @ rest),
        noise_variance=noise_variance,
    )
