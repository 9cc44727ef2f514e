"""Ways to teach a student beside the truth: all of them run on rows of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array, real_array
from w2s_utils.diagnosis.labels import read_labels
from w2s_utils.diagnosis.routes import ONE_STEP, Routes
from w2s_utils.diagnosis.rows import Rows
from w2s_utils.diagnosis.verification import as_fitted
from w2s_utils.metrics import mean
from w2s_utils.probes import fit_ridge, fit_tuned
from w2s_utils.splits import Splits

Indices = NDArray[np.int64]
Predict = Callable[[Indices], Array]


def verify_routes(
    routes: Routes,
    weak: Rows,
    middles: Mapping[str, Rows],
    strong: Rows,
    labels: ArrayLike,
    *,
    trials: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the ways that were ranked, on rows that were kept back.

    Parameters
    ----------
    routes : Routes
        Made by `rank_routes` from other rows of the same population.
    weak, middles, strong, labels
        As in `rank_routes`; they are held in memory as float64.
    trials : int
        Number of splits, at least two; a fifth of the rows is the test set of a trial.
    seed : int
        Of the splits.

    Returns
    -------
    DataFrame
        Indexed by route: student, student_low, student_high, change, change_low and change_high as
        predicted; measured and standard_error of the student's risk; change_measured and
        change_error, of its change against one step over the same trials.

    Raises
    ------
    ValueError
        If the rows are too few for n + N and the test set, or a middle model is missing.

    Notes
    -----
    Rows, ridges and intercepts are as in `verify`. Half of the pseudo-labelled rows train a middle
    model, and it labels the other half; teachers of a committee are fitted to a half of the
    labelled rows each.
    """
    known = read_labels(labels, None)
    y = known.rows(slice(None))
    given = {"weak": weak, **middles, "strong": strong}
    missing = routes.sets.keys() - given.keys()
    if missing:
        raise ValueError(f"Features of {', '.join(sorted(missing))} are missing.")
    test_size, n, N = len(y) // 5, routes.n, routes.N
    if test_size + n + N > len(y):
        raise ValueError(
            f"n = {n} and N = {N} do not fit into {len(y)} rows beside {test_size} test rows."
        )
    columns = {
        name: as_fitted(real_array(given[name][:], name, 2), features, routes, routes.intercept)
        for name, features in routes.sets.items()
    }

    def fit(name: str, rows: Indices, told: Array) -> Predict:
        X = columns[name]
        if routes.ridge == "tuned":
            tuned = fit_tuned(X[rows], told)
            return lambda at: np.asarray(X[at] @ tuned.weights + tuned.intercept)
        weights = fit_ridge(X[rows], told, routes.ridge)
        return lambda at: np.asarray(X[at] @ weights)

    sigma2 = routes.noise_variance or 0.0
    risks: dict[str, list[float]] = {}
    for test, pool, _ in Splits(trials, test_size, seed).of(len(y)):
        students = _students(fit, y, pool[:n], pool[len(pool) - N :], middles)
        for route, student in students.items():
            risk = np.mean(np.sum((student(test) - y[test]) ** 2, axis=1)) - sigma2
            risks.setdefault(route, []).append(float(risk))
    rows = {}
    for route, found in risks.items():
        risk, change = mean(found), mean(np.subtract(found, risks[ONE_STEP]))
        rows[route] = {
            "measured": risk.value,
            "standard_error": risk.standard_error,
            "change_measured": change.value,
            "change_error": change.standard_error,
        }
    predicted = routes.table.set_index("route").drop(columns="probability")
    return predicted.join(pd.DataFrame(rows).T)


def _students(
    fit: Callable[[str, Indices, Array], Predict],
    y: Array,
    labelled: Indices,
    unlabelled: Indices,
    middles: Iterable[str],
) -> dict[str, Predict]:
    """Students of one split, by each way."""
    n, N = len(labelled), len(unlabelled)
    one, other = labelled[: n - n // 2], labelled[n - n // 2 :]
    first, second = unlabelled[: N // 2], unlabelled[N // 2 :]
    teacher, half = fit("weak", labelled, y[labelled]), fit("weak", one, y[one])
    students = {ONE_STEP: fit("strong", unlabelled, teacher(unlabelled))}
    for name in middles:
        middle = fit(name, first, teacher(first))
        colleague, alone = fit(name, other, y[other]), fit(name, labelled, y[labelled])
        both = (half(unlabelled) + colleague(unlabelled)) / 2
        students |= {
            f"through {name}": fit("strong", second, middle(second)),
            f"committee with {name}": fit("strong", unlabelled, both),
            f"{name} as teacher": fit("strong", unlabelled, alone(unlabelled)),
        }
    return students
