"""Errors of the models on test inputs of other laws, with a jackknife over all sets at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.diagnosis.prediction import Prediction
from w2s_utils.diagnosis.sample import Grid, Sizes
from w2s_utils.diagnosis.shifted_moments import ShiftedMoments
from w2s_utils.measure.correlation import BLOCKS
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.shifted import Law, Laws, ShiftedDirections, directions, nodes
from w2s_utils.theory.ridge import Ridges
from w2s_utils.theory.shifted_ridge import Expect, best_ridges, risks_at_ridges


class Scenario(NamedTuple):
    """Where pseudo-labels are given, and which laws are tested, as positions of parts."""

    unlabelled: int
    tests: tuple[int, ...]
    grid: Grid


def predict_shift(
    moments: ShiftedMoments, scenarios: Sequence[Scenario], noise: float | None, widened: float
) -> list[list[Prediction]]:
    """Predict each scenario: for each test law its errors.

    All errors are functions of the laws, whose bias of order one over the rows of each set is
    removed by a jackknife that leaves a block of every set out at once. The sets are independent,
    so what each contributes to the variance adds up. A row keeps its block in all of its roles.
    """
    halves = [gram.halves for gram in moments.grams]
    whole = moments.laws([half.sum(axis=0) for half in halves], [*map(_rows, moments.sizes)])
    parts = [
        moments.laws(
            [half[parity] for half in halves], [_rows(size[parity::2]) for size in moments.sizes]
        )
        for parity in (0, 1)
    ]
    ridges = [_ridges(moments, scenario, whole, parts) for scenario in scenarios]
    found = [
        _numbers(moments, scenario, whole, ridge)
        for scenario, ridge in zip(scenarios, ridges, strict=True)
    ]
    left: list[list[list[dict[str, Array]]]] = [[] for _ in scenarios]
    for b, grams in enumerate(zip(*moments.grams, strict=True)):
        others = moments.laws(
            [half.sum(axis=0) - gram for half, gram in zip(halves, grams, strict=True)],
            [_rows(size) - int(size[b]) for size in moments.sizes],
        )
        for kept, scenario, ridge in zip(left, scenarios, ridges, strict=True):
            kept.append(_numbers(moments, scenario, others, ridge))
    unknown = np.nan if noise is None else noise

    def prediction(numbers: dict[str, Array], rest: Sequence[dict[str, Array]]) -> Prediction:
        left_out = {name: np.array([one[name] for one in rest]) for name in numbers}
        for name in MODELS:
            bias = (BLOCKS - 1) * (left_out[name].mean(axis=0) - numbers[name])
            numbers[name] = numbers[name] - bias
        numbers["noise"], left_out["noise"] = np.asarray(unknown), np.full(BLOCKS, unknown)
        return Prediction(numbers, left_out, widened)

    return [
        [prediction(*one) for one in zip(numbers, zip(*kept, strict=True), strict=True)]
        for numbers, kept in zip(found, left, strict=True)
    ]


def _rows(sizes: Sizes) -> int:
    return int(sizes.sum())


def _directions(
    moments: ShiftedMoments, scenario: Scenario, laws: Sequence[Law]
) -> list[ShiftedDirections]:
    n, N = scenario.grid.n[:, None], scenario.grid.N
    at = Laws(laws[0], laws[scenario.unlabelled], tuple(laws[test] for test in scenario.tests))
    return directions(at, moments.columns, nodes(n / (n + N)), 0.0, moments.intercept)


def _free(grid: Grid) -> tuple[Sizes, Sizes]:
    n, N = grid.free
    return n[:, 0], N


def _ridges(
    moments: ShiftedMoments,
    scenario: Scenario,
    whole: Sequence[Law],
    halves: Sequence[Sequence[Law]],
) -> list[Ridges]:
    grid = scenario.grid
    every = _directions(moments, scenario, whole)
    if grid.ridge != "tuned":
        shape = len(grid.n), len(grid.N)
        weak, student, baseline, ceiling = (np.full(shape, ridge) for ridge in grid.ridge)
        return [
            Ridges(weak, student, baseline, np.array([ceiling] * len(every[0].ceilings)))
        ] * len(every)
    in_halves = [_directions(moments, scenario, half) for half in halves]

    def expect(k: int) -> Expect:
        return lambda loss: np.asarray(
            2 * loss(every[k]) - np.mean([loss(half[k]) for half in in_halves], axis=0)
        )

    return [best_ridges(one, *_free(grid), expect(k)) for k, one in enumerate(every)]


def _numbers(
    moments: ShiftedMoments, scenario: Scenario, laws: Sequence[Law], ridges: Sequence[Ridges]
) -> list[dict[str, Array]]:
    """Numbers of a `Prediction` for each test law, summed over label columns."""
    every = _directions(moments, scenario, laws)
    of_columns = [
        risks_at_ridges(one, *_free(scenario.grid), ridge)
        for one, ridge in zip(every, ridges, strict=True)
    ]
    known = {
        name: np.asarray(sum(getattr(one, model).features.rho for one in every))
        for name, model in (("rho_w", "teacher"), ("rho_s", "baseline"))
    }
    seen = sum(np.sum(one.teacher.features.target**2) for one in every)
    known["power"] = np.asarray(known["rho_w"] + seen)
    return [
        known | vars(Risks.stack(columns).map(lambda risk: np.sum(risk, axis=0)))
        for columns in zip(*of_columns, strict=True)
    ]
