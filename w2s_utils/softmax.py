"""Softmax probes: multinomial logistic regression on fixed features, from hard or soft labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import linalg
from scipy.special import expit, softmax

from w2s_utils._validate import Array, real_array, same_rows
from w2s_utils.splits import Splits

_STEPS = 100  # about ten are needed, or halvings of a step; a bound all the same
_DECREMENT = (
    1e-14  # of the loss; it is then quadratic up to rounding: one more step and it is solved
)

_LEAST_RIDGE = 1e-30  # of the largest square of a feature
_TOO_SMALL = (
    "X is too ill-conditioned for so small a ridge, or separates the classes: raise the ridge, or "
    "keep the features' top eigenspace with measure.top_eigenspace."
)


def fit_softmax(X: ArrayLike, labels: ArrayLike, ridge: float, intercept: bool = False) -> Array:
    r"""Weights that minimise the cross-entropy plus a ridge.

    .. math:: -\frac1n \sum_{ik} y_{ik} \log p_{ik} + \alpha \|W\|_F^2, \qquad
       p_i = \operatorname{softmax}(W^\top x_i)

    Parameters
    ----------
    X : (n, d) array_like
        Features, no intercept added.
    labels : (n, K) array_like
        Class probabilities y, one row an input: a teacher's answer, or 1 at the label's class.
    ridge : float
        Penalty alpha > 0 on the mean loss. It keeps the weights finite on separable data.
    intercept : bool
        Fit one for each class, without penalty. Each class must then have a label.

    Returns
    -------
    (d, K) or (d + 1, K) ndarray
        The only minimiser; its rows sum to zero. An intercept is the last row.

    Raises
    ------
    ValueError
        If the shapes do not fit, values are not finite, the rows of `labels` are not probabilities
        of at least two classes, the ridge is not positive, or it is so small that rounding errors
        hide the minimiser: on separable data, or on nearly dependent columns.

    Notes
    -----
    Adding the same vector to each column of W changes no probability, and the ridge sets it to
    zero. So Newton's method works on the K - 1 remaining columns, W = V Q' with Q an orthonormal
    basis of the vectors that sum to zero; that is the same problem, without a preferred class.

    Examples
    --------
    Three of four labels are of class 1:

    >>> import numpy as np
    >>> W = fit_softmax(np.ones((4, 1)), [[0, 1], [0, 1], [0, 1], [1, 0]], ridge=1e-9)
    >>> class_probabilities([[1.0]], W).round(4)
    array([[0.25, 0.75]])
    """
    X, Y = real_array(X, "X", 2), _probability_rows(labels, "labels")
    rows = same_rows(X=X, labels=Y)
    if not (np.isfinite(ridge) and ridge > 0):
        raise ValueError(f"ridge must be finite and > 0, got {ridge}.")
    if ridge < _LEAST_RIDGE * np.abs(X).max() ** 2:
        raise ValueError(_TOO_SMALL)
    if intercept:
        if Y.sum(axis=0).min() <= 0:
            raise ValueError("labels must hold each class for a fit with an intercept.")
        X = np.column_stack([X, np.ones(rows)])
    d, K = X.shape[1], Y.shape[1]
    penalty = np.full(d, ridge)
    penalty[d - intercept :] = 0
    Q = linalg.helmert(K).T
    V = np.zeros((d, K - 1))
    loss, log_P = _loss(X, Y, V, Q, penalty)
    for _ in range(_STEPS):
        # P - Y, without a difference of nearly equal numbers where the label is certain.
        excess = np.where(Y == 1, np.expm1(log_P), np.exp(log_P) - Y)
        gradient = X.T @ excess @ Q / rows + 2 * penalty[:, None] * V
        step = -_solve(_hessian(X, np.exp(log_P), Q, penalty), gradient.ravel()).reshape(V.shape)
        decrement = -np.sum(gradient * step)
        if decrement <= _DECREMENT * loss:
            return (V + step) @ Q.T
        for length in 0.5 ** np.arange(_STEPS):
            moved = V + length * step
            new_loss, log_P = _loss(X, Y, moved, Q, penalty)
            if new_loss <= loss - 1e-4 * length * decrement:
                break
        V, loss = moved, new_loss
    raise ValueError(_TOO_SMALL)


def fit_logistic(X: ArrayLike, log_odds: ArrayLike, ridge: float) -> tuple[Array, float]:
    r"""Weights and intercept of a logistic probe of two classes.

    Parameters
    ----------
    X : (n, d) array_like
        Features.
    log_odds : (n,) array_like
        What a label says of its class: infinite if it is certain, of a teacher's answer its score.
    ridge : float
        :math:`\frac\alpha2\|w\|^2` beside the mean cross-entropy.

    Returns
    -------
    weights : (d,) ndarray
    intercept : float
        The score of x is the log odds of the class, ``x @ weights + intercept``.

    Raises
    ------
    ValueError
        As in `fit_softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> fit_logistic([[1.0], [-1.0]], [np.inf, -np.inf], 0.1)[0].round(2)
    array([1.63])
    """
    told = np.asarray(log_odds, dtype=float)
    of_both = fit_softmax(X, expit(np.column_stack([-told, told])), ridge, intercept=True)
    difference = of_both[:, 1] - of_both[:, 0]
    return difference[:-1], float(difference[-1])


def class_probabilities(X: ArrayLike, weights: ArrayLike) -> Array:
    """Class probabilities of a softmax probe.

    Parameters
    ----------
    X : (n, d) array_like
        Features.
    weights : (d, K) or (d + 1, K) array_like
        As returned by `fit_softmax`.

    Returns
    -------
    (n, K) ndarray
        Rows sum to one.
    """
    X, W = real_array(X, "X", 2), real_array(weights, "weights", 2)
    d = X.shape[1]
    logits = X @ W[:d] + W[d:].sum(axis=0)  # the intercepts, if there are any
    probabilities: Array = softmax(logits, axis=1)
    return probabilities


def softmax_sweep(
    weak: ArrayLike,
    strong: ArrayLike,
    draw_labels: Callable[[np.random.Generator], Array],
    target: ArrayLike,
    grid: Iterable[tuple[int, int]],
    splits: Splits,
    ridge: float,
) -> pd.DataFrame:
    """Errors and accuracies of the four models as softmax probes at each (n, N).

    The student and its teacher meet only in the teacher's class probabilities, which are the
    student's labels. As in `probes.probe_sweep`, of a trial's rows beside the test set the first
    n are labelled and the last N are not.

    Parameters
    ----------
    weak : (M, d_w) array_like
        Weak features.
    strong : (M, d_s) array_like
        Strong features of the same inputs.
    draw_labels : callable
        Maps a generator to (M, K) class probabilities as labels; called once a trial.
    target : (M, K) array_like
        Class probabilities that the test error is measured against.
    grid : iterable of (n, N)
        Sample sizes.
    splits : Splits
        The trials and their test sets.
    ridge : float
        Penalty of all four probes (see `fit_softmax`).

    Returns
    -------
    DataFrame
        Columns n, N, trial, measure, and one a model. There are two measures: "mse", the mean
        square distance of the class probabilities from the target, over test inputs and classes;
        and "accuracy", the probability under the target that the model's most probable class is
        right.

    Raises
    ------
    ValueError
        If shapes do not fit, the target is not class probabilities, or test_size + n + N exceeds
        the number of rows at some point.
    """
    W, S = real_array(weak, "weak", 2), real_array(strong, "strong", 2)
    target = _probability_rows(target, "target")
    rows = same_rows(weak=W, strong=S, target=target)
    points = splits.points(grid, rows)
    records = []
    for trial, (test, pool, rng) in enumerate(splits.of(rows)):
        labels = _probability_rows(draw_labels(rng), "labels")
        if labels.shape != target.shape:
            raise ValueError(
                f"labels must have the target's shape {target.shape}, got {labels.shape}."
            )
        for n, N in points:
            some, others = pool[:n], pool[-N:]
            everything = np.concatenate([some, others])
            teacher = fit_softmax(W[some], labels[some], ridge)
            pseudo_labels = class_probabilities(W[others], teacher)
            answers = {
                "weak": class_probabilities(W[test], teacher),
                **{
                    model: class_probabilities(S[test], fit_softmax(S[inputs], given, ridge))
                    for model, inputs, given in (
                        ("student", others, pseudo_labels),
                        ("baseline", some, labels[some]),
                        ("ceiling", everything, labels[everything]),
                    )
                },
            }
            for measure, of in (("mse", _mse), ("accuracy", _accuracy)):
                values = {model: of(answer, target[test]) for model, answer in answers.items()}
                records.append({"n": n, "N": N, "trial": trial, "measure": measure, **values})
    return pd.DataFrame(records)


def _probability_rows(values: ArrayLike, name: str) -> Array:
    """Return `values` as an (n, K) array whose rows are probabilities of K >= 2 classes."""
    array = real_array(values, name, 2)
    if array.shape[1] < 2:
        raise ValueError(f"{name} must have a column a class, at least 2, got shape {array.shape}.")
    off = max(-array.min(initial=0), np.abs(array.sum(axis=1) - 1).max(initial=0))
    if off > 1e-9:
        raise ValueError(
            f"{name} must have probabilities as rows, they are off by up to {off:.2g}."
        )
    return array


def _loss(X: Array, Y: Array, V: Array, Q: Array, penalty: Array) -> tuple[float, Array]:
    """Penalised cross-entropy at W = V Q' and the log class probabilities there."""
    log_P = _log_probabilities(X @ V @ Q.T)
    return float(-np.sum(Y * log_P) / len(X) + penalty @ np.sum(V**2, axis=1)), log_P


def _log_probabilities(logits: Array) -> Array:
    """Log softmax, with small relative errors also of log(1 - p) for tiny p, unlike SciPy's."""
    best = logits.argmax(axis=1)[:, None]
    below = logits - np.take_along_axis(logits, best, axis=1)
    others = np.exp(below)
    np.put_along_axis(others, best, 0, axis=1)
    log_P: Array = below - np.log1p(others.sum(axis=1, keepdims=True))
    return log_P


def _hessian(X: Array, P: Array, Q: Array, penalty: Array) -> Array:
    """Second derivative in V, rows and columns in the order of ``V.ravel()``."""
    d, free = X.shape[1], Q.shape[1]
    curvature = np.einsum("ka,nk,kb->nab", Q, P, Q) - np.einsum("na,nb->nab", P @ Q, P @ Q)
    H = np.empty((d, free, d, free))
    for a in range(free):
        for b in range(free):
            H[:, a, :, b] = (X.T * curvature[:, a, b]) @ X / len(X)
    return H.reshape(d * free, d * free) + 2 * np.diag(np.repeat(penalty, free))


def _solve(hessian: Array, gradient: Array) -> Array:
    try:
        solution: Array = linalg.cho_solve(linalg.cho_factor(hessian), gradient)
    except linalg.LinAlgError as error:
        raise ValueError(_TOO_SMALL) from error
    return solution


def _mse(answer: Array, target: Array) -> float:
    return float(np.mean((answer - target) ** 2))


def _accuracy(answer: Array, target: Array) -> float:
    return float(np.mean(target[np.arange(len(target)), answer.argmax(axis=1)]))
