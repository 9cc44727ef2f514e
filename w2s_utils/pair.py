"""The Gaussian pair (two feature subspaces, a target, label noise) and its estimated geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._gram import safe_factor
from w2s_utils._validate import Array, numpy_array, real_array, same_rows, variances
from w2s_utils.directions import EQUAL, Features, PairDirections, Radii
from w2s_utils.principal import PrincipalCoordinates, principal_coordinates
from w2s_utils.subspaces import orthonormal, overlap

MAX_CONDITION = 1e10


@dataclass(frozen=True, eq=False)
class GaussianPair:
    r"""A weak and a strong model that see subspaces of the same Gaussian inputs.

    Inputs are :math:`z \sim N(0, I_D)` (whitened coordinates), the target is
    :math:`f_*(z) = \langle\beta, z\rangle` and labels are :math:`y = f_*(z) + \varepsilon` with
    :math:`\varepsilon \sim N(0, \sigma^2)`.

    Attributes
    ----------
    weak_basis : (D, d_w) ndarray
        Orthonormal basis of the weak feature subspace V_w.
    strong_basis : (D, d_s) ndarray
        Orthonormal basis of the strong feature subspace V_s.
    target : (D,) ndarray
        Coefficients beta of the target.
    noise_variance : float
        Label noise sigma^2, in squared units of the target.

    Raises
    ------
    ValueError
        If a basis is not orthonormal, shapes differ, or the noise variance is negative.

    Examples
    --------
    >>> pair = GaussianPair.paper(d_sw=10)
    >>> pair.d_w, pair.d_s, pair.d_sw
    (200, 100, 10.0)
    """

    weak_basis: Array
    strong_basis: Array
    target: Array
    noise_variance: float

    def __post_init__(self) -> None:
        weak = orthonormal(self.weak_basis, "weak_basis")
        strong = orthonormal(self.strong_basis, "strong_basis")
        target = real_array(self.target, "target", 1)
        same_rows(weak_basis=weak, strong_basis=strong, target=target)
        if not (np.isfinite(self.noise_variance) and self.noise_variance >= 0):
            raise ValueError(f"noise_variance must be finite and >= 0, got {self.noise_variance}.")
        for name, value in zip(
            ("weak_basis", "strong_basis", "target"), (weak, strong, target), strict=True
        ):
            value = value.copy()
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def aligned(
        cls, *, d_w: int, d_s: int, d_sw: int, target: ArrayLike, noise_variance: float
    ) -> GaussianPair:
        """Pair of coordinate subspaces that share `d_sw` coordinates.

        The strong model sees coordinates 1..d_s, the weak model d_s - d_sw + 1..d_s - d_sw + d_w,
        so their canonical angles are 0 (d_sw times) and 90 degrees.

        Parameters
        ----------
        d_w, d_s, d_sw : int
            Dimensions of the two subspaces and of their intersection.
        target : (D,) array_like
            Coefficients of the target; D at least d_w + d_s - d_sw.
        noise_variance : float

        Raises
        ------
        ValueError
            If the dimensions do not fit one another or the target is too short.
        """
        beta = real_array(target, "target", 1)
        if not 0 <= d_sw <= min(d_w, d_s):
            raise ValueError(f"d_sw must be between 0 and min(d_w, d_s), got {d_sw}.")
        first = d_s - d_sw
        if len(beta) < first + d_w:
            raise ValueError(
                f"target must have at least d_w + d_s - d_sw = {first + d_w} entries, "
                f"got {len(beta)}."
            )
        identity = np.eye(len(beta))
        return cls(identity[:, first : first + d_w], identity[:, :d_s], beta, noise_variance)

    @classmethod
    def paper(
        cls, d_sw: int = 10, noise_variance: float = 1e-2, *, d_w: int = 200, d_s: int = 100
    ) -> GaussianPair:
        r"""Pair of the paper's synthetic experiments, :math:`\beta_i^2 = 1/(i\,d_w d_s)`.

        The paper draws the signs of beta at random; no risk of an aligned pair depends on them,
        so they are all positive here.

        Parameters
        ----------
        d_sw : int
            Shared dimensions; the paper uses 10, 50 and 90.
        noise_variance : float
            The paper uses 1e-2, 1e-1 and 4e-4.
        d_w, d_s : int
            The paper uses 200 and 100.
        """
        beta = np.sqrt(1 / (d_w * d_s * np.arange(1.0, d_w + d_s + 1)))
        return cls.aligned(d_w=d_w, d_s=d_s, d_sw=d_sw, target=beta, noise_variance=noise_variance)

    @classmethod
    def from_features(
        cls, weak: ArrayLike, strong: ArrayLike, target: ArrayLike, noise_variance: float
    ) -> GaussianPair:
        r"""Gaussian stand-in of two real feature sets on the same M inputs.

        Functions on the M inputs with inner product :math:`\langle f, g\rangle = \frac1M \sum_i
        f(x_i) g(x_i)` are vectors; the spans of the two feature sets and the target are put into
        coordinates of that space. The stand-in has the features' canonical correlations and the
        target's exact approximation errors; only the law of the inputs is replaced by a Gaussian.

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
            If shapes do not fit, there are no more rows than columns, or a feature set is rank
            deficient.

        Notes
        -----
        The coordinates are those of Gram and Schmidt: Q of [weak, strong, target] = QR with a
        positive diagonal of R, as `simulation.inputs.resampled` draws them.

        The stand-in is exact for the M rows as the whole population. As an estimate for the
        population that they came from, its overlap is too large by about d_w d_s / M and its
        approximation errors are too small by shares d_w / M and d_s / M:
        `Geometry.from_features` removes these biases.
        """
        W, S = real_array(weak, "weak", 2), real_array(strong, "strong", 2)
        f = real_array(target, "target", 1)
        rows = same_rows(weak=W, strong=S, target=f)
        if rows <= W.shape[1] + S.shape[1]:
            raise ValueError(
                f"More rows than columns are needed, got {rows} rows for "
                f"{W.shape[1]} + {S.shape[1]} columns."
            )
        Z = np.column_stack([W, S, f]) / np.sqrt(rows)
        factor = safe_factor(Z.T @ Z)
        R = np.asarray(np.linalg.qr(Z, mode="r")) if factor is None else factor
        R *= np.where(R.diagonal() < 0, -1, 1)[:, None]
        d_w = W.shape[1]
        weak_part, strong_part = R[:d_w, :d_w], R[:, d_w:-1]
        _check_rank(weak_part, "weak")
        _check_rank(strong_part, "strong")
        # R is triangular: the weak features span its first coordinates.
        return cls(np.eye(len(R), d_w), np.linalg.qr(strong_part)[0], R[:, -1], noise_variance)

    @property
    def d_w(self) -> int:
        """Dimension of the weak feature subspace."""
        return len(self.weak_basis.T)

    @property
    def d_s(self) -> int:
        """Dimension of the strong feature subspace."""
        return len(self.strong_basis.T)

    @cached_property
    def d_sw(self) -> float:
        r"""Correlation dimension :math:`\|V_s^\top V_w\|_F^2`."""
        return overlap(self.strong_basis, self.weak_basis)

    @cached_property
    def rho_w(self) -> float:
        r"""Weak approximation error :math:`\|(I - P_w)\beta\|^2`."""
        return float(np.sum(outside(self.weak_basis, self.target) ** 2))

    @cached_property
    def rho_s(self) -> float:
        r"""Strong approximation error :math:`\|(I - P_s)\beta\|^2`."""
        return float(np.sum(outside(self.strong_basis, self.target) ** 2))

    @cached_property
    def missed(self) -> float:
        r"""Target that only the strong features see, :math:`\|P_s(I-P_w)\beta\|^2`."""
        return float(np.sum((self.strong_basis.T @ outside(self.weak_basis, self.target)) ** 2))

    @cached_property
    def leaked(self) -> float:
        r"""Target that the weak features see outside V_s, :math:`\|(I-P_s)P_w\beta\|^2`."""
        return float(np.sum(outside(self.strong_basis, inside(self.weak_basis, self.target)) ** 2))

    @cached_property
    def principal(self) -> PrincipalCoordinates:
        """The numbers that the law of all risks depends on."""
        return principal_coordinates(
            self.weak_basis, self.strong_basis, self.target, self.noise_variance
        )

    def along(
        self,
        spectrum_w: ArrayLike,
        spectrum_s: ArrayLike,
        radii_w: Radii = EQUAL,
        radii_s: Radii = EQUAL,
    ) -> PairDirections:
        """Give the features a spectrum: the columns of the bases are their principal directions.

        Parameters
        ----------
        spectrum_w : (d_w,) array_like
            Variances of the weak features along the columns of `weak_basis`, all above zero.
        spectrum_s : (d_s,) array_like
            Variances of the strong features along the columns of `strong_basis`, likewise.
        radii_w, radii_s : Radii
            Sizes of the inputs as the weak and as the strong features see them.

        Returns
        -------
        PairDirections
            For `theory.ridge` and `simulation.simulate_ridge`, which draws Gaussian inputs.

        Raises
        ------
        ValueError
            If a spectrum does not fit its basis or a variance is not above zero.
        """
        W, S, beta = self.weak_basis, self.strong_basis, self.target
        spectrum_w = variances(spectrum_w, "spectrum_w", self.d_w)
        spectrum_s = variances(spectrum_s, "spectrum_s", self.d_s)
        return PairDirections(
            cross=S.T @ W,
            weak=Features(W.T @ beta, self.rho_w, spectrum_w, radii_w),
            strong=Features(S.T @ beta, self.rho_s, spectrum_s, radii_s),
            noise_variance=self.noise_variance,
            columns=np.column_stack([W, S, beta]),
        )


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


def inside(basis: Array, vector: Array) -> Array:
    """Orthogonal projection of a (D,) vector onto the span of a (D, d) orthonormal basis."""
    return basis @ (basis.T @ vector)


def outside(basis: Array, vector: Array) -> Array:
    """Part of a (D,) vector orthogonal to the span of a (D, d) orthonormal basis."""
    return vector - inside(basis, vector)


def _check_rank(columns: Array, name: str) -> None:
    condition = np.linalg.cond(columns)
    if not condition < MAX_CONDITION:
        raise ValueError(
            f"{name} features must have full column rank, but their condition number is "
            f"{condition:.1e}; keep their top eigenspace with measure.top_eigenspace."
        )
