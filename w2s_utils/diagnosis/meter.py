"""The gain of a student over its teacher, read from what both predict: no label is needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array
from w2s_utils.directions import EQUAL, Radii
from w2s_utils.metrics import Estimate, mean
from w2s_utils.theory.effective import effective_samples
from w2s_utils.theory.exact import risk_law
from w2s_utils.theory.misfit import Where, divergence, metered_gain


@dataclass(frozen=True)
class Meter:
    r"""Gain of a student over its teacher, by their misfit.

    Attributes
    ----------
    misfit : Estimate
        Mean squared difference of their predictions.
    gain : Estimate
        What it shows of the teacher's risk less the expected risk of its students.
    outside : float
        The teacher's power outside the strong features, :math:`\tau^2`.
    """

    misfit: Estimate
    gain: Estimate
    outside: float

    def most_overlooked(self, rho_s: float) -> float:
        r"""Bound on the distance of the true gain from the meter's.

        Parameters
        ----------
        rho_s : float
            Approximation error of the strong features, or what it is at most: what they leave
            unexplained of labels is a bound, the label noise included.

        Returns
        -------
        float
            :math:`2\tau\sqrt{\rho_s}`, by the inequality of Cauchy and Schwarz.

        Raises
        ------
        ValueError
            If rho_s is negative or not finite.
        """
        if not (np.isfinite(rho_s) and rho_s >= 0):
            raise ValueError(f"rho_s must be finite and >= 0, got {rho_s}.")
        return float(2 * np.sqrt(self.outside * rho_s))


def gain_from_misfit(
    teacher: ArrayLike,
    student: ArrayLike,
    d_s: int,
    N: int,
    where: Where = "population",
    radii: Radii = EQUAL,
) -> Meter:
    r"""Estimate a student's gain over its teacher from their predictions.

    Parameters
    ----------
    teacher : (M,) or (M, columns) array_like
        What the teacher predicts for M inputs.
    student : (M,) or (M, columns) array_like
        What the student predicts for them.
    d_s : int
        Dimension of the strong features. Least squares without ridge is assumed.
    N : int
        Pseudo-labels that the student was trained on, above d_s + 1.
    where : {"population", "training"}
        Whether the M inputs are fresh to both models, or those N that the student was trained on.
    radii : Radii
        Sizes of the inputs as the strong features see them, for fresh inputs only; that of layers
        of networks matters by several per cent (`diagnosis.notes.radii_of`).

    Returns
    -------
    Meter
        Summed over columns.

    Raises
    ------
    ValueError
        If shapes do not fit, N is too small, of training inputs there are other than N or sizes are
        given, or the two predict the same.

    Notes
    -----
    Without approximation error the gain is the misfit times :math:`(1-k)/(1+k)`,
    :math:`k=d_s/(N-d_s-1)` (`theory.misfit`). The misfit of one student has a k of its own, whose
    law is known for Gaussian inputs (`theory.exact.risk_law`): the standard error holds that, and
    what the rows vary by. It is that of the gain that this teacher's students have on average over
    their N inputs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> teacher = rng.standard_normal(1000)
    >>> meter = gain_from_misfit(teacher, 0.6 * teacher, d_s=20, N=1021)
    >>> round(meter.misfit.value, 3), round(meter.gain.value, 3)
    (0.153, 0.147)
    """
    f_w, f_s = _both(teacher, student)
    if where == "training" and len(f_w) != N:
        raise ValueError(f"Give predictions for all N = {N} training inputs, got {len(f_w)} rows.")
    if where == "training" and radii is not EQUAL:
        raise ValueError("Sizes of inputs are allowed for on fresh inputs only.")
    worth = float(effective_samples(np.ones(d_s), N, 0.0, radii).samples)  # N of equal size
    factor = float(metered_gain(1.0, d_s, worth, where))
    misfit = mean(np.sum((f_w - f_s) ** 2, axis=1))
    if misfit.value == 0:
        raise ValueError("Teacher and student predict the same: nothing can be read from that.")
    k, kept = d_s / (worth - d_s - 1), 1 - d_s / N
    if where == "population":  # k is this student's own, of known law
        outside = misfit.value / (1 + k)
        law = risk_law(d_s, 0.0, 1.0, int(worth))
        own = outside * float(law.std()) if d_s + 3 < int(worth) else np.inf
        error = np.hypot(misfit.standard_error, own)
    else:  # N residuals are of N - d_s degrees of freedom
        outside = misfit.value / kept
        error = misfit.standard_error / np.sqrt(kept)
    return Meter(
        misfit, Estimate(factor * misfit.value, float(factor * error), misfit.degrees), outside
    )


def class_gain_from_misfit(teacher: ArrayLike, student: ArrayLike) -> Estimate:
    r"""Estimate a classifier's gain in cross-entropy over its teacher from their probabilities.

    Parameters
    ----------
    teacher, student : (M,) or (M, classes) array_like
        Probabilities of class 1, or of each class, on M fresh inputs.

    Returns
    -------
    Estimate
        :math:`\mathbb E\,\mathrm{KL}(p_{w2s}\|p_w)` in nats. What it shows too much of the gain is
        :math:`\mathbb E(p_{w2s}-p_*)(\omega_{w2s}-\omega_w)` (`theory.misfit.expected_class_gain`),
        about which it says nothing.

    Raises
    ------
    ValueError
        If shapes do not fit, or values are no probabilities strictly between 0 and 1.
    """
    p, q = _both(teacher, student)
    for name, values in (("teacher", p), ("student", q)):
        whole = values.shape[1] == 1 or np.allclose(values.sum(axis=1), 1, atol=1e-5)
        if not (values.min() > 0 and values.max() < 1 and whole):
            raise ValueError(
                f"{name} must hold probabilities between 0 and 1, of all classes or of class 1, "
                f"got {values.min():.3g} to {values.max():.3g}."
            )
    if p.shape[1] == 1:
        odds = [np.log(values[:, 0]) - np.log1p(-values[:, 0]) for values in (q, p)]
        return mean(divergence(*odds))
    return mean(np.sum(q * (np.log(q) - np.log(p)), axis=1))


def _both(teacher: ArrayLike, student: ArrayLike) -> tuple[Array, Array]:
    f_w, f_s = (
        real_array(values, name, (1, 2))
        for name, values in (("teacher", teacher), ("student", student))
    )
    if f_w.shape != f_s.shape:
        raise ValueError(
            f"teacher and student must predict the same, got shapes {f_w.shape} and {f_s.shape}."
        )
    if len(f_w) < 2:
        raise ValueError(f"At least 2 inputs are needed for a standard error, got {len(f_w)}.")
    return (f_w[:, None], f_s[:, None]) if f_w.ndim == 1 else (f_w, f_s)
