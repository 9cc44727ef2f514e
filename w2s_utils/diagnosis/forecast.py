"""All numbers that are predicted of a pair, from its second moments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_utils._validate import Array
from w2s_utils.diagnosis.prediction import Band, Found, Numbers, Prediction, chance_correlation
from w2s_utils.diagnosis.rows import FeatureSet
from w2s_utils.diagnosis.sample import MEASURED, Grid, Penalty, Signal
from w2s_utils.geometry import Geometry
from w2s_utils.measure.correlation import CorrelationDimension
from w2s_utils.metrics import MODELS, Estimate, Risks
from w2s_utils.theory.exact import StudentTerms
from w2s_utils.theory.ridge import Ridges, shrinkage


@dataclass(frozen=True, eq=False)
class Forecast:
    r"""What is known of a pair before any student is trained.

    Sizes are indexed as ``[i, j]`` for ``n[i]`` labels and ``N[j]`` pseudo-labels. Everything in
    squared units of the labels is summed over label columns.

    Attributes
    ----------
    rows : int
        Inputs M that were measured.
    classes : tuple or None
        Classes of the labels: two became -1 and 1, more became one 0-1 column each.
    whole_numbers : int
        How many whole numbers the labels are, if they are few and nobody said that they are no
        classes; else 0.
    energy : float
        Share of each trace that the directions carry which the models are fits on.
    intercept : bool
        Whether models have one, and columns count at mean 0 and variance 1.
    weak, strong : FeatureSet
    n, N : ndarray of int
        Labels and pseudo-labels that are predicted.
    ridge : "tuned" or tuple of four floats
        How the penalties of the four models were set.
    ridges : Ridges
        What they are, (len(n), len(N)) each: the geometric mean over label columns.
    exact : (len(n), len(N)) ndarray of bool
        Where `theory.exact` was used; `theory.ridge` elsewhere.
    prediction : Prediction
        The numbers that all others follow from, for paired comparisons.
    canonical_correlations : ndarray
        Sample canonical correlations of the two sets, in falling order.
    terms : StudentTerms
        The student's expected risk term by term; `unseen` contains an unknown sigma^2.
    teacher_variance : (len(n), len(N)) ndarray
        Part of the teacher's expected risk that is variance of its answers.
    signal : Signal
        How surely the features tell of the labels and of each other.
    beats_teacher, beats_baseline : ndarray
        For each n the N from which on the student's expected risk is the lower; infinite if it
        never is. Found by interpolation, to about a per cent.
    """

    rows: int
    classes: tuple[Any, ...] | None
    whole_numbers: int
    energy: float
    intercept: bool
    weak: FeatureSet
    strong: FeatureSet
    n: NDArray[np.int64]
    N: NDArray[np.int64]
    ridge: Penalty
    ridges: Ridges
    exact: NDArray[np.bool_]
    prediction: Prediction
    canonical_correlations: Array
    terms: StudentTerms
    teacher_variance: Array
    signal: Signal
    beats_teacher: Array
    beats_baseline: Array

    @classmethod
    def of(
        cls,
        found: Found,
        searched: Grid,
        grid: Grid,
        *,
        rows: int,
        classes: tuple[Any, ...] | None,
        whole_numbers: int,
        energy: float,
        **more: Any,
    ) -> Self:
        """Put together what was found on a grid of more N."""
        prediction, sample, every = found
        sets = sample.sets
        at = np.searchsorted(searched.N, grid.N)

        def here(ridge: Array) -> Array:
            return np.broadcast_to(ridge, (len(searched.n), len(searched.N)))[:, at]

        ridges = [Ridges(*map(here, of_column)) for of_column in every]
        terms = sample.terms(grid, ridges)
        noise = np.nan_to_num(prediction.whole["noise"])  # 0 if it is unknown
        with np.errstate(divide="ignore"):
            middle = [
                np.exp(np.mean(np.log(of_all), axis=0)) for of_all in zip(*ridges, strict=True)
            ]
        return cls(
            rows=rows,
            classes=classes,
            whole_numbers=whole_numbers,
            energy=energy,
            intercept=grid.intercept,
            weak=sets.weak,
            strong=sets.strong,
            n=grid.n,
            N=grid.N,
            ridge=grid.ridge,
            ridges=Ridges(*middle),
            exact=sample.exact(grid),
            prediction=prediction.at(at),
            canonical_correlations=sample.canonical_correlations,
            terms=replace(terms, unseen=terms.unseen - noise),
            teacher_variance=sample.teacher_variance(grid, ridges),
            signal=sample.signal,
            beats_teacher=prediction.first_N(searched.N, "weak"),
            beats_baseline=prediction.first_N(searched.N, "baseline"),
            **more,
        )

    @property
    def d_w(self) -> int:
        """Intrinsic dimension of the weak features."""
        return self.weak.d

    @property
    def d_s(self) -> int:
        """Intrinsic dimension of the strong features."""
        return self.strong.d

    @property
    def spectrum_w(self) -> Array:
        """Spectrum of the weak features."""
        return self.weak.spectrum

    @property
    def spectrum_s(self) -> Array:
        """Spectrum of the strong features."""
        return self.strong.spectrum

    @cached_property
    def soft_s(self) -> Array:
        """What replaces d_s with ridge or few samples: df2 of a fit to N pseudo-labels, (n, N)."""
        return shrinkage(self.strong.spectrum[: self.d_s], self.N, self.ridges.student).df2

    @cached_property
    def explained(self) -> dict[str, Band]:
        """Share of the labels' variance that the weak and the strong features explain, R^2."""
        return {
            name: self.prediction.band(
                lambda numbers, rho=rho: 1 - numbers[rho] / numbers["power"]  # type: ignore[misc]
            )
            for name, rho in (("weak", "rho_w"), ("strong", "rho_s"))
        }

    @cached_property
    def correlation(self) -> CorrelationDimension:
        """d_sw with standard error, held-out value and chance value."""
        overlap, held_out = self._measured("estimate"), self._measured("held_out")
        return CorrelationDimension(
            estimate=overlap.value,
            standard_error=overlap.standard_error,
            plug_in=float(self.prediction.whole["plug_in"]),
            held_out=held_out.value,
            held_out_error=held_out.standard_error,
            chance=self.d_w * self.d_s / self.rows,
            d_w=self.d_w,
            d_s=self.d_s,
            rows=self.rows,
        )

    @property
    def chance_correlation(self) -> float:
        """Largest correlation that unrelated Gaussian features would show on as many rows."""
        return chance_correlation(self.d_w, self.d_s, self.rows)

    @cached_property
    def residual_w(self) -> Estimate:
        r""":math:`\rho_w+\sigma^2`: what no function of the weak features explains."""
        return self._measured("rho_w")

    @cached_property
    def residual_s(self) -> Estimate:
        r""":math:`\rho_s+\sigma^2`: what no function of the strong features explains."""
        return self._measured("rho_s")

    @cached_property
    def noise_variance(self) -> Estimate | None:
        """Label noise sigma^2, with standard error 0 if it was given; None if it is unknown."""
        return None if np.isnan(self.prediction.whole["noise"]) else self._measured("noise")

    @cached_property
    def missed(self) -> Estimate:
        r""":math:`\|P_s(I-P_w)\beta\|^2`, one of the student's bias terms; another is rho_s."""
        return self._measured("missed")

    @cached_property
    def leaked(self) -> Estimate:
        r""":math:`\|(I-P_s)P_w\beta\|^2`, which counts k times among the student's bias terms."""
        return self._measured("leaked")

    @cached_property
    def geometry(self) -> Geometry:
        """All of this for `theory.exact`.

        An unknown sigma^2 is part of both rho: the risks are then excess risks plus sigma^2.
        """
        noise = 0.0 if self.noise_variance is None else self.noise_variance.value
        found = {name: float(self.prediction.whole[name]) for name in MEASURED}
        found |= {name: max(found[name] - noise, 0.0) for name in ("rho_w", "rho_s")}
        return Geometry(d_w=self.d_w, d_s=self.d_s, noise_variance=noise, **found)

    @property
    def rho_w(self) -> float | None:
        """Weak approximation error; None if the label noise is unknown."""
        return None if self.noise_variance is None else self.geometry.rho_w

    @property
    def rho_s(self) -> float | None:
        """Strong approximation error; None if the label noise is unknown."""
        return None if self.noise_variance is None else self.geometry.rho_s

    @cached_property
    def risk(self) -> dict[str, Band]:
        """For each model ("weak", "student", "baseline", "ceiling") its expected excess risk.

        If sigma^2 is unknown, its expected squared error against noisy labels: risk + sigma^2.
        """
        every = self.prediction.band(
            lambda numbers: np.stack([*self._excess(numbers)], axis=-3), least=0.0
        )
        return {model: every[k] for k, model in enumerate(MODELS)}

    @cached_property
    def gain(self) -> Band:
        """Teacher's risk less the student's. Does not depend on sigma^2."""
        return self.prediction.band(lambda numbers: numbers["weak"] - numbers["student"])

    @cached_property
    def pgr(self) -> Band:
        """PGR of the expected excess risks. Does not depend on sigma^2.

        NaN where the band of the gap that it divides by, teacher's risk less the ceiling's, does
        not leave out zero.
        """
        gap = self.prediction.band(lambda numbers: numbers["weak"] - numbers["ceiling"])
        return self.prediction.band(
            lambda numbers: np.where(gap.low > 0, self._excess(numbers).pgr, np.nan)
        )

    @cached_property
    def opr(self) -> Band:
        """OPR of the expected excess risks.

        If sigma^2 is unknown its value is the ratio of errors against noisy labels, and its band
        covers every sigma^2 from 0 to the smaller residual.
        """
        found = self.prediction.band(lambda numbers: self._excess(numbers).opr, least=0.0)
        if self.noise_variance is not None:
            return found
        limit = self.prediction.band(
            lambda numbers: _risks(numbers, np.minimum(numbers["rho_w"], numbers["rho_s"])).opr,
            least=0.0,
        )
        return Band(found.value, np.fmin(found.low, limit.low), np.fmax(found.high, limit.high))

    @property
    def best_n_pgr(self) -> int | None:
        """The n of the grid with the greatest PGR, at the largest N; None if no PGR is known."""
        return _best(self.n, self.pgr.value[:, -1])

    @property
    def best_n_opr(self) -> int | None:
        """The n of the grid with the greatest OPR, at the largest N."""
        return _best(self.n, self.opr.value[:, -1])

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
        bands = self.risk | {"gain": self.gain, "pgr": self.pgr, "opr": self.opr}
        for name, every in bands.items():
            band = every[i, j]
            columns |= {name: band.value, f"{name}_low": band.low, f"{name}_high": band.high}
        return pd.DataFrame(columns)

    def _measured(self, name: str) -> Estimate:
        return self.prediction.estimate(itemgetter(name))

    def _excess(self, numbers: Numbers) -> Risks:
        """Errors less the label noise, if that is known."""
        noise = numbers["noise"]
        return _risks(numbers, np.zeros_like(noise) if self.noise_variance is None else noise)


def _risks(numbers: Numbers, noise: Array) -> Risks:
    return Risks(*(numbers[model] - noise[..., None, None] for model in MODELS))


def _best(n: NDArray[np.int64], values: Array) -> int | None:
    return None if np.isnan(values).all() else int(n[np.nanargmax(values)])
