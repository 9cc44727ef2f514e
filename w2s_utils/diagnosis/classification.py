"""Accuracy and cross-entropy of models of classes, averaged over rows that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from w2s_utils._validate import Array
from w2s_utils.diagnosis.moments import Moments
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.prediction import Band, Numbers, Prediction
from w2s_utils.diagnosis.sample import Grid, Sample
from w2s_utils.diagnosis.scores import Law
from w2s_utils.diagnosis.second_pass import steps
from w2s_utils.measure.correlation import BLOCKS
from w2s_utils.metrics import MODELS
from w2s_utils.theory.ridge import Ridges

LossName = Literal["squared", "cross-entropy"]
HELD, MOST = 2**24, 40_000  # coordinates of tested rows, 64 MB, and rows
COMMON = 1000  # rows on which models without each block are compared
DRAWS = 16  # of the scores of a row, for more than two classes
_LEAST = 1e-30  # variance of a score
_NODES = np.linspace(-6, 6, 37)
_WEIGHTS = np.exp(-(_NODES**2) / 2) / np.exp(-(_NODES**2) / 2).sum()


class ErrorRates(Predicted):
    """Shares of wrong answers."""

    measure, many = "share of wrong answers", "shares of wrong answers"


class CrossEntropies(Predicted):
    """Expected cross-entropies in nats."""

    measure, many = "cross-entropy", "cross-entropies"


@dataclass(frozen=True, eq=False)
class Classification:
    """What models of classes will do.

    Attributes
    ----------
    loss : {"squared", "cross-entropy"}
        What the models minimise.
    errors : ErrorRates
        Shares of wrong answers: their `risk`, `gain`, `pgr` and `opr`.
    losses : CrossEntropies or None
        Of logistic probes; of more than two classes the sum over probes of one class against the
        rest.
    ridges : Ridges
        Of the four models at each point, the geometric mean over label columns.
    rows : int
        How many were tested.
    """

    loss: LossName
    errors: ErrorRates
    losses: CrossEntropies | None
    ridges: Ridges
    rows: int

    @cached_property
    def accuracy(self) -> dict[str, Band]:
        """For each model its expected accuracy."""
        return {
            model: Band(1 - band.value, 1 - band.high, 1 - band.low)
            for model, band in self.errors.risk.items()
        }

    def table(self) -> pd.DataFrame:
        """Predictions in one row for each point.

        Returns
        -------
        DataFrame
            Columns n, N, and for the accuracy of each model and for gain, pgr and opr in wrong
            answers three: name, name_low and name_high; of logistic probes the same of each model's
            cross-entropy, under names that start with ``cross_entropy_``.
        """
        found = self.errors.table()
        for model in MODELS:
            names = [model, f"{model}_high", f"{model}_low"]
            found[[model, f"{model}_low", f"{model}_high"]] = 1 - found[names].to_numpy()
        if self.losses is None:
            return found
        of_losses = self.losses.table().filter(regex=f"^({'|'.join(MODELS)})")
        return pd.concat([found, of_losses.add_prefix("cross_entropy_")], axis=1)


class HeldOut(NamedTuple):
    """Some rows of a block, whitened, with their label columns and classes."""

    weak: NDArray[np.float32]
    strong: NDArray[np.float32]
    columns: Array
    classes: NDArray[np.int64]


def common_rows(blocks: Sequence[HeldOut]) -> HeldOut:
    """Some rows of each block."""
    few = COMMON // len(blocks)
    return HeldOut(
        *(np.concatenate([part[:few] for part in parts]) for parts in zip(*blocks, strict=True))
    )


def held_out_rows(moments: Moments) -> list[HeldOut]:
    """Read the rows once more, no more of them than are needed, by their blocks."""
    readers, labels = moments.readers, moments.labels
    d_w, d_s = moments.every.weak.d, moments.every.strong.d
    apart = int(np.ceil(moments.rows / min(HELD // (d_w + d_s), MOST)))
    found: list[list[HeldOut]] = [[] for _ in range(BLOCKS)]
    for rows in steps(readers, moments.rows):
        every = np.arange(rows.stop - rows.start)
        taken = every[(every + rows.start) // BLOCKS % apart == 0]
        weak, strong = (reader.along(reader[rows][taken]) for reader in readers)
        block_of = moments.partition.numbers(rows)
        columns, codes = labels.rows(rows)[taken], labels.values[rows][taken].astype(np.int64)
        for b in range(BLOCKS):
            mine = block_of[taken] == b
            # Half of the memory, and digits enough.
            single = weak[mine].astype(np.float32), strong[mine].astype(np.float32)
            found[b].append(HeldOut(single[0], single[1], columns[mine], codes[mine]))
    return [HeldOut(*map(np.concatenate, zip(*parts, strict=True))) for parts in found]


class Sums(NamedTuple):
    """Sums over rows, (models, n, N): of wrong answers and of cross-entropies."""

    errors: Array
    losses: Array
    rows: int


def tested(
    rows: HeldOut,
    sample: Sample,
    laws: Sequence[tuple[Law, Law, Law, Law]],
    origin: Array | float,
    shape: tuple[int, int],
    log: bool,
    held_out: bool,
) -> Sums:
    """Expected errors on some rows of models of a sample.

    `laws` are those of the four models' scores, for each label column; `origin` was taken off the
    columns; `log`: whether scores are log odds. Of rows that are not held out only differences
    between samples mean something.
    """
    (_, to_w), (_, to_s) = sample.principal
    sides = rows.weak @ to_w, rows.strong @ to_s
    signs = np.where(rows.columns + origin > 0.5, 1.0, -1.0).T[:, :, None]
    errors, losses = np.zeros((2, len(MODELS), *shape))
    for k, model in enumerate(MODELS):
        of_weak = model == "weak"
        side = sides[0] if of_weak else sides[1]
        points = laws[0][k].mean.shape[:-1]
        scores, variances = np.transpose([_scores(side, law[k]) for law in laws], (1, 0, 2, 3))
        if not held_out:  # what follows is smooth then
            variances = np.abs(variances)
        if len(laws) == 1:
            wrong = _mistaken(signs[0] * scores[0], variances[0])
        else:
            root = _root_correlation(sample, of_weak)
            wrong = _confused(scores, variances, root, rows.classes)
        errors[k] = wrong.reshape(points)
        if log:
            losses[k] = _cross_entropies(signs * scores, variances).reshape(points)
    return Sums(errors, losses, len(rows.classes))


def classification(
    blocks: Sequence[tuple[Sums, Sums]], grid: Grid, loss: LossName, ridges: Ridges
) -> Classification:
    """Put together what was found of models without each block: on its rows, and on common ones.

    Both vary a prediction: the rows that it is an average over, and those that models are known
    from.
    """
    of_rows, of_models = zip(*blocks, strict=True)
    sizes = np.array([sums.rows for sums in of_rows])

    def predicted(name: str) -> Prediction:
        sums, common = (
            np.array([getattr(one, name) for one in every]) for every in (of_rows, of_models)
        )
        left = (sums.sum(axis=0) - sums) / (sizes.sum() - sizes)[:, None, None, None]
        common = common / of_models[0].rows
        whole = _numbers(sums.sum(axis=0) / sizes.sum(), ())
        return Prediction(whole, _numbers(left + common - common.mean(axis=0), (len(sizes),)))

    losses = None
    if loss == "cross-entropy":
        losses = CrossEntropies(grid.n, grid.N, predicted("losses"))
    errors = ErrorRates(grid.n, grid.N, predicted("errors"))
    return Classification(loss, errors, losses, ridges, int(sizes.sum()))


def _numbers(errors: Array, blocks: tuple[int, ...]) -> Numbers:
    """As of `Prediction`; no label noise is taken off."""
    models = {model: errors[..., k, :, :] for k, model in enumerate(MODELS)}
    return {**models, "noise": np.zeros(blocks), "power": np.ones(blocks)}


def _scores(Z: Array, law: Law) -> tuple[Array, Array]:
    """Mean and variance of the scores of whitened rows, (rows, points).

    The variance is negative where a model sees more labels than the mean is measured from. All
    expectations are smooth in it: they are continued there to first order, 2 E(0) - E(-v).
    """
    points, d = law.mean.shape[:-1], law.mean.shape[-1]
    offset, common = (np.broadcast_to(part, points).ravel() for part in (law.offset, law.common))
    mean = Z @ law.mean.reshape(-1, d).T + offset
    variance = Z**2 @ np.broadcast_to(law.variance, law.mean.shape).reshape(-1, d).T + common
    return mean, variance


def _mistaken(scores: Array, variances: Array) -> Array:
    """Chance that scores times the sign of their label are negative, summed over rows."""
    never = scores < 0
    chance = special.ndtr(-scores / np.sqrt(np.maximum(np.abs(variances), _LEAST)))
    return np.asarray(np.where(variances < 0, 2 * never - chance, chance).sum(axis=0))


def _root_correlation(sample: Sample, of_weak: bool) -> Array:
    """Square root of the correlations of what the features leave of the label columns."""
    _, weak, strong, _ = sample.whitened
    fit = weak if of_weak else strong
    *_, y = sample.parts
    left = sample.moment[y, y] - fit.T @ fit
    size = np.sqrt(np.maximum(left.diagonal(), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(left / size / size[:, None])
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _confused(scores: Array, variances: Array, root: Array, classes: NDArray[np.int64]) -> Array:
    """Chance that the largest score (classes, rows, points) is not a row's class, summed over rows.

    The noise of the scores has these variances, and correlations of which `root` is a square root.
    """
    rng = np.random.default_rng(0)  # the same draws for all models and points
    spreads, continued = np.sqrt(np.abs(variances)), variances < 0
    wrong = np.zeros(scores.shape[1:])
    for _ in range(DRAWS // 2):
        noise = spreads * (root @ rng.standard_normal((len(root), len(classes))))[:, :, None]
        for drawn in (noise, -noise):
            missed = (scores + drawn).argmax(axis=0) != classes[:, None]
            if continued.any():  # of these scores 2 E(0) - E(-v), the others as they are
                calm = (scores + np.where(continued, 0, drawn)).argmax(axis=0) != classes[:, None]
                missed = np.where(continued.any(axis=0), 2.0 * calm - missed, missed)
            wrong += missed / DRAWS
    unknown = np.isnan(scores + variances).any(axis=0)
    return np.asarray(np.where(unknown, np.nan, wrong).sum(axis=0))


def _cross_entropies(scores: Array, variances: Array) -> Array:
    """Cross-entropy of scores times the sign of their label, summed over columns and rows."""
    spreads, continued = np.sqrt(np.abs(variances)), variances < 0
    total = np.where(continued, 2 * np.logaddexp(0, -scores), 0).sum(axis=(0, 1))
    side = np.where(continued, -1, 1)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total += weight * (side * np.logaddexp(0, -(scores + node * spreads))).sum(axis=(0, 1))
    return np.asarray(total)
