"""One step, through a middle model, or a committee: how a student is best taught."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from w2s_utils import _ridge_path
from w2s_utils._validate import Array, count, ridges
from w2s_utils.diagnosis.labels import Labels, read_labels
from w2s_utils.diagnosis.moments import LEAST_VARIANCE, covariance
from w2s_utils.diagnosis.partition import Partition
from w2s_utils.diagnosis.prediction import Numbers, Prediction, widened
from w2s_utils.diagnosis.rows import FeatureSet, Reader, Rows, matrix_rows
from w2s_utils.diagnosis.second_pass import read_grams, steps
from w2s_utils.diagnosis.spread import HERE
from w2s_utils.measure.correlation import BLOCKS
from w2s_utils.theory.chain import Answers, Stage, average

ONE_STEP = "one step"
ROWS = 3  # a direction of the three sets together

Ridge = Literal["tuned"] | float


@dataclass(frozen=True, eq=False)
class Routes:
    """Ways to teach a student, in the order of its expected risk.

    Attributes
    ----------
    n, N : int
        Labels and pseudo-labels that each way uses in all.
    rows : int
        Inputs that were measured.
    table : DataFrame
        One row a way, the best first: route, student with its band (student_low, student_high; as
        `Diagnosis.risk`), change against one step with its band, and ``probability``: that the way
        is better than one step, NaN for that itself. Without prediction, near an interpolation
        threshold, all are NaN.
    noise_variance : float or None
        Label noise that is taken off the risks.
    ridge : "tuned" or float
    energy : float
    intercept : bool
        Whether models have one, and columns count at mean 0 and variance 1.
    sets : dict of FeatureSet
        What is known of the features: of "weak", "strong" and each middle model.
    """

    n: int
    N: int
    rows: int
    table: pd.DataFrame
    noise_variance: float | None
    ridge: Ridge
    energy: float
    intercept: bool
    sets: dict[str, FeatureSet]

    @property
    def measure(self) -> str:
        """What the risks are."""
        return "squared error" if self.noise_variance is None else "excess risk"

    @cached_property
    def advice(self) -> str:
        """Which way to go, in a sentence or two."""
        known = self.table.dropna(subset="student")
        by_route = known.set_index("route")
        if ONE_STEP not in by_route.index:
            return (
                f"There is no prediction for one step at n = {self.n:,}, N = {self.N:,}: too near "
                "an interpolation threshold."
            )
        plain, best = by_route["student"][ONE_STEP], known.iloc[0]
        if best["route"] == ONE_STEP:
            others = ""
            if len(known) > 1:
                others = f", the next is {known['route'][1]} ({_percent(known.iloc[1], plain)})"
            return f"Take one step: no other way is predicted to be better{others}."
        told = f"the student's {self.measure} is {_percent(best, plain)}"
        if best["change_high"] < 0:
            return f"Teach the student {_in_words(best['route'])}: {told} than in one step."
        return (
            f"No way is surely better than one step. The lowest prediction is that of "
            f"{best['route']}: {told}, and this band holds no change, too."
        )


def _in_words(route: str) -> str:
    if route.startswith("through"):
        return route
    return f"by a {route}" if route.startswith("committee") else f"with {route}"


def _percent(row: Any, plain: Any) -> str:
    change, half = (
        100 * value / plain for value in (row["change"], row["change_high"] - row["change"])
    )
    direction = "lower" if change < 0 else "higher"
    return f"{abs(change):.1f} ± {half:.1f} % {direction}"


class _Way(NamedTuple):
    """Which set is fitted to how many labels or pseudo-labels."""

    teachers: Sequence[tuple[int, int]]
    students: Sequence[tuple[int, int]]


def rank_routes(
    weak: Rows,
    middles: Mapping[str, Rows],
    strong: Rows,
    labels: ArrayLike,
    *,
    n: int,
    N: int,
    noise_variance: float | None = None,
    ridge: Ridge = "tuned",
    energy: float = 1.0,
    classes: bool | None = None,
    as_given: bool = False,
) -> Routes:
    r"""Rank ways to teach a student with a teacher and middle models, at equal budgets.

    Parameters
    ----------
    weak : (M, width) matrix
        The teacher's features.
    middles : mapping of str to (M, width) matrix
        Features of middle models under their names.
    strong, labels, noise_variance, energy, classes, as_given
        As in `diagnose`.
    n, N : int
        Labels and pseudo-labels in all.
    ridge : "tuned" or float
        The best ridge of each fit for the labels that it sees, or one for all.

    Returns
    -------
    Routes
        For each middle model M: *through M* (the teacher's n labels, half of the N pseudo-labels
        for M, which pseudo-labels the other half), *committee with M* (n/2 labels each, answers
        averaged) and *M as teacher* (all n labels, no weak model); and *one step*.

    Raises
    ------
    ValueError
        As `diagnose`; if there is no middle model, or less than three rows for each direction of
        the three sets together.

    Notes
    -----
    `theory.chain` with the joint second moments of the three sets and the labels, corrected for
    optimism and with bands as `diagnose` has them: a jackknife over 20 blocks of rows at the ridges
    of all rows. All ways share the rows, so changes are surer than risks.
    """
    if not middles:
        raise ValueError("Give at least one middle model.")
    taken = middles.keys() & {"weak", "strong"}
    if taken:
        raise ValueError(f"A middle model must not be called {taken.pop()!r}: rename it.")
    M = matrix_rows(weak, "weak")
    n, N = (count(m, name, 3, "the least for two fits") for m, name in ((n, "n"), (N, "N")))
    if n >= M:
        raise ValueError(f"n must be below the number of rows {M}, got {n}.")
    if noise_variance is not None and not (np.isfinite(noise_variance) and noise_variance >= 0):
        raise ValueError(f"noise_variance must be finite and >= 0, got {noise_variance}.")
    if not isinstance(ridge, str):
        if np.ndim(ridge):
            raise ValueError(f"ridge must be one number for all fits, got {np.size(ridge)}.")
        ridge = float(ridges(ridge, "ridge"))
    elif ridge != "tuned":
        raise ValueError(f'ridge must be "tuned" or not negative, got {ridge!r}.')
    known = read_labels(labels, classes)
    w, s = Reader("weak", weak), Reader("strong", strong)
    sigma2 = np.nan if noise_variance is None else noise_variance
    whole, left = {"noise": np.asarray(sigma2)}, {"noise": np.full(BLOCKS, sigma2)}
    sets: dict[str, FeatureSet] = {}
    factor = 1.0
    for name, rows in middles.items():
        try:
            of_middle = Reader("middle", rows)
            found, (of_w, of_m, of_s) = _of_middle(
                (w, of_middle, s), known, (n, N), ridge, energy, as_given
            )
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        sets |= {"weak": of_w, name: of_m, "strong": of_s}
        factor = max(factor, found.widened)
        for route, risk in found.whole.items():
            whole.setdefault(route.format(name), risk)
            left.setdefault(route.format(name), found.left_out[route])
    prediction = Prediction(whole, left, factor)
    table = _table(prediction)
    return Routes(n, N, M, table, noise_variance, ridge, energy, not as_given, sets)


def _table(prediction: Prediction) -> pd.DataFrame:
    """Table of `Routes`."""

    def excess(name: str) -> Callable[[Numbers], Array]:
        return lambda numbers: numbers[name] - np.nan_to_num(numbers["noise"])

    def above(name: str, other: str) -> Callable[[Numbers], Array]:
        return lambda numbers: numbers[name] - numbers[other]

    rows = []
    for name in prediction.whole:
        if name == "noise":
            continue
        bands = {
            "student": prediction.band(excess(name), least=0.0),
            "change": prediction.band(above(name, ONE_STEP)),
        }
        row: dict[str, Any] = {"route": name}
        for what, band in bands.items():
            row |= {what: band.value, f"{what}_low": band.low, f"{what}_high": band.high}
        known = name != ONE_STEP and np.isfinite(bands["change"].value)
        better = prediction.sign(above(ONE_STEP, name))[0] if known else np.nan
        rows.append(row | {"probability": better})
    table = pd.DataFrame(rows)
    numbers = table.columns[1:]
    table[numbers] = table[numbers].astype(float)
    return table.sort_values("student", ignore_index=True, kind="stable")


def _of_middle(
    readers: tuple[Reader, Reader, Reader],
    labels: Labels,
    sizes: tuple[int, int],
    ridge: Ridge,
    energy: float,
    as_given: bool,
) -> tuple[Prediction, list[FeatureSet]]:
    """Risks of the student by each way with one middle model, "{}" in place of its name."""
    standard = not as_given
    counts = {reader.name: matrix_rows(reader.features, reader.name) for reader in readers}
    if len({*counts.values(), len(labels)}) != 1:
        came = ", ".join(f"{name} has {rows}" for name, rows in counts.items())
        raise ValueError(f"All inputs need the same rows: {came}, labels has {len(labels)}.")
    centred = labels.centred() if standard else labels
    chunks = steps(readers, len(labels))
    for reader in readers:
        reader.find_directions(centred, steps((reader, reader), len(labels)), energy, standard)
    D = sum(reader.cuts[-1] for reader in readers)
    if len(labels) < ROWS * D:
        raise ValueError(
            f"At least {ROWS * D} rows are needed for {D} directions of the three sets, got "
            f"{len(labels)}; give more inputs or lower the energy."
        )
    partition = Partition.of(len(labels))
    grams, notes = read_grams(readers, centred, chunks, standard, partition, HERE)
    halves, total = grams.halves, grams.halves.sum(axis=0)
    every = covariance(total, len(labels), standard)
    label_mean = centred.rows(slice(None)).mean(axis=0)
    sets, start = [], 0
    for reader, of_set in zip(readers, notes, strict=True):
        part = slice(start, start + reader.cuts[-1])
        cross = every[0][part, D:]
        sets.append(reader.summaries(every[0][part, part], cross, label_mean, of_set)[-1])
        start = part.stop
    block = partition.sizes
    of_halves = [
        covariance(gram, int(block[half::2].sum()), standard) for half, gram in enumerate(halves)
    ]
    spaces = [_Space(sets, moment) for moment, _ in (every, *of_halves)]
    ways = _ways(*sizes, standard)
    tuned = {name: _ridges(spaces, way, ridge) for name, way in ways.items()}

    def risks(space: _Space) -> dict[str, Array]:
        return {
            name: np.asarray(sum(
                _risk(space, way, target, alphas, standard)
                for target, alphas in zip(space.targets, tuned[name], strict=True)
            ))
            for name, way in ways.items()
        }  # fmt: skip

    whole = risks(spaces[0])
    left_out = []
    for b, gram in enumerate(grams):
        others, _ = covariance(total - gram, len(labels) - int(block[b]), standard)
        left_out.append(risks(_Space(sets, others)))
    left = {name: np.array([one[name] for one in left_out]) for name in whole}
    for name in whole:  # what chance explains is of order 1/M
        whole[name] = BLOCKS * whole[name] - (BLOCKS - 1) * left[name].mean(axis=0)
    return Prediction(whole, left, widened(sets)), sets


def _ways(n: int, N: int, intercept: bool) -> dict[str, _Way]:
    """All ways; sizes are free ones."""
    one = int(intercept)
    W, M, S = range(3)
    return {
        ONE_STEP: _Way([(W, n - one)], [(S, N - one)]),
        "through {}": _Way([(W, n - one)], [(M, N // 2 - one), (S, N - N // 2 - one)]),
        "committee with {}": _Way([(W, n - n // 2 - one), (M, n // 2 - one)], [(S, N - one)]),
        "{} as teacher": _Way([(M, n - one)], [(S, N - one)]),
    }


class _Space:
    """Sets and labels as orthonormal functions, by the second moment of some of the rows."""

    def __init__(self, sets: Sequence[FeatureSet], moment: Array) -> None:
        D = sum(features.d for features in sets)
        moment = moment.copy()
        # A direction may have no variance at all in a part of the rows.
        moment.flat[: D * len(moment) : len(moment) + 1] += LEAST_VARIANCE
        moment.flat[D * (len(moment) + 1) :: len(moment) + 1] *= 1 + LEAST_VARIANCE
        root = np.asarray(np.linalg.cholesky(moment, upper=True), np.float64)
        self.targets, self.stages, start = root[:, D:].T, [], 0
        for features in sets:
            lengths = np.sqrt(features.spectrum[: features.d])
            columns = np.asarray(root[:, start : start + features.d] * lengths)
            self.stages.append(Stage(columns, 1, radii=features.radii))
            start += features.d


def _ridges(spaces: Sequence[_Space], way: _Way, ridge: Ridge) -> list[list[float]]:
    """Ridges of all fits of a way, for each label column."""
    fits = len(way.teachers) + len(way.students)
    if ridge != "tuned":
        return [[float(ridge)] * fits] * len(spaces[0].targets)
    return [[*_chosen(spaces, way, column)] for column in range(len(spaces[0].targets))]


def _chosen(spaces: Sequence[_Space], way: _Way, column: int) -> Iterator[float]:
    """Ridges of the least loss that each fit can see, less what chance makes of it."""

    def best(path: Array, losses: Sequence[Array]) -> float:
        whole, *halves = losses
        return float(_ridge_path.least(2 * whole - np.mean(halves, axis=0), path))

    targets = [space.targets[column] for space in spaces]
    taught: list[list[Answers]] = [[] for _ in spaces]
    for k, size in way.teachers:
        stages = [space.stages[k].at(size, 0.0) for space in spaces]
        path = _path(stages[0])
        losses = [
            one.label_losses(target, 0.0, path) for one, target in zip(stages, targets, strict=True)
        ]
        alpha = best(path, losses)
        for answers, one, target in zip(taught, stages, targets, strict=True):
            answers.append(one.at(size, alpha).taught_labels(target, 0.0))
        yield alpha
    told = [average(answers) for answers in taught]
    for k, size in way.students:
        stages = [space.stages[k].at(size, 0.0) for space in spaces]
        path = _path(stages[0])
        alpha = best(path, [one.misfits(t, path) for one, t in zip(stages, told, strict=True)])
        told = [one.at(size, alpha).taught(t) for one, t in zip(stages, told, strict=True)]
        yield alpha


def _path(stage: Stage) -> Array:
    return np.asarray(_ridge_path.RIDGES * np.sum(stage.features**2))


def _risk(
    space: _Space, way: _Way, target: Array, alphas: Sequence[float], intercept: bool
) -> float:
    """Student's expected error against the labels; NaN where a fit diverges."""
    left = iter(alphas)
    answers = [
        space.stages[k].at(size, next(left)).taught_labels(target, 0.0, strict=False)
        for k, size in way.teachers
    ]
    losses = zip(answers, way.teachers, strict=True)
    offset = sum(one.loss / (size + 1) for one, (_, size) in losses) / len(answers) ** 2
    told = average(answers)
    for k, size in way.students:
        told = space.stages[k].at(size, next(left)).taught(told, strict=False)
        offset += told.loss / (size + 1)
    return told.risk(target) + intercept * offset
