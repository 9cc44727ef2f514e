"""The prediction beside the truth: the four models run on rows of the user's."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, real_array
from w2s_utils.diagnosis.class_verification import check_classes
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.labels import read_labels
from w2s_utils.diagnosis.rows import FeatureSet, Rows
from w2s_utils.measure.spectrum import eigen_directions, energy_directions
from w2s_utils.metrics import MODELS, Risks, mean, opr, pgr
from w2s_utils.probes import Ridge, probe_sweep, risks_at
from w2s_utils.splits import Splits

LONG = 1e3


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

    The four models are fitted and tested as in `probes.probe_sweep`. A diagnosis of tuned models is
    measured with models as people run them: all columns, brought to mean 0 and variance 1, an
    intercept, and each model's ridge by generalized cross-validation on the labels that it sees.
    One of given ridges is measured with these, on as many directions as it used. A fifth of the
    rows is the test set of a trial.

    Parameters
    ----------
    diagnosis : Diagnosis
        Made by `diagnose` from the same three arrays, or from other rows of the same population.
    weak, strong, labels
        As in `diagnose`; they are held in memory as float64.
    trials : int
        Number of splits, at least two.
    seed : int
        Of the splits.

    Returns
    -------
    DataFrame
        One row for each point and quantity: n, N, quantity (weak, student, baseline, ceiling, gain,
        pgr, opr; of classes at some points accuracy_weak and so on, with logistic probes
        cross_entropy_weak and so on), predicted, low, high (as in the diagnosis), measured, and the
        standard error of the measured mean over the splits. Points that need more rows than there
        are are left out.

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
    ridge: Ridge
    if diagnosis.ridge == "tuned":
        ridge = "tuned"
    else:
        ridge, *others = set(diagnosis.ridge)
        if others:
            raise ValueError("Models of different ridges cannot be trained here: give one ridge.")
    given = [
        (real_array(X[:], features.name, 2), features)
        for X, features in ((weak, diagnosis.weak), (strong, diagnosis.strong))
    ]
    W, S = (as_fitted(X, features, diagnosis, diagnosis.intercept) for X, features in given)
    splits = Splits(trials, test_size, seed)
    frames = [
        probe_sweep(W, S, {0: lambda _, y=column: y}, column, points, splits, ridge)  # type: ignore[misc]
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
    classes = diagnosis.classification
    if classes is not None:
        if classes.losses is not None:  # logistic probes have an intercept of their own
            W, S = (as_fitted(X, features, diagnosis, False) for X, features in given)
        fixed = None if isinstance(ridge, str) else float(ridge)
        codes = known.values.astype(np.int64)
        rows += check_classes(classes, W, S, y, codes, points, splits, fixed)
    header = "n", "N", "quantity", "predicted", "low", "high", "measured", "standard_error"
    return pd.DataFrame(rows, columns=header)


class How(Protocol):
    """What models are: of a diagnosis, or of ways to teach."""

    @property
    def intercept(self) -> bool: ...  # noqa: D102

    @property
    def ridge(self) -> object: ...  # noqa: D102

    @property
    def energy(self) -> float: ...  # noqa: D102


def as_fitted(X: Array, known: FeatureSet, how: How, constant: bool) -> Array:
    """Features as the models have them, with a constant if they are not tuned."""
    if how.intercept:
        spread = X.std(axis=0)
        X = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if X.shape[1] < known.d:
        raise ValueError(f"{known.name} has {X.shape[1]} columns, fewer than were diagnosed.")
    if how.ridge == "tuned":
        return X
    name = known.name
    _, directions = energy_directions(X, 1, name) if how.energy == 1 else eigen_directions(X, name)
    kept: Array = X @ directions[:, : known.d]
    if constant:  # so long a column of ones that no ridge reaches its weight
        kept = np.column_stack([kept, np.full(len(X), LONG)])
    return kept
