r"""What a student's disagreement with its teacher says of its gain over the teacher.

The gain is a difference of powers less what they have to do with the target,

.. math:: \mathrm{ER}_w-\mathrm{ER}_{w2s} = \mathbb E f_w^2 - \mathbb E f_{w2s}^2
    - 2\,\mathbb E\langle f_w-f_{w2s}, f_*\rangle .

The first part needs no label, and without ridge it is the misfit times a known factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from w2s_utils._validate import Array
from w2s_utils.directions import Directions
from w2s_utils.geometry import Geometry
from w2s_utils.pair import GaussianPair
from w2s_utils.theory import exact
from w2s_utils.theory.classes import cross_entropy
from w2s_utils.theory.fits import fit_features, teacher_answers
from w2s_utils.theory.logistic import Probes, score

Where = Literal["population", "training"]


@dataclass(frozen=True)
class Gain:
    """Expected gain of the student over its teacher, by what a misfit shows of it.

    Attributes
    ----------
    metered : ndarray
        What needs no label.
    overlooked : ndarray
        Twice the target's product with what the student, on average, does not take over.
    """

    metered: Array
    overlooked: Array

    @property
    def total(self) -> Array:
        """Risk of the teacher less that of the student."""
        return self.metered - self.overlooked


def expected_misfit(
    pair: GaussianPair | Geometry, n: ArrayLike, N: ArrayLike, where: Where = "population"
) -> Array:
    r"""Expected squared difference of the ridgeless student and its teacher.

    Parameters
    ----------
    pair : GaussianPair or Geometry
    n, N : array_like of int
        Labelled and pseudo-labelled samples, above d_w + 1 and d_s + 1; broadcast.
    where : {"population", "training"}
        On fresh inputs, or on the N pseudo-labelled ones.

    Returns
    -------
    ndarray
        In squared units of the target.

    Raises
    ------
    ValueError
        If a sample size is too small, or `where` is neither.

    Notes
    -----
    With :math:`\tau^2=\|(I-P_s)P_w\beta\|^2+v(d_w-d_{sw})`, the teacher's power outside
    :math:`V_s`, and :math:`k=d_s/(N-d_s-1)`: :math:`\tau^2(1+k)` on fresh inputs, and
    :math:`\tau^2(1-d_s/N)` on the others.
    """
    fresh = _fresh(where)
    tau2 = _outside(pair, n)
    k = exact.noise_factor(pair, N, "population" if fresh else "transductive")
    return np.asarray(tau2 * (1 + k if fresh else 1 - k))


def expected_gain(pair: GaussianPair | Geometry, n: ArrayLike, N: ArrayLike) -> Gain:
    r"""Expected gain of the ridgeless student over its teacher, on fresh inputs.

    Parameters
    ----------
    pair, n, N
        As in `expected_misfit`.

    Returns
    -------
    Gain
        Arrays of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        If a sample size is too small.

    Notes
    -----
    .. math:: \underbrace{\tau^2(1-k)}_{\text{metered}}
        - \underbrace{2\,\langle(I-P_s)P_w\beta, (I-P_s)\beta\rangle}_{\text{overlooked}} ,

    and the metered part is the misfit times :math:`(1-k)/(1+k)`.

    Examples
    --------
    >>> pair = GaussianPair.paper(d_sw=10)
    >>> gain, risks = expected_gain(pair, 400, 4000), exact.expected_risks(pair, 400, 4000)
    >>> bool(np.isclose(gain.total, risks.weak - risks.student))
    True
    """
    k = exact.noise_factor(pair, N)
    metered = np.asarray(_outside(pair, n) * (1 - k))
    # |(I - P_s)(I - P_w) beta|^2 is rho_w less what is missed, and the rest of rho_s.
    overlooked = pair.leaked + pair.rho_s + pair.missed - pair.rho_w
    return Gain(metered, np.full_like(metered, overlooked))


def metered_gain(misfit: ArrayLike, d_s: ArrayLike, N: ArrayLike, where: Where) -> Array:
    r"""What a misfit shows of a ridgeless student's gain.

    Parameters
    ----------
    misfit : array_like
        Mean squared difference of the student and its teacher.
    d_s, N : array_like of int
        Strong dimension and pseudo-labelled samples, N above d_s + 1; with a ridge d_s is the soft
        dimension df2.
    where : {"population", "training"}
        On which inputs the misfit was measured.

    Returns
    -------
    ndarray
        In the units of the misfit: times :math:`(1-k)/(1+k)`, or on the pseudo-labelled inputs
        :math:`(1-k)/(1-d_s/N)`.

    Raises
    ------
    ValueError
        If N is too small, or `where` is neither.
    """
    d_s, N = np.asarray(d_s, float), np.asarray(N, float)
    if np.any(d_s + 1 >= N):
        raise ValueError(f"N must exceed d_s + 1 = {np.max(d_s) + 1:g}, got {np.min(N):g}.")
    k = d_s / (N - d_s - 1)
    return np.asarray(misfit * (1 - k) / (1 + k if _fresh(where) else 1 - d_s / N))


def expected_ridge_gain(
    directions: Directions,
    n: ArrayLike,
    N: ArrayLike,
    alpha_w: ArrayLike,
    alpha_s: ArrayLike,
    strict: bool = True,
) -> Gain:
    r"""Expected gain of a student over its teacher with ridge, on fresh inputs.

    Parameters
    ----------
    directions, n, N, alpha_w, alpha_s, strict
        As in `theory.ridge.student_terms`.

    Returns
    -------
    Gain
        Arrays of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        As in `theory.ridge.student_terms`.

    Notes
    -----
    The metered part is the teacher's power less the student's. With the mean teacher
    :math:`\mu` and :math:`K=V_sS_sV_s^\top` the overlooked one is
    :math:`2\,\langle(I-K)\mu,\beta\rangle`. With ridge I - K takes something away everywhere, also
    where the teacher is right: what is overlooked is then no small thing.
    """
    weak, strong = directions.weak, directions.strong
    fit = fit_features(weak, n, alpha_w, "n", "alpha_w", True, strict)
    taught = teacher_answers(weak, directions.noise_variance, fit, directions.cross)
    student = fit_features(strong, N, alpha_s, "N", "alpha_s", True, strict)
    power = taught.mean_s**2 + taught.variance_s
    unseen = taught.mean + taught.variance - power.sum(axis=-1)
    lost = np.sum((1 - student.mean_factors**2) * power, axis=-1) + unseen
    mean = fit.mean_factors * weak.target
    kept = np.sum(student.mean_factors * taught.mean_s * strong.target, axis=-1)
    overlooked = 2 * (np.sum(mean * weak.target, axis=-1) - kept)
    metered = lost - student.error_power(power, unseen)
    return Gain(*map(np.array, np.broadcast_arrays(metered, overlooked)))


class ClassGain(NamedTuple):
    r"""Gain of classifiers and both misfits, in nats on fresh inputs.

    Attributes
    ----------
    gain : float
        Cross-entropy of the teacher less that of the student.
    misfit : float
        :math:`\mathbb E\,\mathrm{KL}(p_{w2s}\|p_w)`.
    trained : float
        :math:`\mathbb E\,\mathrm{KL}(p_w\|p_{w2s})`, which the student's training makes small.
    """

    gain: float
    misfit: float
    trained: float

    @property
    def overlooked(self) -> float:
        """What the misfit shows too much of the gain."""
        return self.misfit - self.gain


def expected_class_gain(
    probes: Probes, n: float, N: float, alpha_w: float, alpha_s: float
) -> ClassGain:
    r"""Gain in cross-entropy of a student over its teacher, and both misfits, from theory.

    Parameters
    ----------
    probes : Probes
        With soft pseudo-labels.
    n, N, alpha_w, alpha_s : float
        As in `theory.logistic.expected_scores`.

    Returns
    -------
    ClassGain

    Raises
    ------
    ValueError
        If pseudo-labels are not soft, or no solution is found.

    Notes
    -----
    For probabilities :math:`p=\sigma(\omega)` and the labels' own :math:`p_*`

    .. math:: \underbrace{\mathrm{KL}(p_*\|p_w)-\mathrm{KL}(p_*\|p_{w2s})}_{\text{gain}} =
        \mathrm{KL}(p_{w2s}\|p_w) + (p_*-p_{w2s})(\omega_{w2s}-\omega_w) ,

    for every input: the Pythagorean identity of a Bregman divergence. A student whose errors have
    nothing to do with its corrections of the teacher gains its misfit.
    """
    if probes.loss != "cross-entropy" or probes.pseudo_labels != "soft":
        raise ValueError(
            "The misfit is that of soft pseudo-labels and the cross-entropy, got "
            f"{probes.pseudo_labels!r} ones and loss {probes.loss!r}."
        )
    teacher = probes.single("weak", n, alpha_w)
    student = None if teacher is None else probes.student(teacher, alpha_w, N, alpha_s)
    if teacher is None or student is None:
        raise ValueError("No fit of the teacher and the student was found: raise the ridges.")
    at = probes.lesson(teacher)(student.slopes, student.spread, student.offset)
    of_w, of_s = at.told * probes.temperature, at.score
    losses = [cross_entropy(probes.labels, score(one)) for one in (teacher, student)]
    return ClassGain(
        gain=float(losses[0] - losses[1]),
        misfit=float(at.weight @ divergence(of_s, of_w)),
        trained=float(at.weight @ divergence(of_w, of_s)),
    )


def divergence(odds: Array, other: Array) -> Array:
    r"""Kullback-Leibler divergence :math:`\mathrm{KL}(p\|q)` of two classes from their log odds.

    Parameters
    ----------
    odds, other : ndarray
        Log odds of p and of q.

    Returns
    -------
    ndarray
        In nats, of the broadcast shape.
    """
    p = special.expit(odds)
    return np.asarray(p * (odds - other) + np.logaddexp(0, other) - np.logaddexp(0, odds))


def _fresh(where: Where) -> bool:
    if where not in ("population", "training"):
        raise ValueError(f"where must be 'population' or 'training', got {where!r}.")
    return where == "population"


def _outside(pair: GaussianPair | Geometry, n: ArrayLike) -> Array:
    """Power of the teacher's answers outside V_s."""
    v = exact.coefficient_variance(pair, n)
    return np.asarray(pair.leaked + v * (pair.d_w - pair.d_sw))
