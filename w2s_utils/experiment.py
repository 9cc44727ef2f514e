"""The four models on a real task, over a grid of sample sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array, real_array, same_rows
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.probes import fit_ridge

Rows = NDArray[np.int64]


def run_grid(
    weak: ArrayLike,
    strong: ArrayLike,
    target: ArrayLike,
    draw_labels: Callable[[np.random.Generator], Array],
    points: Iterable[tuple[int, int]],
    *,
    trials: int,
    test_size: int,
    seed: int,
    ridge: float = 0.0,
) -> pd.DataFrame:
    """Test errors of teacher, student, baseline and ceiling at each (n, N).

    A trial shuffles the rows, draws labels, and sets `test_size` rows aside. Of the rest the first
    n rows are the labelled set and the last N the unlabelled set, so that within a trial all points
    share their data as far as they can.

    Parameters
    ----------
    weak : (M, d_w) array_like
        Weak features.
    strong : (M, d_s) array_like
        Strong features of the same inputs.
    target : (M,) array_like
        Values the test error is measured against.
    draw_labels : callable
        Maps a generator to (M,) noisy labels; called once a trial.
    points : iterable of (n, N)
        Sample sizes.
    trials : int
        Number of splits.
    test_size : int
        Rows of the test set.
    seed : int
        Trial t uses the t-th child of this seed.
    ridge : float
        Penalty of all four probes (see `probes.fit_ridge`).

    Returns
    -------
    DataFrame
        Columns n, N, trial, and one a model: its mean squared test error.

    Raises
    ------
    ValueError
        If shapes do not fit or test_size + n + N exceeds the number of rows at some point.
    """
    W, S = real_array(weak, "weak", 2), real_array(strong, "strong", 2)
    f = real_array(target, "target", 1)
    rows = same_rows(weak=W, strong=S, target=f)
    points = list(points)
    for n, N in points:
        if test_size + n + N > rows:
            raise ValueError(
                f"test_size + n + N must not exceed the {rows} rows, "
                f"got {test_size} + {n} + {N} = {test_size + n + N}."
            )
    records = []
    for trial, child in enumerate(np.random.SeedSequence(seed).spawn(trials)):
        rng = np.random.default_rng(child)
        order = rng.permutation(rows)
        test, pool = order[:test_size], order[test_size:]
        labels = draw_labels(rng)
        for n, N in points:
            errors = _test_errors(W, S, f, labels, pool[:n], pool[-N:], test, ridge)
            records.append({"n": n, "N": N, "trial": trial, **errors})
    return pd.DataFrame(records)


def risks_at(frame: pd.DataFrame, n: int, N: int) -> Risks:
    """Risks of the trials at one point of `run_grid`'s result.

    Parameters
    ----------
    frame : DataFrame
        As returned by `run_grid`.
    n, N : int
        A point of the grid.

    Returns
    -------
    Risks
        Of (trials,) arrays, in trial order.

    Raises
    ------
    ValueError
        If the grid has no such point.
    """
    rows = frame[(frame["n"] == n) & (frame["N"] == N)].sort_values("trial")
    if rows.empty:
        raise ValueError(f"The grid has no point n = {n}, N = {N}.")
    return Risks(*(rows[model].to_numpy() for model in MODELS))


def _test_errors(
    W: Array,
    S: Array,
    f: Array,
    labels: Array,
    labelled: Rows,
    unlabelled: Rows,
    test: Rows,
    ridge: float,
) -> dict[str, float]:
    everything = np.concatenate([labelled, unlabelled])
    teacher = fit_ridge(W[labelled], labels[labelled], ridge)
    predictions = {
        "weak": W[test] @ teacher,
        "student": S[test] @ fit_ridge(S[unlabelled], W[unlabelled] @ teacher, ridge),
        "baseline": S[test] @ fit_ridge(S[labelled], labels[labelled], ridge),
        "ceiling": S[test] @ fit_ridge(S[everything], labels[everything], ridge),
    }
    return {model: float(np.mean((p - f[test]) ** 2)) for model, p in predictions.items()}
