"""The diagnosis of a pair whose labelled, unlabelled and test inputs have other laws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array
from w2s_utils.diagnosis import page, tables
from w2s_utils.diagnosis.diagnose import Diagnosis, diagnose
from w2s_utils.diagnosis.labels import Labels, as_array, named, read_labels
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.prediction import Numbers, Prediction
from w2s_utils.diagnosis.rows import Rows, matrix_rows
from w2s_utils.diagnosis.sample import Grid
from w2s_utils.diagnosis.sets import Inputs, Selected, check_inputs, read_split
from w2s_utils.diagnosis.shift import Scenario, predict_shift
from w2s_utils.diagnosis.shift_verdict import judge_shift, warn_of_shift
from w2s_utils.diagnosis.shifted_moments import read_laws
from w2s_utils.diagnosis.verdict import Verdict
from w2s_utils.measure.correlation import BLOCKS
from w2s_utils.metrics import MODELS

GROUP_ROWS = 2 * BLOCKS  # least of a group of test rows: two in each block
_SIDES = ("whole", "left_out")
Set = tuple[Rows, Rows] | tuple[Rows, Rows, ArrayLike | None]


@dataclass(frozen=True, eq=False)
class ShiftDiagnosis(Predicted):
    """What will happen on test inputs, with a verdict; a notebook shows it.

    Attributes
    ----------
    rows : dict of str to int
        Labelled, unlabelled and test inputs that were measured.
    groups : dict of str to Predicted
        The same for each group of test inputs.
    worst : Predicted or None
        For each model the risk of the group in which it is largest; None without groups.
    nearby : Predicted
        With pseudo-labels on inputs like the test ones, at the largest N.
    alike : Predicted
        If all inputs were like the labelled ones, at the largest N.
    known : dict of str to bool
        Whether labels of unlabelled and of test inputs were given.
    cut : dict of str to int
        How many weak and strong directions are left out, as a set has too few rows for them.
    unshifted : Diagnosis
        Of the labelled inputs alone.
    """

    rows: dict[str, int]
    groups: dict[str, Predicted]
    worst: Predicted | None
    nearby: Predicted
    alike: Predicted
    known: dict[str, bool]
    cut: dict[str, int]
    unshifted: Diagnosis

    @cached_property
    def verdict(self) -> Verdict:
        """In words, with its reasons."""
        return judge_shift(self, self.unshifted, self.nearby, self.alike, self.groups)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Why the prediction may be off, a sentence each."""
        return warn_of_shift(self.known, self.cut, self.unshifted)

    def _repr_html_(self) -> str:
        said = f"<p><b>{escape(self.verdict.headline)}</b></p>{page.bullets(self.verdict.reasons)}"
        if self.warnings:
            said += f"<p><b>Warnings</b></p>{page.bullets(self.warnings)}"
        at_N = f"On test inputs, at N = {self.N[-1]:,}"
        shown = said + page.table(tables.risks_by_n(self), at_N)
        return shown + (page.table(tables.by_group(self.groups)) if self.groups else "")


