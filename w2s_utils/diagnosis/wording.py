"""Sentences and lines that all reports share."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray

from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.tables import MISSING

WIDTH = 80


def models(d: Forecast) -> str:
    """What the models are."""
    columns = "an intercept, standardised columns" if d.intercept else "columns as given"
    kept = (
        "all directions" if d.energy == 1 else f"directions of {100 * d.energy:g} % of the energy"
    )
    if d.ridge == "tuned":
        ridge = "each model at the ridge that is best for its labels"
    else:
        ridge = "ridge " + ", ".join(f"{value:g}" for value in dict.fromkeys(d.ridge))
    return f"Models: {columns}, {kept}, {ridge}."


def risk_name(d: Predicted) -> str:
    """What is shown of a model."""
    against = " against noisy labels" if d.noise_variance is None else ""
    return f"expected {d.measure}{against}"


def how_to_read(d: Predicted, tuned: bool) -> str:
    """What the columns of the tables are."""
    told = f"Models: {risk_name(d)} ± half of its 90 % band. PGR, OPR: with 90 % bands"
    if d.noise_variance is None:
        told += ", that of OPR for any label noise"
    if np.isnan(d.pgr.value).any():
        told += f"; no PGR ({MISSING}) where the teacher is not surely worse than the ceiling"
    if tuned:
        told += ". Ridges: penalty on the mean squared loss"
    if len(d.n) == 1:
        return f"{told}."
    best = {"PGR": d.best_n_pgr, "OPR": d.best_n_opr}
    listed = ", ".join(f"{n:,} for {name}" for name, n in best.items() if n)
    return f"{told}. Best n at N = {d.N[-1]:,}: {listed or 'none'}."


def bullets(sentences: Iterable[str]) -> list[str]:
    """Lines of a list."""
    return [
        line
        for sentence in sentences
        for line in wrap(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    ]


def ranged(sizes: NDArray[np.int64], which: NDArray[np.bool_]) -> str:
    """Return sizes as text, a run of them by its ends."""
    chosen = np.flatnonzero(which)
    if len(chosen) > 2 and np.all(np.diff(chosen) == 1):
        return f"n = {sizes[chosen[0]]:,} to {sizes[chosen[-1]]:,}"
    return f"n = {listed(sizes[chosen])}"


def listed(sizes: NDArray[np.int64]) -> str:
    """Return sizes as text."""
    return ", ".join(f"{size:,}" for size in sizes)
