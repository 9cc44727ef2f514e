"""Expected risks of the four models at sample sizes, and what follows from them, with bands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_utils._validate import Array
from w2s_utils.diagnosis.prediction import Band, Numbers, Prediction
from w2s_utils.metrics import MODELS, Estimate, Risks


@dataclass(frozen=True, eq=False)
class Predicted:
    """What models will do on inputs of one law.

    Sizes are indexed as ``[i, j]`` for ``n[i]`` labels and ``N[j]`` pseudo-labels. Everything in
    squared units of the labels is summed over label columns.

    Attributes
    ----------
    n, N : ndarray of int
        Labels and pseudo-labels that are predicted.
    prediction : Prediction
        The numbers that all others follow from, for paired comparisons.
    """

    many: ClassVar[str] = "risks"
    n: NDArray[np.int64]
    N: NDArray[np.int64]
    prediction: Prediction

    @cached_property
    def noise_variance(self) -> Estimate | None:
        """Label noise sigma^2, with standard error 0 if it was given; None if it is unknown."""
        return None if np.isnan(self.prediction.whole["noise"]) else self._measured("noise")

    @property
    def measure(self) -> str:
        """What `risk` is, in two words."""
        return "squared error" if self.noise_variance is None else "excess risk"

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
