"""The diagnosis of one pair: a forecast with its verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array, ridges, sample_size
from w2s_utils.diagnosis import page, tables
from w2s_utils.diagnosis.chosen import Joint, choose_jointly
from w2s_utils.diagnosis.classification import Classification, LossName
from w2s_utils.diagnosis.classifiers import Classifiers
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.labels import Labels, read_labels
from w2s_utils.diagnosis.moments import FeatureSets, Moments, read_moments
from w2s_utils.diagnosis.prediction import Band, Case, Found, predict
from w2s_utils.diagnosis.rows import ENERGY, Rows, matrix_rows
from w2s_utils.diagnosis.sample import RIDGELESS, Grid, Penalty
from w2s_utils.diagnosis.spread import Spread
from w2s_utils.diagnosis.verdict import Verdict, judge
from w2s_utils.diagnosis.warned import warn

if TYPE_CHECKING:
    from distributed import Client

GRID_POINTS = 10  # of n and of N, if they are not given
LOGISTIC_POINTS = 4  # the same of logistic probes, a point of which takes a second


@dataclass(frozen=True, eq=False)
class Diagnosis(Forecast):
    """A `Forecast` with its verdict and warnings; a notebook shows them.

    Attributes
    ----------
    ridgeless : Forecast
        The same sizes in the paper's setting: without ridge, on the leading directions that carry
        99 % of the energy. Its d_w, d_s and `correlation` are the paper's dimensions.
    joint : Joint or None
        What ridges chosen together would change, at the n of the greatest gain; None if ridges are
        given or there is no prediction.
    classification : Classification or None
        Accuracy, and of logistic probes cross-entropy; None if the labels are no classes.
    """

    ridgeless: Forecast
    joint: Joint | None
    classification: Classification | None

    @property
    def accuracy(self) -> dict[str, Band]:
        """For each model its expected accuracy, as `risk`.

        Raises
        ------
        ValueError
            If the labels are no classes.
        """
        if self.classification is None:
            raise ValueError("Only of classes there is an accuracy: say classes=True if these are.")
        return self.classification.accuracy

    @cached_property
    def verdict(self) -> Verdict:
        """In words, with its reasons."""
        return judge(self, self.ridgeless, self.joint, self.classification)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Why the prediction may be off, a sentence each."""
        return warn(self, self.ridgeless, self.classification)

    def _repr_html_(self) -> str:
        said = f"<p><b>{escape(self.verdict.headline)}</b></p>{page.bullets(self.verdict.reasons)}"
        if self.warnings:
            said += f"<p><b>Warnings</b></p>{page.bullets(self.warnings)}"
        shown = [
            (f"At N = {self.N[-1]:,}", tables.risks_by_n(self)),
            ("", tables.ratios_by_n(self)),
        ]
        if self.classification is not None:
            shown += tables.of_classes(self.classification)
        return said + "".join(page.table(table, caption) for caption, table in shown)


