"""The prediction beside the truth: the four models run on rows of the user's."""

from __future__ import annotations

from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.labels import read_labels
from w2s_utils.diagnosis.rows import FeatureSet, Rows
from w2s_utils.measure.spectrum import eigen_directions, energy_directions
from w2s_utils.metrics import MODELS, Risks, mean, opr, pgr
from w2s_utils.probes import probe_sweep, risks_at
from w2s_utils.splits import Splits


def verify(
    diagnosis: Diagnosis,
    weak: Rows,
    strong: Rows,
    labels: ArrayLike,
    *,
    trials: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Measure what was predicted, on rows that were kept back or on those that were diagnosed.

    Rows that the diagnosis has not seen test its bands; those that it has seen do not, since what
    chance made of them is in the prediction and in the measurement.

    The four models are fitted and tested as in `probes.probe_sweep`, with the ridge and on the
    retained directions of the diagnosis. A fifth of the rows is the test set of a trial.

    Parameters
    ----------
    diagnosis : Diagnosis
        Made by `diagnose` from the same three arrays, or from other rows of the same population.
    weak, strong, labels
        As in `diagnose`; they are held in memory as float64. Of each set the leading directions of
        these rows are kept, as many as in the diagnosis.
    trials : int
        Number of splits, at least two.
    seed : int
        Of the splits.

    Returns
    -------
    DataFrame
        One row for each point and quantity: n, N, quantity (weak, student, baseline, ceiling, gain,
        pgr, opr), predicted, low, high (as in the diagnosis), measured, and the standard error of
        the measured mean over the splits. Points that need more rows than there are are left out.

    Raises
    ------
    ValueError
        If the arrays have fewer columns than were diagnosed, or no point of the grid fits into the
        rows.

    Notes
    -----
    The test labels are as noisy as all others. So the measured test error is an excess risk plus
    sigma^2; sigma^2 is subtracted if the diagnosis knows it, and left in on both sides if it does
    not. The measured OPR of noisy errors is to be compared with the predicted value, not with the
    band, which allows for any label noise.

    A band is for the population. Of A diagnosed rows and B others the latter are a sample, too: a
    band of 90 % should hold fewer than 90 % of what is measured on them, as if it were narrower by
    the factor :math:`\sqrt{1+A/B}`.
    """
    known = read_labels(labels, diagnosis.classes is not None)
    y = known.rows(slice(None))
    test_size = len(y) // 5
    points = [
        (int(n), int(N)) for n in diagnosis.n for N in diagnosis.N if test_size + n + N <= len(y)
    ]
    if not points:
        raise ValueError(
            f"No point of the grid fits into {len(y)} rows beside {test_size} test rows; "
            f"the least is n = {diagnosis.n[0]}, N = {diagnosis.N[0]}."
        )
    W, S = (
        _retained(X, features, diagnosis.energy)
        for X, features in ((weak, diagnosis.weak), (strong, diagnosis.strong))
    )
    splits = Splits(trials, test_size, seed)
    frames = [
        probe_sweep(W, S, {0: lambda _, y=column: y}, column, points, splits, diagnosis.ridge)  # type: ignore[misc]
        for column in y.T
    ]
    noise = diagnosis.noise_variance
    sigma2 = 0.0 if noise is None else noise.value
    predicted = diagnosis.table().set_index(["n", "N"])
    rows: list[tuple[Any, ...]] = []
    for n, N in points:
        columns = Risks.stack(risks_at(frame, n, N) for frame in frames)
        risks = columns.map(lambda each: each.sum(axis=0) - sigma2)
        measured = {model: mean(risks[model]) for model in MODELS}
        gain = mean(risks.weak - risks.student)  # paired: a trial's models share their rows
        measured |= {"gain": gain, "pgr": pgr(risks), "opr": opr(risks)}
        for name, found in measured.items():
            band = predicted.loc[(n, N), [name, f"{name}_low", f"{name}_high"]]
            rows.append((n, N, name, *band, found.value, found.standard_error))
    header = "n", "N", "quantity", "predicted", "low", "high", "measured", "standard_error"
    return pd.DataFrame(rows, columns=header)


def _retained(X: Rows, known: FeatureSet, energy: float) -> Array:
    """Features along the retained directions, of their own variances."""
    every, name = real_array(X[:], known.name, 2), known.name
    _, directions = (
        energy_directions(every, 1, name) if energy == 1 else eigen_directions(every, name)
    )
    if directions.shape[1] < known.d:
        raise ValueError(f"{name} has {directions.shape[1]} columns, fewer than were diagnosed.")
    kept: Array = every @ directions[:, : known.d]
    return kept
