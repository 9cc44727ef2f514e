"""Monte Carlo risks: from all the data, or exact in law at a cost that does not grow with it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from w2s_utils._validate import count, seeded
from w2s_utils.metrics import Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import direct, wishart
from w2s_utils.simulation.chain import simulate_chain
from w2s_utils.simulation.classes import simulate_classes
from w2s_utils.simulation.inputs import Inputs
from w2s_utils.simulation.ridge import simulate_ridge
from w2s_utils.simulation.shift import simulate_shift
from w2s_utils.simulation.teacher_student import simulate_teacher_student

__all__ = [
    "simulate", "simulate_chain", "simulate_classes", "simulate_inputs", "simulate_ridge",
    "simulate_shift", "simulate_teacher_student",
]  # fmt: skip


def simulate(
    pair: GaussianPair,
    n: int,
    N: int,
    trials: int,
    seed: int | np.random.SeedSequence,
    method: Literal["wishart", "direct"] = "wishart",
    risk: Literal["population", "transductive"] = "population",
) -> Risks:
    """Draw the excess risks of the four models over independent training sets.

    Parameters
    ----------
    pair : GaussianPair
    n, N : int
        Labelled and unlabelled samples; any positive numbers, fits below d samples interpolate
        with least norm.
    trials : int
        Number of training sets.
    seed : int or SeedSequence
        The same seed gives the same risks.
    method : {"wishart", "direct"}
        ``direct`` draws all n + N inputs (`simulation.direct`). ``wishart`` draws only triangular
        factors (`simulation.wishart`): the law of the risks is the same, the cost a trial does not
        grow with n or N.
    risk : {"population", "transductive"}
        On fresh inputs, or averaged over the N unlabelled inputs.

    Returns
    -------
    Risks
        Of (trials,) arrays, in squared units of the target. The four risks of a trial share data.

    Raises
    ------
    ValueError
        If a count is not a positive integer, or `method` or `risk` is unknown.
    """
    if method not in ("wishart", "direct"):
        raise ValueError(f"method must be 'wishart' or 'direct', got {method!r}.")
    n, N, trials, transductive = _checked(n, N, trials, risk)
    rng = np.random.default_rng(seeded(seed))
    if method == "direct":
        return direct.risks(pair, n, N, trials, rng, transductive)
    return wishart.risks(pair.principal, n, N, trials, rng, transductive)


def simulate_inputs(
    pair: GaussianPair,
    n: int,
    N: int,
    trials: int,
    seed: int | np.random.SeedSequence,
    inputs: Inputs,
    risk: Literal["population", "transductive"] = "population",
) -> Risks:
    """Draw the excess risks with inputs of another law than the Gaussian; all rows are drawn.

    Parameters
    ----------
    pair : GaussianPair
        Its subspaces, target and (Gaussian) label noise are used, its inputs are not.
    n, N : int
        Labelled and unlabelled samples.
    trials : int
        Number of training sets.
    seed : int or SeedSequence
    inputs : callable
        ``inputs(rows, columns, rng)`` draws whitened inputs; see `simulation.inputs`.
    risk : {"population", "transductive"}

    Returns
    -------
    Risks
        Of (trials,) arrays, as from `simulate`.

    Raises
    ------
    ValueError
        If a count is not a positive integer, or `risk` is unknown.
    """
    n, N, trials, transductive = _checked(n, N, trials, risk)
    rng = np.random.default_rng(seeded(seed))
    return direct.risks(pair, n, N, trials, rng, transductive, inputs)


def _checked(n: int, N: int, trials: int, risk: str) -> tuple[int, int, int, bool]:
    """Return the counts and whether the risk is transductive."""
    if risk not in ("population", "transductive"):
        raise ValueError(f"risk must be 'population' or 'transductive', got {risk!r}.")
    return count(n, "n"), count(N, "N"), count(trials, "trials"), risk == "transductive"
