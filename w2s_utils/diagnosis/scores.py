r"""Laws of the four models' scores, row by row.

Given an input a model's score is Gaussian over training sets: its mean is linear in the input, its
variance quadratic. Averages over rows then need no assumption on the law of the inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_utils._validate import Array
from w2s_utils.diagnosis.sample import Grid
from w2s_utils.directions import Directions, Features
from w2s_utils.theory.fits import Fit, fit_features, misfit, single_risk, teacher_answers
from w2s_utils.theory.ridge import Ridges


class Law(NamedTuple):
    """Of one model's scores of one label column; arrays over (n, N) or what broadcasts to it.

    Attributes
    ----------
    mean, variance : (..., d) ndarray
        Of the coefficients on whitened principal directions. What the mean varies by, since it is
        estimated, is taken off the variance, which may be negative then.
    offset : (...) ndarray
    common : (...) ndarray
        Variance of the offset.
    """

    mean: Array
    variance: Array
    offset: Array
    common: Array


def least_squares(
    pair: Directions, grid: Grid, ridges: Ridges, label_mean: float, rows: int
) -> tuple[Law, Law, Law, Law]:
    """Laws of least-squares models; `pair` is measured on so many other rows."""
    (n, N), weak, strong = grid.free, pair.weak, pair.strong
    shape = len(grid.n), len(grid.N)
    alpha_w, alpha_b = (
        np.broadcast_to(alpha, shape)[:, :1] for alpha in (ridges.weak, ridges.baseline)
    )
    how = True, False
    teacher = fit_features(weak, n, alpha_w, "n", "ridge", *how)
    student = fit_features(strong, N, ridges.student, "N", "ridge", *how)
    told = teacher_answers(weak, 0.0, teacher, pair.cross)
    of_teacher = single_risk(weak, 0.0, teacher) / grid.n[:, None]

    def single(features: Features, fit: Fit, samples: NDArray[np.int64]) -> Law:
        variance, common = fit.errors(features.target, fit.noise_factor * features.rho)
        doubt = fit.mean_factors**2 * features.rho / rows
        return Law(
            fit.mean_factors * features.target,
            variance + common**2 - doubt,
            np.asarray(label_mean),
            grid.intercept * single_risk(features, 0.0, fit) / samples,
        )

    power_s = told.mean_s**2 + told.variance_s
    unseen = (told.mean + told.variance)[..., None] - power_s.sum(axis=-1, keepdims=True)
    doubt = teacher.mean_factors**2 * weak.rho / rows @ (pair.cross**2).T
    of_student = Law(
        student.mean_factors * told.mean_s,
        student.mean_factors**2 * (told.variance_s - doubt) + student.variances(power_s, unseen),
        np.asarray(label_mean),
        grid.intercept * (of_teacher + misfit(told, student) / grid.N),
    )
    baseline = fit_features(strong, n, alpha_b, "n", "ridge", *how)
    ceiling = fit_features(strong, n + N, ridges.ceiling, "n + N", "ridge", *how)
    return (
        single(weak, teacher, grid.n[:, None]),
        of_student,
        single(strong, baseline, grid.n[:, None]),
        single(strong, ceiling, grid.n[:, None] + grid.N),
    )
