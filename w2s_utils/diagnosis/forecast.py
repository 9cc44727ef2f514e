"""All numbers that are predicted of a pair, from its second moments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from w2s_utils._validate import Array
from w2s_utils.diagnosis.chosen import mean_ridges
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.prediction import Band, Found, chance_correlation
from w2s_utils.diagnosis.rows import FeatureSet
from w2s_utils.diagnosis.sample import MEASURED, Penalty, Signal
from w2s_utils.geometry import Geometry
from w2s_utils.measure.correlation import CorrelationDimension
from w2s_utils.metrics import Estimate
from w2s_utils.theory.exact import StudentTerms
from w2s_utils.theory.ridge import Ridges, shrinkage


@dataclass(frozen=True, eq=False)
class Forecast(Predicted):
    r"""What is known of a pair before any student is trained.

    Attributes
    ----------
    rows : int
        Inputs M that were measured.
    groups : int or None
        Groups of them that belong together; None if each row is independent of the others.
    copies : (distinct rows,) ndarray of int
        How often each distinct input is there.
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
    ridge : "tuned" or tuple of four floats
        How the penalties of the four models were set.
    ridges : Ridges
        What they are, (len(n), len(N)) each: the geometric mean over label columns.
    exact : (len(n), len(N)) ndarray of bool
        Where `theory.exact` was used; `theory.ridge` elsewhere.
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
    groups: int | None
    copies: NDArray[np.int64]
    classes: tuple[Any, ...] | None
    whole_numbers: int
    energy: float
    intercept: bool
    weak: FeatureSet
    strong: FeatureSet
    ridge: Penalty
    ridges: Ridges
    exact: NDArray[np.bool_]
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
        *,
        rows: int,
        groups: int | None,
        copies: NDArray[np.int64],
        classes: tuple[Any, ...] | None,
        whole_numbers: int,
        energy: float,
        **more: Any,
    ) -> Self:
        """Put together what was found."""
        case, prediction, terms = found.case, found.prediction, found.terms
        grid, searched = case.grid, case.searched
        noise = np.nan_to_num(prediction.whole["noise"])  # 0 if it is unknown
        return cls(
            rows=rows,
            groups=groups,
            copies=copies,
            classes=classes,
            whole_numbers=whole_numbers,
            energy=energy,
            intercept=grid.intercept,
            weak=case.sets.weak,
            strong=case.sets.strong,
            n=grid.n,
            N=grid.N,
            ridge=grid.ridge,
            ridges=mean_ridges(found.ridges),
            exact=found.exact,
            prediction=prediction.at(case.at),
            canonical_correlations=found.canonical_correlations,
            terms=replace(terms, unseen=terms.unseen - noise),
            teacher_variance=found.teacher_variance,
            signal=found.signal,
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
