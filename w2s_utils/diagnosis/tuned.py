"""What models with an intercept and a ridge of their own will do, from features and target."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array, same_rows
from w2s_utils.directions import Directions, Features
from w2s_utils.metrics import Risks
from w2s_utils.theory import ridge


def predict_tuned(
    weak: ArrayLike,
    strong: ArrayLike,
    target: ArrayLike,
    noise_variance: float,
    n: ArrayLike,
    N: ArrayLike,
) -> Risks:
    r"""Predict the risks of `probes.fit_tuned` models of a pair, without fitting one.

    Parameters
    ----------
    weak : (M, width_w) array_like
        Weak features, one row an input; all columns are used.
    strong : (M, width_s) array_like
        Strong features of the same inputs.
    target : (M,) array_like
        Values that risks are measured against.
    noise_variance : float
        Variance of the labels around the target.
    n, N : array_like of int
        Labels and pseudo-labels, broadcast.

    Returns
    -------
    Risks
        Arrays of the broadcast shape, in squared units of the target.

    Raises
    ------
    ValueError
        If shapes do not fit, values are not finite, or there are not more than two rows a column.

    Notes
    -----
    `theory.ridge.tuned_risks` for Gaussian inputs with the second moments of the centred rows. Of
    M rows the features explain a little of the target by chance, which makes each risk too small
    by an amount of order 1/M: c/M with all rows is 2c/M with half of them. So the risk of all rows
    is moved away from the mean of the two halves' risks by their difference.
    """
    W, S = real_array(weak, "weak", 2), real_array(strong, "strong", 2)
    f = real_array(target, "target", 1)
    rows, d_w, d_s = same_rows(weak=W, strong=S, target=f), W.shape[1], S.shape[1]
    if rows <= 2 * (d_w + d_s):
        raise ValueError(
            f"More than two rows a column are needed, got {rows} rows for {d_w} + {d_s} columns."
        )
    columns = np.column_stack([W, S, f])
    columns -= columns.mean(axis=0)
    halves = [half.T @ half * (2 / rows) for half in (columns[::2], columns[1::2])]

    def risks(moment: Array) -> Risks:
        return ridge.tuned_risks(_directions(moment, d_w, d_s, noise_variance), n, N)

    once, twice = risks((halves[0] + halves[1]) / 2), Risks.stack(map(risks, halves))
    return once.map(lambda whole, half: 2 * whole - half.mean(axis=0), twice)


def _directions(moment: Array, d_w: int, d_s: int, noise_variance: float) -> Directions:
    """The pair along the principal directions of a second moment of features and target."""
    w, s, power = slice(d_w), slice(d_w, d_w + d_s), moment[-1, -1]

    def along(part: slice) -> tuple[Features, Array]:
        variances, directions = np.linalg.eigh(moment[part, part])
        seen = variances > len(variances) * np.finfo(float).eps * variances.sum()
        whitening = directions[:, seen] / np.sqrt(variances[seen])
        beta = whitening.T @ moment[part, -1]
        return Features(beta, max(power - beta @ beta, 0.0), variances[seen]), whitening

    (weak, to_w), (strong, to_s) = along(w), along(s)
    return Directions(to_s.T @ moment[s, w] @ to_w, weak, strong, noise_variance)