def diagnose_shift(
    weak: Rows,
    strong: Rows,
    labels: ArrayLike,
    *,
    unlabelled: Set | None = None,
    test: Set | None = None,
    groups: ArrayLike | None = None,
    noise_variance: float | None = None,
    n: Iterable[int] | int | None = None,
    N: Iterable[int] | int | None = None,
    ridge: Literal["tuned"] | float | Sequence[float] = "tuned",
    energy: float = 1.0,
    classes: bool | None = None,
    as_given: bool = False,
) -> ShiftDiagnosis:
    r"""Predict weak-to-strong finetuning where the inputs that count differ from those with labels.

    Parameters
    ----------
    weak, strong, labels
        As in `diagnose`: of labelled inputs.
    unlabelled : (weak, strong) or (weak, strong, labels), optional
        Features of inputs like those that the teacher will label; labelled inputs by default. Their
        labels serve the ceiling alone.
    test : (weak, strong) or (weak, strong, labels), optional
        Features of inputs like those that count, and their labels if there are any; labelled inputs
        by default, and to be given if `unlabelled` is.
    groups : (test rows,) array_like, optional
        Name of the group of each test input: each has its own risks, and the worst counts.
    noise_variance, n, N, ridge, energy, classes, as_given
        As in `diagnose`. Columns are brought to mean 0 and variance 1 over all rows of all sets.

    Returns
    -------
    ShiftDiagnosis

    Raises
    ------
    ValueError
        As `diagnose`, or if the sets have other columns, one of them has fewer rows than there are
        directions, or a group has fewer than 40 rows.

    Notes
    -----
    `theory.shifted_ridge` with the measured moments of the three laws. A model's ridge is the best
    one where it is trained, as cross-validation finds it: nobody tunes on the inputs that count.

    Without labels of the test inputs, the target is taken for the best linear function of both
    feature sets among labelled inputs. That cannot be checked from features: give labels of
    a few hundred test inputs where there are any.

    Bands are as in `diagnose`, with a block of every set left out at once. They hold how surely the
    ridges are known, too: on other inputs errors change to first order with them.
    """
    if unlabelled is not None and test is None:
        raise ValueError(
            "Say which inputs count: give test, the unlabelled inputs once more if it is these."
        )
    given = {"labelled": (weak, strong, labels), "unlabelled": unlabelled, "test": test}
    sets = _encoded({role: one for role, one in given.items() if one is not None}, classes)
    check_inputs(sets)
    roles = [*sets]
    at = {role: roles.index(role) if role in sets else 0 for role in given}
    names, codes = _group_codes(groups, matrix_rows(sets[roles[at["test"]]].weak, "weak"))
    unshifted = diagnose(
        weak, strong, labels, noise_variance=noise_variance, n=n, N=N, ridge=ridge, energy=energy,
        classes=classes, as_given=as_given,
    )  # fmt: skip
    moments = read_laws([*sets.values()], at["unlabelled"], at["test"], codes, energy, not as_given)
    grid = Grid(unshifted.n, unshifted.N, unshifted.ridge, not as_given)
    last = Grid(grid.n, grid.N[-1:], grid.ridge, grid.intercept)
    tests = (2, *range(3, 3 + len(names)))
    scenarios = [Scenario(1, tests, grid), Scenario(2, (2,), last), Scenario(0, (0,), last)]
    (found, *of_groups), (nearby,), (alike,) = predict_shift(
        moments, scenarios, noise_variance, unshifted.prediction.widened
    )
    return ShiftDiagnosis(
        n=grid.n,
        N=grid.N,
        prediction=found,
        rows={role: matrix_rows(sets[roles[at[role]]].weak, "weak") for role in given},
        groups={
            name: Predicted(grid.n, grid.N, one) for name, one in zip(names, of_groups, strict=True)
        },
        worst=Predicted(grid.n, grid.N, _worst(of_groups)) if of_groups else None,
        nearby=Predicted(last.n, last.N, nearby),
        alike=Predicted(last.n, last.N, alike),
        known={role: moments.labelled[i] for i, role in enumerate(given)},
        cut=moments.cut,
        unshifted=unshifted,
    )