def diagnose(
    weak: Rows,
    strong: Rows,
    labels: ArrayLike,
    *,
    noise_variance: float | None = None,
    replicates: ArrayLike | None = None,
    n: Iterable[int] | int | None = None,
    N: Iterable[int] | int | None = None,
    ridge: Literal["tuned"] | float | Sequence[float] = "tuned",
    energy: float = 1.0,
    classes: bool | None = None,
    loss: LossName = "squared",
    as_given: bool = False,
    group: ArrayLike | None = None,
    cluster: str | Client | None = None,
) -> Diagnosis:
    r"""Predict what weak-to-strong finetuning will give for a pair of feature sets.

    Parameters
    ----------
    weak : (M, width_w) matrix
        Weak features, one row an input. Anything with a shape that gives slices of rows, such as
        a memory-mapped array of any real dtype: the rows are read some at a time, at least twice.
    strong : (M, width_s) matrix
        Strong features of the same inputs in the same order.
    labels : (M,) or (M, columns) array_like
        Real labels, or classes.
    noise_variance : float, optional
        Variance sigma^2 of the labels around their expectation, summed over label columns.
    replicates : (M,) or (M, r) array_like, optional
        Further labels of the same inputs, drawn independently in the same way as `labels`; NaN
        where one is missing. They give sigma^2, and are not averaged into the labels.
    n, N : int or iterable of int, optional
        Labels and pseudo-labels to predict; a range that suits the dimensions by default.
    ridge : "tuned", float or four floats
        Penalty on the mean squared loss (`probes.fit_ridge`), in squared units of the columns:
        for each model the one that is best for the labels that it sees
        (`theory.ridge.best_ridges`), or one for all, or those of teacher, student, baseline and
        ceiling.
    energy : float
        Share of each set's second moment that is kept, in (0, 1]. The four models are fits on the
        leading directions that carry it; 1 keeps all that there are at least three rows for.
    classes : bool, optional
        Whether labels are classes. By default strings, truth values and labels of two values are;
        two become -1 and 1, more become one 0-1 column each.
    loss : {"squared", "cross-entropy"}
        What the models of classes minimise whose accuracy is predicted: least squares, or logistic
        probes, of more than two classes one of each class against the rest. Risks are those of
        least squares always. The ridge of logistic probes is
        :math:`\frac\alpha2\|w\|^2` beside the mean cross-entropy, as in `softmax.fit_softmax`,
        and the best is that of the least cross-entropy to the labels that a model sees.
    as_given : bool
        By default models have an intercept, and columns count at mean 0 and variance 1, so that
        neither shifts nor units matter. If True, features and labels are taken as they are.
    group : (M,) array_like, optional
        Names of numbers or words for rows that belong together: copies of an input, sentences of
        one author. Bands leave groups out whole, and what chance explains is estimated so, too.
    cluster : str or distributed.Client, optional
        A Dask scheduler, or its address, whose workers read the rows and multiply them, a part
        each, as in `sweeps.run`; the jackknife, which reads none, stays here. Files that are mapped
        are opened by the workers under the same path; other features are sent.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError
        If shapes, rows or values do not fit, labels are all the same, a feature set is constant,
        n reaches the number of rows, a ridge is negative, or there are fewer than 40 rows, or of
        features as given 3 rows a direction.
    WorkerError
        If a worker computes with other code or versions than this process, or the workers are lost.

    Notes
    -----
    *What label noise changes.* Every model's error is a function of
    :math:`\rho_w+\sigma^2` and :math:`\rho_s+\sigma^2`, plus the part of rho at the end of each
    risk. Noisy labels show the sums only. So the expected squared error against noisy labels,
    which is risk + sigma^2, is known for all four models without knowing sigma^2. Differences of
    risks are known, too, and with them PGR, the sign of OPR - 1, every N at which the student
    overtakes another model, the best n for PGR, and the order of teachers. Not known are
    rho and the excess risks by themselves, and OPR: with errors in place of risks it is nearer to 1
    than with risks.

    *Bands* hold the estimation error of all measured numbers with probability 90 % (a jackknife
    over 20 blocks of rows, block b taking every 20th row; Student's t with 19 degrees of freedom).
    They are for the expected risk of the population that the rows are a sample of. A single
    finetuning run varies around it. They do not hold the error of the formulas, which `warnings`
    are about. The directions and the ridges count as given.

    *Inputs of unequal size*, which features of networks have, are allowed for to leading order in
    the number of features: an input's size is its norm on the whitened retained directions
    (`Radii`), and label noise and what the features miss count as they are measured at each
    size.

    *Large files.* The rows are read some at a time. Memory follows the width of the features,
    hardly the rows or the retained directions: measured, for two sets of 200,000 x 1,024
    half-precision numbers, 0.4 GB with 8 directions of each and 0.6 GB with all; the same for
    1,000,000 rows in five files; 1.4 GB for 400,000 x 2,048 with all directions. Of very many
    directions the products of the 20 blocks are not held at once, and rows are read more than
    twice.

    *Precision.* Sums are in double precision. Only where both sets come in half or single
    precision, and in more rows than are read at once, whitened rows are multiplied in single
    precision, whose error of 6e-8 then changes risks by about a millionth. Not where it would
    matter: where a whitened coordinate would be off by more than 1e-4 of its standard deviation,
    as of nearly dependent columns, or the features explain all but 1 % of the labels.

    *Accuracy* is an average over rows, each held out of what predicts it: an input's score is
    Gaussian over training sets, with a mean that is linear in the input and a variance that is
    quadratic (`theory.fits`, or for logistic probes `theory.logistic` with Gaussian inputs in each
    class). So it holds for inputs of any law. Its bands do not hold what the linear part of the
    scores varies by, which matters to second order only.

    *Constant columns* are left out. Of features as given one is an intercept; more span one
    direction together, and are a warning, as they can carry most of the energy.
    """
    M = matrix_rows(weak, "weak")
    sizes_n = None if n is None else _sizes(n, "n", M, not as_given)
    sizes_N = None if N is None else _sizes(N, "N", None, not as_given)
    penalty = _penalty(ridge)
    if noise_variance is not None:
        if replicates is not None:
            raise ValueError("Give noise_variance or replicates, not both.")
        if not (np.isfinite(noise_variance) and noise_variance >= 0):
            raise ValueError(f"noise_variance must be finite and >= 0, got {noise_variance}.")
    known = read_labels(labels, classes)
    _check_loss(loss, known, as_given)
    further = None if replicates is None else known.encode(replicates)
    moments = read_moments(
        weak, strong, known, further, energy, not as_given, group, Spread(cluster)
    )
    points = LOGISTIC_POINTS if loss == "cross-entropy" else GRID_POINTS
    scale = moments.leading if penalty == "tuned" else moments.every
    d_s, d = scale.strong.d, max(scale.weak.d, scale.strong.d)
    if sizes_n is None:
        sizes_n = _round(np.geomspace(1.25 * d + 3, min(20 * d, M - 1), points), M - 1)
    if sizes_N is None:
        sizes_N = _round(np.geomspace(1.5 * d_s + 3, 100 * d_s, points))
    about: dict[str, Any] = {
        "rows": M,
        "groups": moments.partition.independent if moments.partition.grouped else None,
        "copies": moments.copies,
        "classes": known.classes,
        "whole_numbers": known.whole_numbers if classes is None else 0,
    }

    def case(sets: FeatureSets, how: Penalty) -> Case:
        grid = Grid(sizes_n, sizes_N, how, not as_given)
        return Case(sets, grid, grid.finer(sets.weak.d, sets.strong.d, moments.leading.strong.d))

    cases = [case(moments.every, penalty), case(moments.leading, RIDGELESS)]
    test = None
    if known.classes is not None:
        test = Classifiers(moments, cases[0].grid, loss)
        cases[0] = cases[0]._replace(test=test)
    if penalty == RIDGELESS and energy <= ENERGY:
        cases = cases[:1]  # the two are the same
    found = predict(moments, cases, noise_variance)
    paper = Forecast.of(found[-1], energy=min(energy, ENERGY), **about)
    joint = _joint(moments, found[0]) if penalty == "tuned" else None
    about |= {"ridgeless": paper, "joint": joint, "classification": None}
    diagnosis = Diagnosis.of(found[0], energy=energy, **about)
    if test is None:
        return diagnosis
    return replace(diagnosis, classification=test.result(found[0].tested, diagnosis.ridges))


