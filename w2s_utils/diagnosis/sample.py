"""From the second moment of a sample to the geometry and to the errors of both theories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from w2s_utils._validate import Array
from w2s_utils.diagnosis.moments import Moments
from w2s_utils.diagnosis.rows import FeatureSet
from w2s_utils.directions import EQUAL, Directions, Features
from w2s_utils.measure.correlation import corrected
from w2s_utils.metrics import Risks
from w2s_utils.pair import Geometry
from w2s_utils.theory import exact, ridge
from w2s_utils.theory.exact import StudentTerms

GRADED = 1e4  # eigenvalues lose all digits where directions differ more in length, squared
SEARCHED = 70  # N, when the theory of ridge is searched for a crossing
MEASURED = ("d_sw", "rho_w", "rho_s", "missed", "leaked")
Theory = Callable[..., Risks | StudentTerms]


@dataclass(frozen=True, eq=False)
class Grid:
    """Sample sizes that are predicted, and the ridge of all four models."""

    n: NDArray[np.int64]
    N: NDArray[np.int64]
    ridge: float

    def exact(self, d_w: int, d_s: int) -> NDArray[np.bool_]:
        """Points (n, N) to which `theory.exact` applies."""
        enough_n, enough_N = self.n > max(d_w, d_s) + 1, self.N > d_s + 1  # noqa: SIM300
        return (self.ridge == 0) & enough_n[:, None] & enough_N

    def finer(self, d_w: int, d_s: int) -> Grid:
        """Grid with more N, to search for the one at which the student overtakes a model."""
        least = d_s + 2 if self.exact(d_w, d_s).all() else max(d_s // 10, 2)
        more = np.geomspace(least, 1000 * d_s, SEARCHED).astype(np.int64)
        return replace(self, N=np.union1d(self.N, more))


@dataclass(frozen=True, eq=False)
class Sample:
    """The second moment of some of the rows, and what both theories make of it.

    The labels act as the target: their noise is part of both rho and of all errors, which are sums
    over the label columns.
    """

    moments: Moments  # of all rows
    moment: Array
    rows: int

    @classmethod
    def of(cls, moments: Moments) -> Sample:
        """All rows."""
        return cls(moments, moments.whole(), moments.rows)

    def numbers(self, grid: Grid) -> dict[str, Array]:
        """Numbers of a `Prediction` but for the held-out overlap and the label noise."""
        sample, found = self.geometry, self.geometry.corrected(self.rows)
        numbers = {name: getattr(found, name) for name in MEASURED} | {
            "plug_in": sample.d_sw,
            "estimate": corrected(sample.d_sw, self.rows, sample.d_w, sample.d_s),
        }
        errors = self.on_grid(exact.expected_risks, ridge.expected_risks, grid)
        return {name: np.asarray(value) for name, value in numbers.items()} | errors

    def exact(self, grid: Grid) -> NDArray[np.bool_]:
        """Points of the grid to which `theory.exact` applies."""
        return grid.exact(self.moments.weak.d, self.moments.strong.d)

    def on_grid(self, by_exact: Theory, by_ridge: Theory, grid: Grid) -> dict[str, Array]:
        """Apply `theory.exact`, corrected for optimism, where it applies, else `theory.ridge`."""
        points = self.exact(grid)
        found = {} if points.all() else self.by_ridge(by_ridge, grid)
        if points.any():
            i, j = points.any(axis=1), points.any(axis=0)
            geometry = self.geometry.corrected(self.rows)
            for name, values in vars(by_exact(geometry, grid.n[i, None], grid.N[j])).items():
                found.setdefault(name, np.empty(points.shape))[np.ix_(i, j)] = values
        return found

    def by_ridge(self, theory: Theory, grid: Grid, equal_sizes: bool = False) -> dict[str, Array]:
        """Apply a function of `theory.ridge` to the whole grid."""
        fit = grid.n[:, None], grid.N, grid.ridge, grid.ridge
        found = [vars(theory(pair, *fit, strict=False)) for pair in self.directions(equal_sizes)]
        return {name: np.sum([one[name] for one in found], axis=0) for name in found[0]}

    def change_by_sizes(self, theory: Theory, grid: Grid) -> dict[str, Array]:
        """What the sizes of the inputs change against inputs of equal size, for `theory.exact`."""
        unequal, equal = (self.by_ridge(theory, grid, equal_sizes) for equal_sizes in (False, True))
        points = self.exact(grid)
        return {name: np.where(points, unequal[name] - equal[name], 0.0) for name in unequal}

    @cached_property
    def geometry(self) -> Geometry:
        """Geometry of the sample."""
        cross, weak, strong, power = self.whitened
        seen, passed = np.sum(weak**2), cross.T @ weak
        return Geometry(
            d_w=len(cross),
            d_s=len(passed),
            d_sw=float(np.sum(cross**2)),
            rho_w=float(max(power.sum() - seen, 0)),
            rho_s=float(max(power.sum() - np.sum(strong**2), 0)),
            missed=float(np.sum((strong - passed) ** 2)),
            leaked=float(max(seen - np.sum(passed**2), 0)),
            noise_variance=0.0,
        )

    @cached_property
    def whitened(self) -> tuple[Array, Array, Array, Array]:
        """Inner products (d_w, d_s) of orthonormal bases, labels along them, and their power."""
        moment, (w, s, y) = self.moment, self.moments.parts
        weak, strong = (np.linalg.cholesky(moment[part, part]) for part in (w, s))
        on_weak = linalg.solve_triangular(weak, np.hstack([moment[w, s], moment[w, y]]), lower=True)
        d_w, d_s = len(weak), len(strong)
        on_strong = linalg.solve_triangular(
            strong, np.hstack([on_weak[:, :d_s].T, moment[s, y]]), lower=True
        )
        return on_strong[:, :d_w].T, on_weak[:, d_s:], on_strong[:, d_w:], moment.diagonal()[y]

    def directions(self, equal_sizes: bool) -> list[Directions]:
        """The pair along its principal directions, one for each label column."""
        moment, (w, s, y), moments = self.moment, self.moments.parts, self.moments
        (variances_w, to_w), (variances_s, to_s) = self._principal
        radii = (EQUAL, EQUAL) if equal_sizes else (moments.weak.radii, moments.strong.radii)
        cross = to_s.T @ moment[s, w] @ to_w
        targets = (to_w.T @ moment[w, y]).T, (to_s.T @ moment[s, y]).T
        return [
            Directions(
                cross,
                Features(b_w, max(p - b_w @ b_w, 0.0), variances_w, radii[0]),
                Features(b_s, max(p - b_s @ b_s, 0.0), variances_s, radii[1]),
                0.0,
            )
            for b_w, b_s, p in zip(*targets, moment.diagonal()[y], strict=True)
        ]

    @cached_property
    def _principal(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        w, s, _ = self.moments.parts
        return self._along(w, self.moments.weak), self._along(s, self.moments.strong)

    def _along(self, part: slice, features: FeatureSet) -> tuple[Array, Array]:
        """Variances in this sample, and the map to whitened coordinates along their directions."""
        moment, scale = self.moment[part, part], np.sqrt(features.spectrum[: features.d])
        if scale.max() < GRADED * scale.min():
            values, directions = np.linalg.eigh(moment * scale * scale[:, None])
            return values, scale[:, None] * directions / np.sqrt(values)
        # Slower, and right for features of any units.
        root = np.linalg.cholesky(moment, upper=True)
        left, singular, _ = np.linalg.svd(root * scale)
        return singular[::-1] ** 2, linalg.solve_triangular(root, left[:, ::-1])
