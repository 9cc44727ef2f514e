"""The few numbers that exact risks depend on, of a pair or estimated from a sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import numpy_array
from w2s_utils.pair import GaussianPair


@dataclass(frozen=True)
class Geometry:
    r"""The numbers of a pair that its expected risks depend on.

    The functions of `theory.exact` take it in place of a `GaussianPair`.

    Attributes
    ----------
    d_w, d_s : int
        Dimensions of the two feature subspaces.
    d_sw : float
        Correlation dimension.
    rho_w, rho_s : float
        Approximation errors, in squared units of the target.
    missed : float
        :math:`\|P_s(I-P_w)\beta\|^2`.
    leaked : float
        :math:`\|(I-P_s)P_w\beta\|^2`.
    noise_variance : float
        Label noise sigma^2.
    """

    d_w: int
    d_s: int
    d_sw: float
    rho_w: float
    rho_s: float
    missed: float
    leaked: float
    noise_variance: float

    @classmethod
    def from_features(
        cls, weak: ArrayLike, strong: ArrayLike, target: ArrayLike, noise_variance: float
    ) -> Geometry:
        r"""Estimate the geometry of the population from M rows, corrected for optimism.

        Parameters
        ----------
        weak : (M, d_w) array_like
            Weak features of full column rank, one row an input.
        strong : (M, d_s) array_like
            Strong features of full column rank, same rows.
        target : (M,) array_like
            Target values.
        noise_variance : float
            Variance of the labels around the target.

        Raises
        ------
        ValueError
            As `GaussianPair.from_features`.
        """
        pair = GaussianPair.from_features(weak, strong, target, noise_variance)
        plug_in = cls(
            pair.d_w,
            pair.d_s,
            pair.d_sw,
            pair.rho_w,
            pair.rho_s,
            pair.missed,
            pair.leaked,
            noise_variance,
        )
        return plug_in.corrected(len(numpy_array(target)))

    def corrected(self, rows: int) -> Geometry:
        r"""Correct the geometry of a sample of M rows for optimism.

        Parameters
        ----------
        rows : int
            Rows M that this geometry is exact for, above d_w + d_s.

        Returns
        -------
        Geometry
            Estimate for the population that the rows came from.

        Notes
        -----
        Least squares on the M rows fits chance, too: every plug-in number :math:`\hat\cdot` is
        biased by terms of order d/M. For Gaussian inputs a second-order expansion of the
        projections in the sample covariance gives, with :math:`x=(d_w-d_{sw})/M` and terms of order
        1/M left out,

        .. math::
            \mathbb E\hat\rho &= \rho\,(1-d/M) \quad\text{(exactly)}\\
            \mathbb E\hat d_{sw} &= d_{sw} + (d_w-d_{sw})(d_s-d_{sw})/M\\
            \mathbb E\,\widehat{\text{missed}} &= \text{missed}\,(1-x)^2(1-d_s/M)
                + \rho_w(d_s-\hat d_{sw})/M\\
            \mathbb E\,\widehat{\text{leaked}} &= \text{leaked}\,(1-d_s/M-x)
                + \rho_w(d_w-\hat d_{sw})/M - x\,(\rho_w-\rho_s-\text{missed})

        The four equations are solved for the population's numbers; an estimate outside its
        range, below zero for example, is put on the edge.
        """
        d_w, d_s = self.d_w, self.d_s
        rho_w = self.rho_w / (1 - d_w / rows)
        rho_s = self.rho_s / (1 - d_s / rows)
        free = rows - d_w - d_s
        root = np.sqrt(max(free**2 + 4 * (rows * self.d_sw - d_w * d_s), 0))
        d_sw = float(np.clip((root - free) / 2, 0, min(d_w, d_s)))
        x = (d_w - d_sw) / rows
        missed = self.missed - rho_w * (d_s - self.d_sw) / rows
        missed = float(np.clip(missed / ((1 - x) ** 2 * (1 - d_s / rows)), 0, rho_w))
        leaked = self.leaked - rho_w * (d_w - self.d_sw) / rows
        leaked = max((leaked + x * (rho_w - rho_s - missed)) / (1 - d_s / rows - x), 0.0)
        return replace(self, d_sw=d_sw, rho_w=rho_w, rho_s=rho_s, missed=missed, leaked=leaked)
