"""Pairs of models on Gaussian inputs: of one law, or of three."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._gram import check_rank, moment_root, safe_factor, second_moment
from w2s_utils._validate import Array, real_array, same_rows, variances
from w2s_utils.directions import EQUAL, Features, PairDirections, Radii
from w2s_utils.principal import PrincipalCoordinates, principal_coordinates
from w2s_utils.subspaces import orthonormal, overlap


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
        check_rank(weak_part, "weak")
        check_rank(strong_part, "strong")
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


@dataclass(frozen=True, eq=False, kw_only=True)
class ShiftedPair:
    r"""A weak and a strong model that are trained and tested on inputs of different laws.

    Inputs are :math:`z\sim N(0, M)` with M one of three: that of the n labelled inputs, of the N
    unlabelled ones that the teacher labels, and of those that count. Weak features are
    :math:`A_w^\top z`, strong ones :math:`A_s^\top z`, labels
    :math:`\langle\beta, z\rangle + \varepsilon` with :math:`\varepsilon\sim N(0,\sigma^2)`.

    Attributes
    ----------
    weak_map : (D, d_w) ndarray
        A_w, of full column rank.
    strong_map : (D, d_s) ndarray
        A_s, of full column rank.
    target : (D,) ndarray
        Coefficients beta.
    noise_variance : float
        Label noise sigma^2, in squared units of the target.
    labelled, unlabelled, test : (D, D) ndarray
        Second moments of the inputs: symmetric, no eigenvalue below zero.

    Raises
    ------
    ValueError
        If shapes do not fit, a moment is none, the noise variance is negative, or features are
        dependent where they are fitted.
    """

    weak_map: Array
    strong_map: Array
    target: Array
    noise_variance: float
    labelled: Array
    unlabelled: Array
    test: Array

    def __post_init__(self) -> None:
        target = real_array(self.target, "target", 1)
        D = len(target)
        maps = {name: real_array(getattr(self, name), name, 2) for name in _MAPS}
        same_rows(**maps, target=target)
        if not (np.isfinite(self.noise_variance) and self.noise_variance >= 0):
            raise ValueError(f"noise_variance must be finite and >= 0, got {self.noise_variance}.")
        moments = {name: second_moment(getattr(self, name), name, D) for name in _LAWS}
        for name, where in (*((name, "labelled") for name in _MAPS), ("strong_map", "unlabelled")):
            check_rank(moment_root(moments[where]).T @ maps[name], f"{name.split('_')[0]} {where}")
        for name, value in {**maps, **moments, "target": target}.items():
            value = value.copy()
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def from_groups(
        cls,
        *,
        weak_map: ArrayLike,
        strong_map: ArrayLike,
        target: ArrayLike,
        noise_variance: float,
        moments: ArrayLike,
        shares_l: ArrayLike,
        shares_u: ArrayLike,
        shares_t: ArrayLike,
    ) -> ShiftedPair:
        """Pair whose inputs are mixtures of groups, in other shares in each of the three sets.

        Parameters
        ----------
        weak_map, strong_map, target, noise_variance
            As of the class.
        moments : (groups, D, D) array_like
            Uncentred second moment of each group's inputs.
        shares_l, shares_u, shares_t : (groups,) array_like
            Share of each group among the labelled, the unlabelled and the test inputs.

        Returns
        -------
        ShiftedPair
            A mixture counts by its second moment: exact for Gaussian inputs of that moment, to
            leading order for the mixture itself.

        Raises
        ------
        ValueError
            As the class, or if shares are negative, do not add up to 1 or are not one a group.
        """
        of_groups = real_array(moments, "moments", 3)

        def mixed(shares: ArrayLike, name: str) -> Array:
            share = real_array(shares, name, 1)
            if len(share) != len(of_groups) or share.min() < 0 or abs(share.sum() - 1) > 1e-9:
                raise ValueError(
                    f"{name} must hold a share >= 0 for each of {len(of_groups)} groups, 1 in all, "
                    f"got {share.tolist()}."
                )
            return np.tensordot(share, of_groups, axes=1)

        return cls(
            weak_map=real_array(weak_map, "weak_map", 2),
            strong_map=real_array(strong_map, "strong_map", 2),
            target=real_array(target, "target", 1),
            noise_variance=noise_variance,
            labelled=mixed(shares_l, "shares_l"),
            unlabelled=mixed(shares_u, "shares_u"),
            test=mixed(shares_t, "shares_t"),
        )

    @property
    def d_w(self) -> int:
        """Number of weak features."""
        return int(self.weak_map.shape[1])

    @property
    def d_s(self) -> int:
        """Number of strong features."""
        return int(self.strong_map.shape[1])

    def root(self, law: str) -> Array:
        """Matrix F with F F' the second moment of the "labelled", "unlabelled" or "test" inputs."""
        return moment_root(getattr(self, law))


_MAPS = ("weak_map", "strong_map")
_LAWS = ("labelled", "unlabelled", "test")


def inside(basis: Array, vector: Array) -> Array:
    """Orthogonal projection of a (D,) vector onto the span of a (D, d) orthonormal basis."""
    return basis @ (basis.T @ vector)


def outside(basis: Array, vector: Array) -> Array:
    """Part of a (D,) vector orthogonal to the span of a (D, d) orthonormal basis."""
    return vector - inside(basis, vector)
