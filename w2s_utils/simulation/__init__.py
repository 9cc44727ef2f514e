"""Monte Carlo risks: from all the data, or exact in law at a cost that does not grow with it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from w2s_utils._validate import sample_size
from w2s_utils.metrics import Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import direct, wishart
from w2s_utils.simulation.ridge import simulate_ridge
from w2s_utils.simulation.teacher_student import simulate_teacher_student

__all__ = ["simulate", "simulate_ridge", "simulate_teacher_student"]


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
    for name, count in (("n", n), ("N", N), ("trials", trials)):
        sample_size(count, name, 0, "zero")
    if method not in ("wishart", "direct"):
        raise ValueError(f"method must be 'wishart' or 'direct', got {method!r}.")
    if risk not in ("population", "transductive"):
        raise ValueError(f"risk must be 'population' or 'transductive', got {risk!r}.")
    rng, transductive = np.random.default_rng(seed), risk == "transductive"
    if method == "direct":
        return direct.risks(pair, n, N, trials, rng, transductive)
    return wishart.risks(pair.principal, n, N, trials, rng, transductive)
