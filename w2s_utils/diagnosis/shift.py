"""Errors of the models on test inputs of other laws, with a jackknife over all sets at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.diagnosis.chosen import mean_ridges
from w2s_utils.diagnosis.prediction import Prediction
from w2s_utils.diagnosis.sample import Grid, Sizes
from w2s_utils.diagnosis.shifted_moments import ShiftedMoments
from w2s_utils.measure.correlation import BLOCKS
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.shifted import Law, Laws, ShiftedDirections, directions, nodes
from w2s_utils.theory.ridge import Ridges
from w2s_utils.theory.shifted_ridge import best_ridges, risks_at_ridges

Choose = Callable[[Sequence[ShiftedDirections], float], list[Ridges]]
LEFT = BLOCKS / (BLOCKS - 1)  # rows of all over those without a block


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

    Ridges are chosen anew without each block: they are best where models are trained, so elsewhere
    errors change to first order with them. By how much they move on average is noise, and is no
    part of the bias.
    """
    halves = [gram.halves for gram in moments.grams]
    whole = moments.laws([half.sum(axis=0) for half in halves], [*map(_rows, moments.sizes)])
    parts = [
        moments.laws(
            [half[parity] for half in halves], [_rows(size[parity::2]) for size in moments.sizes]
        )
        for parity in (0, 1)
    ]
    choices = [_choice(moments, scenario, whole, parts) for scenario in scenarios]

    def numbers(
        scenario: Scenario, choose: Choose, laws: Sequence[Law], more: float = 1.0
    ) -> tuple[list[dict[str, Array]], list[Ridges]]:
        every = _directions(moments, scenario, laws)
        ridges = choose(every, more)
        return _numbers(every, scenario.grid, ridges), ridges

    left: list[list[tuple[list[dict[str, Array]], list[Ridges]]]] = [[] for _ in scenarios]
    for b, grams in enumerate(zip(*moments.grams, strict=True)):
        others = moments.laws(
            [half.sum(axis=0) - gram for half, gram in zip(halves, grams, strict=True)],
            [_rows(size) - int(size[b]) for size in moments.sizes],
        )
        for kept, scenario, choose in zip(left, scenarios, choices, strict=True):
            kept.append(numbers(scenario, choose, others, LEFT))
    unknown = np.full(BLOCKS, np.nan if noise is None else noise)

    def predicted(scenario: Scenario, choose: Choose, kept: Any) -> Iterator[Prediction]:
        rest, moved = zip(*kept, strict=True)
        middle = [mean_ridges(of_column) for of_column in zip(*moved, strict=True)]
        found, _ = numbers(scenario, choose, whole)
        about, _ = numbers(scenario, lambda *_: middle, whole)
        for one, reference, others in zip(found, about, zip(*rest, strict=True), strict=True):
            left_out = {name: np.array([other[name] for other in others]) for name in one}
            for name in MODELS:
                bias = (BLOCKS - 1) * (left_out[name].mean(axis=0) - reference[name])
                one[name] = one[name] - bias
            one["noise"], left_out["noise"] = unknown[0], unknown
            yield Prediction(one, left_out, widened)

    return [[*predicted(*one)] for one in zip(scenarios, choices, left, strict=True)]


def _rows(sizes: Sizes) -> int:
    return int(sizes.sum())


def _directions(
    moments: ShiftedMoments, scenario: Scenario, laws: Sequence[Law]
) -> list[ShiftedDirections]:
    at = Laws(laws[0], laws[scenario.unlabelled], tuple(laws[test] for test in scenario.tests))
    return directions(at, moments.columns, _shares(scenario.grid), 0.0, moments.intercept)


def _shares(grid: Grid) -> list[float]:
    n, N = grid.n[:, None], grid.N
    return nodes(n / (n + N))


def _free(grid: Grid) -> tuple[Sizes, Sizes]:
    n, N = grid.free
    return n[:, 0], N


def _choice(
    moments: ShiftedMoments,
    scenario: Scenario,
    whole: Sequence[Law],
    halves: Sequence[Sequence[Law]],
) -> Choose:
    """How ridges are chosen, from directions and by how much more optimistic these are than all.

    What a sample makes its own losses too small by is taken off. It is of order 1/M: twice as much
    in half of the rows, and a 19th more without a block.
    """
    grid = scenario.grid
    if grid.ridge != "tuned":
        shape = len(grid.n), len(grid.N)
        weak, student, baseline, ceiling = (np.full(shape, ridge) for ridge in grid.ridge)
        given = Ridges(weak, student, baseline, np.array([ceiling] * len(_shares(grid))))
        return lambda laws, _: [given] * len(laws)
    blind = scenario._replace(tests=())
    every, *in_halves = (_directions(moments, blind, laws) for laws in (whole, *halves))

    def chosen(k: int) -> Callable[[ShiftedDirections, float], Ridges]:
        sizes, optimism = _free(grid), []

        def expect(loss: Callable[[ShiftedDirections], Array]) -> Array:
            own = loss(every[k])
            optimism.append(np.mean([loss(half[k]) for half in in_halves], axis=0) - own)
            return np.asarray(own - optimism[-1])

        near = best_ridges(every[k], *sizes, expect)
        optimism.clear()
        best_ridges(every[k], *sizes, expect, near)  # asks for its losses in one order

        def best(one: ShiftedDirections, more: float) -> Ridges:
            known = iter(optimism)
            return best_ridges(
                every[k], *sizes, lambda loss: np.asarray(loss(one) - more * next(known)), near
            )

        return best

    of_columns = [chosen(k) for k in range(len(every))]
    return lambda laws, more: [best(one, more) for best, one in zip(of_columns, laws, strict=True)]


def _numbers(
    every: Sequence[ShiftedDirections], grid: Grid, ridges: Sequence[Ridges]
) -> list[dict[str, Array]]:
    """Numbers of a `Prediction` for each test law, summed over label columns."""
    of_columns = [
        risks_at_ridges(one, *_free(grid), ridge) for one, ridge in zip(every, ridges, strict=True)
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
