"""The diagnosis of one pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array, ridges, sample_size
from w2s_utils.diagnosis.labels import read_labels
from w2s_utils.diagnosis.moments import Moments, Rows, read_moments
from w2s_utils.diagnosis.prediction import (
    Band,
    Grid,
    Numbers,
    Prediction,
    canonical_correlations,
    chance_correlation,
    predict,
    student_terms,
)
from w2s_utils.diagnosis.verdict import Verdict, judge, warn
from w2s_utils.measure.correlation import CorrelationDimension
from w2s_utils.metrics import MODELS, Estimate, Risks
from w2s_utils.pair import Geometry
from w2s_utils.theory.exact import StudentTerms
from w2s_utils.theory.ridge import shrinkage

GRID_POINTS = 10  # of n and of N, if they are not given


@dataclass(frozen=True, eq=False)
class Diagnosis:
    r"""What is known of a pair before any student is trained.

    Sizes are indexed as ``[i, j]`` for ``n[i]`` labels and ``N[j]`` pseudo-labels. Everything in
    squared units of the labels is summed over label columns.

    Attributes
    ----------
    rows : int
        Inputs M that were measured.
    classes : tuple or None
        Classes of the labels: two became -1 and 1, more became one 0-1 column each.
    n, N : ndarray of int
        Labels and pseudo-labels that are predicted.
    ridge : float
        Penalty of all four models.
    energy : float
        Share of each trace that the retained directions carry.
    spectrum_w, spectrum_s : (width,) ndarray
        Eigenvalues of the uncentred second moments, in falling order.
    d_w, d_s : int
        Intrinsic dimensions: retained directions. All models are fits on these.
    soft_w, soft_s : ndarray
        df2 of a fit to n labels on the weak, and to N pseudo-labels on the strong directions:
        what replaces d_w and d_s with ridge or few samples (`theory.ridge.Shrinkage`).
    correlation : CorrelationDimension
        d_sw with standard error, held-out value and chance value.
    canonical_correlations : ndarray
        Sample canonical correlations of the two sets, in falling order.
    chance_correlation : float
        Largest one that unrelated Gaussian features would show on as many rows.
    residual_w, residual_s : Estimate
        :math:`\rho_w+\sigma^2` and :math:`\rho_s+\sigma^2`: what no function of the features
        explains, label noise included.
    noise_variance : Estimate or None
        Label noise sigma^2, with standard error 0 if it was given; None if it is unknown.
    missed, leaked : Estimate
        :math:`\|P_s(I-P_w)\beta\|^2`, :math:`\|(I-P_s)P_w\beta\|^2`: two of the student's three
        bias terms (the second times k). The third, unseen, is rho_s.
    geometry : Geometry
        All of this for `theory.exact`. If sigma^2 is unknown it is part of both rho, and the noise
        variance is 0: the risks are then excess risks plus sigma^2.
    risk : dict of Band
        For each model ("weak", "student", "baseline", "ceiling") its expected excess risk, or, if
        sigma^2 is unknown, its expected squared error against noisy labels: excess risk + sigma^2.
    terms : StudentTerms
        The student's expected risk term by term; `unseen` contains an unknown sigma^2.
    gain : Band
        Teacher's risk less the student's. Does not depend on sigma^2.
    pgr, opr : Band
        Of the expected excess risks. PGR does not depend on sigma^2. It is NaN where the band of
        the gap that it divides by, teacher's risk less the ceiling's, does not leave out zero. OPR
        does depend on it: if sigma^2 is unknown its value is the ratio of errors against noisy
        labels, and its band covers every sigma^2 from 0 to the smaller residual.
    beats_teacher, beats_baseline : ndarray
        For each n the N from which on the student's expected risk is the lower; infinite if it
        never is. Found by interpolation, to about a per cent.
    best_n_pgr, best_n_opr : int or None
        The n of the grid with the greatest PGR or OPR, at the largest N.
    leverage_w, leverage_s : float
        `measure.leverage_excess`: label noise costs about 1 + leverage/n times the Gaussian value.
        Predictions allow for it (`Radii`).
    inflation_w, inflation_s : float
        `measure.noise_inflation` of the labels' residuals, 1 if these ignore the features.
        Predictions allow for it, too.
    exact : (len(n), len(N)) ndarray of bool
        Where `theory.exact` was used; `theory.ridge` elsewhere.
    verdict : Verdict
        In words, with its reasons.
    warnings : tuple of str
        Why the prediction may be off, a sentence each.
    """

    rows: int
    classes: tuple[Any, ...] | None
    n: NDArray[np.int64]
    N: NDArray[np.int64]
    ridge: float
    energy: float
    spectrum_w: Array
    spectrum_s: Array
    d_w: int
    d_s: int
    soft_w: Array
    soft_s: Array
    correlation: CorrelationDimension
    canonical_correlations: Array
    chance_correlation: float
    residual_w: Estimate
    residual_s: Estimate
    noise_variance: Estimate | None
    missed: Estimate
    leaked: Estimate
    geometry: Geometry
    risk: dict[str, Band]
    terms: StudentTerms
    gain: Band
    pgr: Band
    opr: Band
    beats_teacher: Array
    beats_baseline: Array
    best_n_pgr: int | None
    best_n_opr: int | None
    leverage_w: float
    leverage_s: float
    inflation_w: float
    inflation_s: float
    exact: NDArray[np.bool_]
    verdict: Verdict
    warnings: tuple[str, ...]
    prediction: Prediction  # for the paired comparisons of `rank_teachers` and `verify`

    @property
    def rho_w(self) -> float | None:
        """Weak approximation error; None if the label noise is unknown."""
        return None if self.noise_variance is None else self.geometry.rho_w

    @property
    def rho_s(self) -> float | None:
        """Strong approximation error; None if the label noise is unknown."""
        return None if self.noise_variance is None else self.geometry.rho_s

    def table(self) -> pd.DataFrame:
        """Predictions in one row for each point.

        Returns
        -------
        DataFrame
            Columns n, N, and for each of weak, student, baseline, ceiling, gain, pgr and opr three:
            the name for the value, name_low and name_high for its band.
        """
        i, j = (index.ravel() for index in np.indices((len(self.n), len(self.N))))
        columns: dict[str, Any] = {"n": self.n[i], "N": self.N[j]}
        others = {"gain": self.gain, "pgr": self.pgr, "opr": self.opr}
        for name, band in (self.risk | others).items():
            columns |= {
                name: band.value[i, j],
                f"{name}_low": band.low[i, j],
                f"{name}_high": band.high[i, j],
            }
        return pd.DataFrame(columns)


def diagnose(
    weak: Rows,
    strong: Rows,
    labels: ArrayLike,
    *,
    noise_variance: float | None = None,
    replicates: ArrayLike | None = None,
    n: Iterable[int] | int | None = None,
    N: Iterable[int] | int | None = None,
    ridge: float = 0.0,
    energy: float = 0.99,
    classes: bool | None = None,
) -> Diagnosis:
    r"""Predict what weak-to-strong finetuning will give for a pair of feature sets.

    Parameters
    ----------
    weak : (M, width_w) matrix
        Weak features, one row an input; not centred, no intercept added. Anything with a shape
        that gives slices of rows, such as a memory-mapped array of any real dtype: the rows are
        read some at a time, at least twice.
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
    ridge : float
        Penalty of all four models on their mean squared loss (`probes.fit_ridge`), in squared
        units of the features.
    energy : float
        Share of each set's second moment that the retained directions carry, in (0, 1]. The four
        models are fits on these directions; 1 keeps all.
    classes : bool, optional
        Whether labels are classes. By default strings, truth values and labels of two values are;
        two become -1 and 1, more become one 0-1 column each.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError
        If shapes, rows or values do not fit, labels are all the same, a feature set is constant,
        n reaches the number of rows, or there are fewer than 40 rows or 3 rows a retained
        direction.

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
    are about. The retained directions count as given.

    *Inputs of unequal size*, which features of networks have, are allowed for to leading order in
    the number of features: an input's size is its norm on the whitened retained directions
    (`Radii`), and label noise and what the features miss count as they are measured at each
    size.

    *Large files.* The rows are read some at a time, and summed in double precision. Memory follows
    the width of the features, hardly the rows or the retained directions: measured, for two sets
    of 200,000 x 1,024 half-precision numbers, 0.6 GB with 8 directions of each and 0.9 GB with all.
    Of more than about 2,000 directions in all the products of the 20 blocks are not held at once,
    and rows are read more than twice.

    *Constant columns.* One constant column is an intercept, and legal. More are no error either:
    together they span one direction. They are a warning, as they can carry most of the energy.
    """
    M = _rows(weak)
    sizes_n = None if n is None else _sizes(n, "n", M)
    sizes_N = None if N is None else _sizes(N, "N", None)
    ridge = float(ridges(ridge, "ridge"))
    if noise_variance is not None:
        if replicates is not None:
            raise ValueError("Give noise_variance or replicates, not both.")
        if not (np.isfinite(noise_variance) and noise_variance >= 0):
            raise ValueError(f"noise_variance must be finite and >= 0, got {noise_variance}.")
    known = read_labels(labels, classes)
    further = None if replicates is None else known.encode(replicates)
    moments = read_moments(weak, strong, known, further, energy)
    d_w, d_s = moments.d_w, moments.d_s
    if sizes_n is None:
        d = max(d_w, d_s)
        sizes_n = _round(np.geomspace(1.25 * d + 2, min(20 * d, M - 1), GRID_POINTS), M - 1)
    if sizes_N is None:
        sizes_N = _round(np.geomspace(1.5 * d_s + 2, 100 * d_s, GRID_POINTS))
    grid = Grid(sizes_n, sizes_N, ridge)
    searched = grid.finer(d_w, d_s)
    prediction = predict(moments, searched, noise_variance)
    if further is not None and np.isnan(prediction.whole["noise"]):
        raise ValueError("replicates hold no label: every value is missing.")
    return _summary(moments, grid, prediction, searched.N, known.classes, energy)


def _summary(
    moments: Moments,
    grid: Grid,
    searched: Prediction,
    searched_N: NDArray[np.int64],
    classes: tuple[Any, ...] | None,
    energy: float,
) -> Diagnosis:
    prediction = searched.at(np.searchsorted(searched_N, grid.N))
    noisy = bool(np.isnan(prediction.whole["noise"]))

    def excess(numbers: Numbers) -> Risks:
        return _risks(numbers, np.zeros_like(numbers["noise"]) if noisy else numbers["noise"])

    d_w, d_s = moments.d_w, moments.d_s
    sigma2 = 0.0 if noisy else float(prediction.whole["noise"])
    found = {name: float(prediction.whole[name]) for name in ("rho_w", "rho_s", "missed", "leaked")}
    geometry = Geometry(
        d_w=d_w,
        d_s=d_s,
        d_sw=float(prediction.whole["d_sw"]),
        rho_w=max(found["rho_w"] - sigma2, 0.0),
        rho_s=max(found["rho_s"] - sigma2, 0.0),
        missed=found["missed"],
        leaked=found["leaked"],
        noise_variance=sigma2,
    )
    terms = student_terms(moments, grid)
    terms.unseen[...] -= sigma2
    every = prediction.band(
        lambda numbers: np.stack([getattr(excess(numbers), model) for model in MODELS], axis=-3),
        least=0.0,
    )
    bands = zip(every.value, every.low, every.high, strict=True)
    risk = {model: Band(*band) for model, band in zip(MODELS, bands, strict=True)}
    gap = prediction.band(lambda numbers: numbers["weak"] - numbers["ceiling"])
    pgr = prediction.band(lambda numbers: np.where(gap.low > 0, excess(numbers).pgr, np.nan))
    opr = prediction.band(lambda numbers: excess(numbers).opr, least=0.0)
    if noisy:
        opr = _for_any_noise(prediction, opr)
    overlap, held_out = (
        prediction.estimate(lambda numbers, name=name: numbers[name])  # type: ignore[misc]
        for name in ("estimate", "held_out")
    )
    correlation = CorrelationDimension(
        estimate=overlap.value,
        standard_error=overlap.standard_error,
        plug_in=float(prediction.whole["plug_in"]),
        held_out=held_out.value,
        held_out_error=held_out.standard_error,
        chance=d_w * d_s / moments.rows,
        d_w=d_w,
        d_s=d_s,
        rows=moments.rows,
    )
    beats = {
        model: _first_N(searched_N, searched.whole[model] - searched.whole["student"])
        for model in ("weak", "baseline")
    }
    values: dict[str, Any] = {
        "rows": moments.rows,
        "classes": classes,
        "n": grid.n,
        "N": grid.N,
        "ridge": grid.ridge,
        "energy": energy,
        "spectrum_w": moments.spectrum_w,
        "spectrum_s": moments.spectrum_s,
        "d_w": d_w,
        "d_s": d_s,
        "soft_w": shrinkage(moments.spectrum_w[:d_w], grid.n, grid.ridge).df2,
        "soft_s": shrinkage(moments.spectrum_s[:d_s], grid.N, grid.ridge).df2,
        "correlation": correlation,
        "canonical_correlations": canonical_correlations(moments),
        "chance_correlation": chance_correlation(d_w, d_s, moments.rows),
        "residual_w": prediction.estimate(lambda numbers: numbers["rho_w"]),
        "residual_s": prediction.estimate(lambda numbers: numbers["rho_s"]),
        "noise_variance": None if noisy else prediction.estimate(lambda numbers: numbers["noise"]),
        "missed": prediction.estimate(lambda numbers: numbers["missed"]),
        "leaked": prediction.estimate(lambda numbers: numbers["leaked"]),
        "geometry": geometry,
        "risk": risk,
        "terms": terms,
        "gain": prediction.band(lambda numbers: numbers["weak"] - numbers["student"]),
        "pgr": pgr,
        "opr": opr,
        "beats_teacher": beats["weak"],
        "beats_baseline": beats["baseline"],
        "best_n_pgr": _best(grid.n, pgr.value[:, -1]),
        "best_n_opr": _best(grid.n, opr.value[:, -1]),
        "leverage_w": moments.leverage_w,
        "leverage_s": moments.leverage_s,
        "inflation_w": moments.inflation_w,
        "inflation_s": moments.inflation_s,
        "exact": grid.exact(d_w, d_s),
        "prediction": prediction,
    }
    draft = Diagnosis(**values, verdict=Verdict("undecided", "", ()), warnings=())
    return Diagnosis(**values, verdict=judge(draft), warnings=warn(draft, moments))


def _risks(numbers: Numbers, noise: Array) -> Risks:
    """Errors less the label noise."""
    return Risks(*(numbers[model] - noise[..., None, None] for model in MODELS))


def _for_any_noise(prediction: Prediction, opr: Band) -> Band:
    """Widen the band of OPR by its value at the largest label noise that the residuals allow."""
    limit = prediction.band(
        lambda numbers: _risks(numbers, np.minimum(numbers["rho_w"], numbers["rho_s"])).opr,
        least=0.0,
    )
    return Band(opr.value, np.fmin(opr.low, limit.low), np.fmax(opr.high, limit.high))


def _first_N(N: NDArray[np.int64], margin: Array) -> Array:
    """For each row of margins (n, N) the N from which on they are above zero, rounded up.

    Margins are near linear in 1/N, and are interpolated so.
    """
    first = np.full(len(margin), np.inf)
    for i, row in enumerate(margin):
        loses = np.flatnonzero(~(row > 0))
        if not len(loses):
            first[i] = N[0]
        elif loses[-1] + 1 < len(N):
            j = loses[-1]
            share = np.nan_to_num(row[j] / (row[j] - row[j + 1]), nan=1.0)
            first[i] = np.ceil(1 / ((1 - share) / N[j] + share / N[j + 1]))
    return first


def _best(n: NDArray[np.int64], values: Array) -> int | None:
    return None if np.isnan(values).all() else int(n[np.nanargmax(values)])


def _rows(weak: Rows) -> int:
    if len(weak.shape) != 2 or 0 in weak.shape:
        raise ValueError(f"weak must be a matrix with one row an input, got shape {weak.shape}.")
    return weak.shape[0]


def _sizes(sizes: Iterable[int] | int, name: str, rows: int | None) -> NDArray[np.int64]:
    given = [sizes] if isinstance(sizes, (int, np.integer)) else list(sizes)
    if not given:
        raise ValueError(f"{name} must hold at least one size.")
    found = np.unique(sample_size(given, name, 0, "zero").astype(np.int64))
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
