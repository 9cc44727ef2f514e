"""The oracle: draw every input, fit every model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.metrics import Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge
from w2s_utils.simulation.inputs import Inputs, gaussian

Draw = Callable[[int, int, np.random.Generator], Array]


def risks(
    pair: GaussianPair,
    n: int,
    N: int,
    trials: int,
    rng: np.random.Generator,
    transductive: bool,
    inputs: Inputs = gaussian,
) -> Risks:
    """Draw the risks of `trials` training sets; see `simulation.simulate_inputs`."""

    def draw(rows: int, columns: int, rng: np.random.Generator) -> Array:
        return np.column_stack([inputs(rows, columns - 1, rng), rng.standard_normal(rows)])

    samples = [trial(pair, n, N, rng, draw, transductive) for _ in range(trials)]
    return Risks(*np.transpose(samples))


def trial(
    pair: GaussianPair, n: int, N: int, rng: np.random.Generator, draw: Draw, transductive: bool
) -> list[float]:
    """Fit the four models to one training set; `draw` gives inputs with the label noise last."""
    V_w, V_s, beta = pair.weak_basis, pair.strong_basis, pair.target
    sigma = np.sqrt(pair.noise_variance)

    def labelled(rows: int) -> tuple[Array, Array]:
        data = draw(rows, len(beta) + 1, rng)
        return data[:, :-1], data[:, :-1] @ beta + sigma * data[:, -1]

    def fit(basis: Array, X: Array, y: Array) -> Array:
        return basis @ fit_ridge(X @ basis, y)

    X, y = labelled(n)
    unlabelled, withheld = labelled(N)
    weak = fit(V_w, X, y)
    student = fit(V_s, unlabelled, unlabelled @ weak)
    baseline = fit(V_s, X, y)
    ceiling = fit(V_s, np.vstack([X, unlabelled]), np.concatenate([y, withheld]))
    errors = [b - beta for b in (weak, student, baseline, ceiling)]
    if transductive:
        return [float(np.sum((unlabelled @ error) ** 2)) / N for error in errors]
    return [float(error @ error) for error in errors]