def split_sets(
    weak: Rows,
    strong: Rows,
    labels: ArrayLike,
    split: ArrayLike,
    groups: ArrayLike | None = None,
) -> dict[str, Any]:
    """Arguments of `diagnose_shift` from one matrix of each kind and a word for each row.

    Parameters
    ----------
    weak, strong : (M, width) matrix
    labels : (M,) array_like
        NaN or None where a row has none; the test rows have all of them, or none.
    split : (M,) array_like of str
        "labelled", "unlabelled" or "test".
    groups : (M,) array_like, optional
        Names, of which those of the test rows are used.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If sizes do not fit, a word is none of the three, or a labelled row has no label.
    """
    rows = matrix_rows(weak, "weak")
    if matrix_rows(strong, "strong") != rows:
        raise ValueError(
            f"weak has {rows} rows and strong {strong.shape[0]}: give the same inputs."
        )
    which = read_split(split, rows)
    y = as_array(labels, "labels")
    if y.shape[:1] != (rows,):
        raise ValueError(f"labels must hold one for each of {rows} rows, got shape {y.shape}.")

    def part(role: str) -> tuple[Rows, Rows, ArrayLike | None]:
        of_role = y[which[role]]
        lacking = int(np.sum(_missing(of_role)))
        if (role != "unlabelled" and 0 < lacking < len(of_role)) or (
            role == "labelled" and lacking
        ):
            raise ValueError(f"{lacking} of {len(of_role)} {role} rows lack their label.")
        known = of_role if lacking == 0 else None
        return Selected(weak, which[role]), Selected(strong, which[role]), known

    parts: dict[str, Any] = dict(zip(("weak", "strong", "labels"), part("labelled"), strict=True))
    parts |= {role: part(role) for role in ("unlabelled", "test") if which[role].any()}
    if groups is not None:
        names = np.asarray(groups, object)
        if names.shape != (rows,):
            raise ValueError(f"groups must name one for each of {rows} rows, got {names.shape}.")
        strange = set(names[~pd.isna(names)]) - set(names[which["test"]])
        if strange:
            raise ValueError(f"Group {min(map(str, strange))!r} has no test rows.")
        parts["groups"] = names[which["test"]]
    return parts


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(pd.DataFrame(values).isna().any(axis=1))


def _encoded(sets: Mapping[str, Set], classes: bool | None) -> dict[str, Inputs]:
    """Labels of all sets as columns of the same kind."""
    for role, one in sets.items():
        if not (isinstance(one, (tuple, list)) and len(one) in (2, 3)):
            raise ValueError(f"{role} must be (weak, strong) or (weak, strong, labels).")
    given = {role: one[2] if len(one) == 3 else None for role, one in sets.items()}
    arrays = {role: as_array(y, "labels") for role, y in given.items() if y is not None}
    if len({array.shape[1:] for array in arrays.values()}) > 1:
        raise ValueError("The labels of all sets need the same columns.")
    known = read_labels(np.concatenate([*arrays.values()]), classes)
    stops = np.cumsum([len(array) for array in arrays.values()])
    of_role = dict(zip(arrays, np.split(known.values, stops[:-1]), strict=True))

    def labels(role: str) -> Labels | None:
        return Labels(of_role[role], known.classes) if role in of_role else None

    return {role: Inputs(one[0], one[1], labels(role)) for role, one in sets.items()}


def _group_codes(groups: ArrayLike | None, rows: int) -> tuple[list[str], NDArray[np.int64] | None]:
    if groups is None:
        return [], None
    given = np.asarray(groups, object)
    if given.shape != (rows,):
        raise ValueError(f"groups must name one for each of {rows} test rows, got {given.shape}.")
    lacking = int(pd.isna(given).sum())
    if lacking:
        raise ValueError(f"{lacking} of {rows} test rows lack the name of their group.")
    names, codes = np.unique([str(named(name)) for name in given.tolist()], return_inverse=True)
    for name, count in zip(names, np.bincount(codes), strict=True):
        if count < GROUP_ROWS:
            raise ValueError(
                f"Group {str(name)!r} has {count} test rows: at least {GROUP_ROWS} are needed to "
                "tell its risk."
            )
    return [str(name) for name in names], codes.astype(np.int64)


def _worst(groups: Sequence[Prediction]) -> Prediction:
    """For each model the errors of the group in which they are largest, over all rows."""
    stacked = {model: np.stack([one.whole[model] for one in groups]) for model in MODELS}
    at = {model: np.argmax(np.nan_to_num(errors), axis=0) for model, errors in stacked.items()}

    def largest(numbers: Sequence[Numbers]) -> dict[str, Array]:
        found = dict(numbers[0])
        for model in MODELS:
            of_groups = np.stack([one[model] for one in numbers])
            index = np.broadcast_to(at[model], of_groups.shape[1:])[None]
            found[model] = np.take_along_axis(of_groups, index, axis=0)[0]
        return found

    whole, left_out = (largest([getattr(one, name) for one in groups]) for name in _SIDES)
    return Prediction(whole, left_out, groups[0].widened)
