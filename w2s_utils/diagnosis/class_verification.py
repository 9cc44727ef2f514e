"""Models of classes that are really trained, beside what a diagnosis says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._progress import shown
from w2s_utils._validate import Array
from w2s_utils.diagnosis.classification import Classification
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.tables import few
from w2s_utils.metrics import MODELS, mean
from w2s_utils.probes import fit_ridge, fit_tuned
from w2s_utils.softmax import fit_logistic
from w2s_utils.splits import Splits

Fit = Callable[[Array, Array, int], Callable[[Array], Array]]
"""Maps inputs, label columns or log odds, and the place of a model to its scores."""

Row = tuple[Any, ...]
MOST = 2  # n, and N, at which models of classes are trained


def check_classes(
    found: Classification,
    weak: Array,
    strong: Array,
    columns: Array,
    classes: NDArray[np.int64],
    points: list[tuple[int, int]],
    splits: Splits,
    ridge: float | None,
) -> list[Row]:
    """Rows of `verify` for the models' accuracies, and of logistic probes for cross-entropies.

    `columns` are the label columns, `ridge` is None for tuned models. Trained at some of the
    points only.
    """
    of_n, of_N = (np.unique(sizes) for sizes in zip(*points, strict=True))
    kept = {*of_n[few(len(of_n), MOST)].tolist()}, {*of_N[few(len(of_N), MOST)].tolist()}
    rows: list[Row] = []
    logistic = found.losses is not None
    some = [(n, N) for n, N in points if n in kept[0] and N in kept[1]]
    for n, N in shown(some, "training"):
        i, j = np.searchsorted(found.errors.n, n), np.searchsorted(found.errors.N, N)
        ridges = [float(alpha[i, j]) for alpha in found.ridges]
        fit = _logistic(ridges) if logistic else _least_squares(ridge)
        told = np.where(columns > 0.5, np.inf, -np.inf) if logistic else columns
        measured = np.array(
            [
                _trial(fit, weak, strong, told, classes, (test, pool[:n], pool[-N:]))
                for test, pool, _ in splits.of(len(classes))
            ]
        )
        for k, model in enumerate(MODELS):
            rows.append(
                _row(n, N, f"accuracy_{model}", found.accuracy[model][i, j], measured[:, k, 0])
            )
        if found.losses is not None:
            for k, model in enumerate(MODELS):
                band = found.losses.risk[model][i, j]
                rows.append(_row(n, N, f"cross_entropy_{model}", band, measured[:, k, 1]))
    return rows


def _row(n: int, N: int, name: str, band: Band, measured: Array) -> Row:
    value = mean(measured)
    predicted = float(band.value), float(band.low), float(band.high)
    return (n, N, name, *predicted, value.value, value.standard_error)


def _trial(
    fit: Fit,
    weak: Array,
    strong: Array,
    told: Array,
    classes: NDArray[np.int64],
    split: tuple[NDArray[np.int64], ...],
) -> list[tuple[float, float]]:
    """Accuracy and cross-entropy of the four models of one split."""
    test, some, others = split
    both = np.concatenate([some, others])
    teacher = fit(weak[some], told[some], 0)
    models = (
        (weak, teacher),
        (strong, fit(strong[others], teacher(weak[others]), 1)),
        (strong, fit(strong[some], told[some], 2)),
        (strong, fit(strong[both], told[both], 3)),
    )
    found = []
    for features, model in models:
        scores = model(features[test])
        answers = scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0] > 0
        loss = np.logaddexp(0, -np.sign(told[test]) * scores).sum(axis=1)
        found.append((float(np.mean(answers == classes[test])), float(loss.mean())))
    return found


def _least_squares(ridge: float | None) -> Fit:
    def fit(X: Array, y: Array, model: int) -> Callable[[Array], Array]:
        if ridge is None:
            tuned = fit_tuned(X, y)
            return lambda Z: np.asarray(Z @ tuned.weights + tuned.intercept)
        weights = fit_ridge(X, y, ridge)
        return lambda Z: np.asarray(Z @ weights)

    return fit


def _logistic(ridges: list[float]) -> Fit:
    """Probes of one class against the rest."""

    def fit(X: Array, log_odds: Array, model: int) -> Callable[[Array], Array]:
        probes = [fit_logistic(X, column, ridges[model]) for column in log_odds.T]
        return lambda Z: np.column_stack([Z @ weights + offset for weights, offset in probes])

    return fit
