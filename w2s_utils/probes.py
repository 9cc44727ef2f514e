"""Linear probes: ridgeless and ridge least squares on fixed features, and sweeps of such fits."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import linalg

from w2s_utils._gram import solve_safely, summed_products
from w2s_utils._ridge_path import tuned_weights
from w2s_utils._validate import Array, real_array, same_rows
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.splits import Rows, Splits

Columns = Callable[[Rows], Array]
Ridge = float | Literal["tuned"]


def fit_ridge(X: ArrayLike, y: ArrayLike, ridge: float = 0.0) -> Array:
    r"""Weights that minimise :math:`\frac1n\|Xw-y\|^2 + \alpha\|w\|^2`.

    Without ridge it is the ridgeless limit: least squares when the columns are independent, the
    solution of least norm otherwise, also when n < d.

    Parameters
    ----------
    X : (n, d) array_like
        Features, no intercept added.
    y : (n,) or (n, k) array_like
        Labels; k columns are k independent fits.
    ridge : float
        Penalty alpha on the mean squared loss, in squared units of the features.

    Returns
    -------
    (d,) or (d, k) ndarray

    Raises
    ------
    ValueError
        If the shapes do not fit, values are not finite, or the ridge is negative.

    Notes
    -----
    Both cases are solved by an orthogonal factorization of the data, never of X'X, whose condition
    number is the square. The ridge enters as d more rows, :math:`\sqrt{n\alpha}\,I` with label 0.
    Directions whose singular value is below max(n, d) machine epsilons of the largest are rounding
    noise: they get no weight. The weights' error is that of changing the data by a few epsilons,
    for condition numbers up to that limit.

    Examples
    --------
    >>> fit_ridge([[1.0], [1.0]], [1.0, 3.0])
    array([2.])
    >>> fit_ridge([[1.0], [1.0]], [1.0, 3.0], ridge=1.0)
    array([1.])
    """
    X, y = real_array(X, "X", 2), real_array(y, "y", (1, 2))
    rows = same_rows(X=X, y=y)
    _check_ridge(ridge)
    if ridge > 0:
        columns = X.shape[1]
        X = np.vstack([X, np.sqrt(rows * ridge) * np.eye(columns)])
        y = np.concatenate([y, np.zeros((columns, *y.shape[1:]))])
    cutoff = max(X.shape) * np.finfo(float).eps  # LAPACK's own default keeps rounding noise
    weights: Array = linalg.lstsq(X, y, cond=cutoff, lapack_driver="gelsy", check_finite=False)[0]
    return weights


@dataclass(frozen=True, eq=False)
class TunedFit:
    """A ridge fit with an intercept, at the ridge of least generalized cross-validation.

    Attributes
    ----------
    weights : (d,) or (d, k) ndarray
    intercept : float or (k,) ndarray
        Predictions are ``X @ weights + intercept``.
    ridge : float or (k,) ndarray
        Penalty that was chosen, in squared units of the features; for each label column its own.
    """

    weights: Array
    intercept: Array
    ridge: Array


def fit_tuned(X: ArrayLike, y: ArrayLike) -> TunedFit:
    r"""Ridge regression as people run it: an intercept, and the ridge chosen on the same labels.

    Parameters
    ----------
    X : (n, d) array_like
        Features; no constant column is needed.
    y : (n,) or (n, k) array_like
        Labels; k columns are k independent fits.

    Returns
    -------
    TunedFit

    Raises
    ------
    ValueError
        If the shapes do not fit, there are fewer than three rows, or values are not finite.

    Notes
    -----
    The fit is that of `fit_ridge` to centred features and labels. Of the penalties
    :math:`\alpha = r\operatorname{tr}\hat\Sigma`, four a decade from r = 1e-8 to 10, it takes the
    one with the least generalized cross-validation [1]_, refined by a parabola in its logarithm,

    .. math:: \frac{\frac1n\|y-\hat y\|^2}{(1-(1+\mathrm{df}_1)/n)^2} , \qquad
        \mathrm{df}_1 = \sum_i\frac{\hat\lambda_i}{\hat\lambda_i+\alpha} ,

    with the covariance :math:`\hat\Sigma` of the n rows and its eigenvalues
    :math:`\hat\lambda_i`: one decomposition serves the whole path and all label columns.

    References
    ----------
    .. [1] G. Golub, M. Heath, G. Wahba, "Generalized cross-validation as a method for choosing a
       good ridge parameter", Technometrics 21 (1979).

    Examples
    --------
    >>> fit = fit_tuned([[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0])
    >>> fit.weights.round(4), float(fit.intercept.round(4))
    (array([2.]), 1.0)
    """
    X, y = real_array(X, "X", 2), real_array(y, "y", (1, 2))
    rows = same_rows(X=X, y=y)
    if rows < 3:
        raise ValueError(f"At least 3 rows are needed to choose a ridge, got {rows}.")
    means, Y, shape = X.mean(axis=0), y.reshape(rows, -1), y.shape[1:]
    Z = _with_ones(X - means)
    solution, ridge = tuned_weights(Z.T @ Z, Z.T @ Y, np.sum(Y**2, axis=0))
    weights, intercept = solution[:-1], solution[-1] - means @ solution[:-1]
    return TunedFit(weights.reshape(-1, *shape), intercept.reshape(shape), ridge.reshape(shape))


def probe_sweep(
    weak: ArrayLike,
    strong: ArrayLike,
    labels: Mapping[Hashable, Callable[[np.random.Generator], ArrayLike]],
    target: ArrayLike,
    grid: Iterable[tuple[int, int]],
    splits: Splits,
    ridge: Ridge = 0.0,
) -> pd.DataFrame:
    r"""Test errors of teacher, student, baseline and ceiling at each (n, N) and noise level.

    A trial shuffles the rows, draws labels of every level, and sets the test set aside. Of the
    rest the first n rows are the labelled set and the last N the unlabelled set, so that within a
    trial all points and levels share their data as far as they can.

    Parameters
    ----------
    weak : (M, d_w) array_like
        Weak features.
    strong : (M, d_s) array_like
        Strong features of the same inputs.
    labels : mapping of level to callable
        Each maps a generator to (M,) noisy labels; called once a trial.
    target : (M,) array_like
        Values the test error is measured against.
    grid : iterable of (n, N)
        Sample sizes.
    splits : Splits
        The trials and their test sets.
    ridge : float or "tuned"
        Penalty of all four probes (see `fit_ridge`), or each probe as `fit_tuned` has it, the
        student's ridge chosen on its pseudo-labels.

    Returns
    -------
    DataFrame
        Columns n, N, trial, level, and one a model: its mean squared test error.

    Raises
    ------
    ValueError
        If shapes do not fit, there are no levels or points, or test_size + n + N exceeds the
        number of rows at some point.

    Notes
    -----
    Every fit is that of `fit_ridge` or `fit_tuned`, but the rows are read once a trial:
    :math:`X^\top X` and :math:`X^\top y` grow from one sample size to the next, the ceiling's are
    the sums of the two sets', and all levels (and all teachers of a student) are right-hand sides
    of one decomposition. For a path of ridges it is by eigenvalues, for one ridge by Cholesky; with
    fewer rows than columns the latter is that of :math:`XX^\top`. Normal equations
    square the condition number. Where, with columns scaled to unit length, it exceeds 1e8, or the
    columns' lengths differ by more than eight orders of magnitude, the fit is left to `fit_ridge`.
    """
    return sweep_teachers({"": weak}, strong, labels, target, grid, splits, ridge)[""]


def sweep_teachers(
    teachers: Mapping[str, ArrayLike],
    strong: ArrayLike,
    labels: Mapping[Hashable, Callable[[np.random.Generator], ArrayLike]],
    target: ArrayLike,
    grid: Iterable[tuple[int, int]],
    splits: Splits,
    ridge: Ridge = 0.0,
) -> dict[str, pd.DataFrame]:
    """Run `probe_sweep` for several teachers of one student, whose rows are read only once.

    Parameters
    ----------
    teachers : mapping of str to (M, d_w) array_like
        Weak features by name; d_w may differ.
    strong, labels, target, grid, splits, ridge
        As in `probe_sweep`. All teachers get the same splits and labels.

    Returns
    -------
    dict of str to DataFrame
        The result of `probe_sweep` for each teacher, up to rounding.

    Raises
    ------
    ValueError
        As `probe_sweep`.
    """
    titles = {name: f"weak {name}".strip() for name in teachers}
    weak = {name: real_array(W, titles[name], 2) for name, W in teachers.items()}
    S, f = real_array(strong, "strong", 2), real_array(target, "target", 1)
    rows = same_rows(**{titles[name]: W for name, W in weak.items()}, strong=S, target=f)
    if ridge == "tuned":
        # With an intercept no shift changes a fit, but a large mean costs digits.
        weak = {name: _with_ones(W - W.mean(axis=0)) for name, W in weak.items()}
        S = _with_ones(S - S.mean(axis=0))
    else:
        _check_ridge(ridge)
    points = splits.points(grid, rows)
    if not weak:
        raise ValueError("teachers must hold at least one.")
    if not labels:
        raise ValueError("labels must hold at least one level.")
    errors: dict[str, dict[str, list[Array]]] = {
        name: {model: [] for model in MODELS} for name in weak
    }
    for test, pool, rng in splits.of(rows):
        drawn = [real_array(draw(rng), f"labels of level {k!r}", 1) for k, draw in labels.items()]
        for level, y in zip(labels, drawn, strict=True):
            same_rows(**{"target": f, f"labels of level {level!r}": y})
        weights = _fit_models(weak, S, np.column_stack(drawn), pool, points, ridge)
        S_test = S[test]
        for name, W in weak.items():
            for model, X in zip(MODELS, (W[test], S_test, S_test, S_test), strict=True):
                predictions = X @ np.hstack(weights[name][model])
                off = np.mean((predictions - f[test, None]) ** 2, axis=0)
                errors[name][model].append(off)
    index = pd.DataFrame(
        [
            (n, N, trial, level)
            for trial in range(splits.trials)
            for n, N in points
            for level in labels
        ],
        columns=["n", "N", "trial", "level"],
    )
    return {
        name: index.assign(**{model: np.concatenate(of) for model, of in by_model.items()})
        for name, by_model in errors.items()
    }


def risks_at(frame: pd.DataFrame, n: int, N: int, level: Hashable = None) -> Risks:
    """Risks of the trials at one point of `probe_sweep`'s result.

    Parameters
    ----------
    frame : DataFrame
        As returned by `probe_sweep`, or one measure of `softmax.softmax_sweep`.
    n, N : int
        A point of the grid.
    level : hashable, optional
        A level of the labels; needed if there are several.

    Returns
    -------
    Risks
        Of (trials,) arrays, in trial order.

    Raises
    ------
    ValueError
        If the frame has no such point or level, or the level or the measure is left open.
    """
    wanted = (frame["n"] == n) & (frame["N"] == N)
    if "level" in frame:
        levels = frame["level"].unique().tolist()
        if level is None and len(levels) == 1:
            level = levels[0]
        if level not in levels:
            raise ValueError(f"level must be one of {levels}, got {level!r}.")
        wanted &= frame["level"] == level
    if "measure" in frame and frame["measure"].nunique() > 1:
        raise ValueError(f"Choose one measure of {frame['measure'].unique().tolist()} first.")
    if not wanted.any():
        raise ValueError(f"The grid has no point n = {n}, N = {N}.")
    at = frame[wanted].sort_values("trial")
    return Risks(*(at[model].to_numpy() for model in MODELS))


def _fit_models(
    weak: Mapping[str, Array],
    S: Array,
    Y: Array,
    pool: Rows,
    points: Sequence[tuple[int, int]],
    ridge: Ridge,
) -> dict[str, dict[str, list[Array]]]:
    """Weights of the four models at each point, (d, levels) each, for each teacher."""
    levels = Y.shape[1]
    sizes = sorted({n for n, _ in points})
    unlabelled = pool[::-1]

    def labels(rows: Rows) -> Array:
        return Y[rows]

    teacher, baseline, products = {}, {}, {}
    for name, W in weak.items():
        for n, gram, moment in summed_products(W, labels, pool, sizes):
            teacher[name, n] = _weights(W, labels, pool[:n], gram, moment, ridge)
    for n, gram, moment in summed_products(S, labels, pool, sizes):
        baseline[n] = _weights(S, labels, pool[:n], gram, moment, ridge)
        products[n] = gram.copy(), moment.copy()

    # The pseudo-labels of all teachers, then the labels that only the ceiling sees.
    fitted = {name: np.hstack([teacher[name, n] for n in sizes]) for name in weak}

    def all_labels(rows: Rows) -> Array:
        return np.hstack([*(W[rows] @ fitted[name] for name, W in weak.items()), Y[rows]])

    student: dict[tuple[str, int, int], Array] = {}
    ceiling = {}
    for N, gram, moment in summed_products(
        S, all_labels, unlabelled, sorted({N for _, N in points})
    ):
        students = _weights(S, all_labels, unlabelled[:N], gram, moment, ridge)
        columns = iter(np.split(students, students.shape[1] // levels, axis=1))
        student |= {(name, n, N): next(columns) for name in weak for n in sizes}
        for n in {n for n, size in points if size == N}:
            ceiling[n, N] = _weights(
                S,
                labels,
                np.concatenate([pool[:n], unlabelled[:N]]),
                products[n][0] + gram,
                products[n][1] + moment[:, -levels:],
                ridge,
            )
    return {
        name: {
            "weak": [teacher[name, n] for n, _ in points],
            "student": [student[name, n, N] for n, N in points],
            "baseline": [baseline[n] for n, _ in points],
            "ceiling": [ceiling[point] for point in points],
        }
        for name in weak
    }


def _weights(
    X: Array, labels: Columns, rows: Rows, gram: Array, moment: Array, ridge: Ridge
) -> Array:
    """Fit the given rows as `fit_ridge` does, from their products where these are safe."""
    if ridge == "tuned":
        return tuned_weights(gram, moment, np.sum(labels(rows) ** 2, axis=0))[0]
    if len(rows) < X.shape[1]:
        few = X[rows]
        dual = solve_safely(few @ few.T, labels(rows), len(rows) * ridge)
        weights = None if dual is None else few.T @ dual
    else:
        weights = solve_safely(gram, moment, len(rows) * ridge)
    return fit_ridge(X[rows], labels(rows), ridge) if weights is None else weights


def _with_ones(X: Array) -> Array:
    """Features with a last column of ones, whose weight is the intercept."""
    return np.column_stack([X, np.ones(len(X))])


def _check_ridge(ridge: float) -> None:
    if not (np.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"ridge must be finite and >= 0, got {ridge}.")
