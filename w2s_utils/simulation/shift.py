"""Risks of models that are trained and tested on inputs of different laws."""

from __future__ import annotations

from typing import Literal

import numpy as np

from w2s_utils._validate import Array, count, ridges, seeded
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
    *,
    alpha_w: float = 0.0,
    alpha_s: float = 0.0,
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
    alpha_w, alpha_s : float
        Ridge of the weak and of the strong models (`probes.fit_ridge`).

    Returns
    -------
    Risks
        Of (trials,) arrays, in squared units of the target. The four risks of a trial share data.

    Raises
    ------
    ValueError
        If a count is not a positive integer, a ridge negative, or `method` unknown.
    """
    draws = {"wishart": triangular_factor, "direct": _rows}
    if method not in draws:
        raise ValueError(f"method must be 'wishart' or 'direct', got {method!r}.")
    n, N, trials = count(n, "n"), count(N, "N"), count(trials, "trials")
    rng, draw = np.random.default_rng(seeded(seed)), draws[method]
    roots = pair.root("labelled"), pair.root("unlabelled")
    alphas = float(ridges(alpha_w, "alpha_w")), float(ridges(alpha_s, "alpha_s"))
    found = [_trial(pair, n, N, alphas, roots, draw, rng) for _ in range(trials)]
    return Risks(*np.transpose(found))


def _rows(rows: int, columns: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal((rows, columns))


def _trial(
    pair: ShiftedPair,
    n: int,
    N: int,
    alphas: tuple[float, float],
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

    def fit(X: Array, labels: Array, m: int, alpha: float) -> Array:
        # Triangular factors have fewer rows than the m that the loss is the mean of.
        return fit_ridge(X, labels, alpha * m / len(X))

    (Z, y), (U, withheld) = (inputs(root, m) for root, m in zip(roots, (n, N), strict=True))
    alpha_w, alpha_s = alphas
    weak = A_w @ fit(Z @ A_w, y, n, alpha_w)
    student = A_s @ fit(U @ A_s, U @ weak, N, alpha_s)
    baseline = A_s @ fit(Z @ A_s, y, n, alpha_s)
    both = np.vstack([Z, U]) @ A_s, np.concatenate([y, withheld])
    ceiling = A_s @ fit(*both, n + N, alpha_s)
    errors = (model - beta for model in (weak, student, baseline, ceiling))
    return [float(error @ pair.test @ error) for error in errors]