def _check_loss(loss: str, labels: Labels, as_given: bool) -> None:
    if loss not in ("squared", "cross-entropy"):
        raise ValueError(f'loss must be "squared" or "cross-entropy", got {loss!r}.')
    if loss == "cross-entropy" and labels.classes is None:
        raise ValueError("The cross-entropy is for classes: say classes=True if these are.")
    if loss == "cross-entropy" and as_given:
        raise ValueError("Logistic probes have an intercept: leave as_given out.")


def _joint(moments: Moments, found: Found) -> Joint | None:
    """Ridges chosen together, at the n of the greatest gain with the most pseudo-labels."""
    risks, grid = found.prediction.whole, found.case.grid
    gain = (risks["weak"] - risks["student"])[:, found.case.at[-1]]
    if np.isnan(gain).all():
        return None
    return choose_jointly(moments, grid, found.ridges, int(np.nanargmax(gain)))


def _penalty(ridge: Literal["tuned"] | float | Sequence[float]) -> Penalty:
    if isinstance(ridge, str):
        if ridge != "tuned":
            raise ValueError(f'ridge must be "tuned" or not negative, got {ridge!r}.')
        return "tuned"
    given = np.ravel(ridges(ridge, "ridge")).tolist()
    if len(given) not in (1, 4):
        raise ValueError(f"ridge must be one number or one a model, four, got {len(given)}.")
    weak, student, baseline, ceiling = given * (4 // len(given))
    return weak, student, baseline, ceiling


def _sizes(
    sizes: Iterable[int] | int, name: str, rows: int | None, intercept: bool
) -> NDArray[np.int64]:
    given = [sizes] if isinstance(sizes, (int, np.integer)) else list(sizes)
    if not given:
        raise ValueError(f"{name} must hold at least one size.")
    found = np.unique(sample_size(given, name, 0, "zero").astype(np.int64))
    if intercept and found[0] == 1:
        raise ValueError(f"{name} must be at least 2 for models with an intercept, got 1.")
    if rows is not None and found[-1] >= rows:
        raise ValueError(
            f"{name} must be below the number of rows {rows}, got {found[-1]}: with that many "
            "labels at hand, train."
        )
    return found


def _round(sizes: Array, most: int | None = None) -> NDArray[np.int64]:
    """Whole numbers of two leading digits, each at least the given size."""
    digit = 10 ** np.maximum(np.floor(np.log10(sizes)) - 1, 0)
    rounded = np.ceil(sizes / digit - 1e-9) * digit
    return np.unique(np.minimum(rounded, most or np.inf).astype(np.int64))
