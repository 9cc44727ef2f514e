"""Risks of models that are trained and tested on inputs of different laws."""

from __future__ import annotations

from typing import Literal

import numpy as np

from w2s_utils._validate import Array, count, seeded
from w2s_utils.metrics import Risks
from w2s_utils.pair import ShiftedPair
from w2s_utils.probes import fit_ridge
from w2s_utils.simulation.direct import Draw
from w2s_utils.simulation.wishart import triangular_factor


def simulate_shift(
    pair: ShiftedPair,
    n: int,
    N: int,
    trials: int,
    seed: int | np.random.SeedSequence,
    method: Literal["wishart", "direct"] = "wishart",
) -> Risks:
    """Draw the excess risks on test inputs of the four models over independent training sets.

    Parameters
    ----------
    pair : ShiftedPair
    n, N : int
        Labelled and unlabelled samples.
    trials : int
        Number of training sets.
    seed : int or SeedSequence
    method : {"wishart", "direct"}
        ``direct`` draws all n + N inputs; ``wishart`` their triangular factors, from which least
        squares gives the same fits (`simulation.wishart`): of the same law, at a cost that does not
        grow with n or N.

    Returns
    -------
    Risks
        Of (trials,) arrays, in squared units of the target. The four risks of a trial share data.

    Raises
    ------
    ValueError
        If a count is not a positive integer, or `method` is unknown.
    """
    draws = {"wishart": triangular_factor, "direct": _rows}
    if method not in draws:
        raise ValueError(f"method must be 'wishart' or 'direct', got {method!r}.")
    n, N, trials = count(n, "n"), count(N, "N"), count(trials, "trials")
    rng, draw = np.random.default_rng(seeded(seed)), draws[method]
    roots = pair.root("labelled"), pair.root("unlabelled")
    found = [_trial(pair, n, N, roots, draw, rng) for _ in range(trials)]
    return Risks(*np.transpose(found))


def _rows(rows: int, columns: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal((rows, columns))


def _trial(
    pair: ShiftedPair,
    n: int,
    N: int,
    roots: tuple[Array, Array],
    draw: Draw,
    rng: np.random.Generator,
) -> list[float]:
    A_w, A_s, beta = pair.weak_map, pair.strong_map, pair.target
    sigma = np.sqrt(pair.noise_variance)

    def inputs(root: Array, rows: int) -> tuple[Array, Array]:
        drawn = draw(rows, root.shape[1] + 1, rng)
        Z = drawn[:, :-1] @ root.T
        return Z, Z @ beta + sigma * drawn[:, -1]

    (Z, y), (U, withheld) = (inputs(root, m) for root, m in zip(roots, (n, N), strict=True))
    weak = A_w @ fit_ridge(Z @ A_w, y)
    student = A_s @ fit_ridge(U @ A_s, U @ weak)
    baseline = A_s @ fit_ridge(Z @ A_s, y)
    both = np.vstack([Z, U]) @ A_s, np.concatenate([y, withheld])
    errors = (fit - beta for fit in (weak, student, baseline, A_s @ fit_ridge(*both)))
    return [float(error @ pair.test @ error) for error in errors]
