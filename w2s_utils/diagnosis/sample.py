"""From the second moment of a sample to the geometry and to the errors of both theories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from w2s_utils._validate import Array
from w2s_utils.diagnosis.moments import FeatureSets, Moments
from w2s_utils.diagnosis.rows import FeatureSet, Reader
from w2s_utils.directions import EQUAL, Directions, Features, principal_map
from w2s_utils.geometry import Geometry
from w2s_utils.measure.correlation import corrected, regressions
from w2s_utils.metrics import Risks
from w2s_utils.theory import exact, ridge
from w2s_utils.theory.exact import StudentTerms
from w2s_utils.theory.misfit import expected_misfit
from w2s_utils.theory.ridge import Ridges

SEARCHED = 24  # N, when the theory of ridge is searched for a crossing
RIDGELESS = (0.0, 0.0, 0.0, 0.0)
MEASURED = ("d_sw", "rho_w", "rho_s", "missed", "leaked")
Penalty = Literal["tuned"] | tuple[float, float, float, float]
ByExact = Callable[..., Any]
Sizes = NDArray[np.int64]
ByRidge = Callable[[Directions, Sizes, Sizes, Ridges], Any]


@dataclass(frozen=True, eq=False)
class Grid:
    """Sample sizes that are predicted, and the ridges of teacher, student, baseline and ceiling."""

    n: NDArray[np.int64]
    N: NDArray[np.int64]
    ridge: Penalty
    intercept: bool

    @property
    def free(self) -> tuple[Sizes, Sizes]:
        """Sizes n and N, less the one that an intercept takes; as a column and a row."""
        return self.n[:, None] - self.intercept, self.N - self.intercept

    def exact(self, d_w: int, d_s: int) -> NDArray[np.bool_]:
        """Points (n, N) to which `theory.exact` applies."""
        n, N = self.free
        return (self.ridge == RIDGELESS) & (n > max(d_w, d_s) + 1) & (d_s + 1 < N)

    def finer(self, d_w: int, d_s: int, leading: int) -> Grid:
        """Grid with more N, to search for the one at which the student overtakes a model."""
        least = d_s + 3 if self.exact(d_w, d_s).all() else max(leading // 10, 2)
        more = np.geomspace(max(least, 4), 1000 * leading, SEARCHED).astype(np.int64)
        return replace(self, N=np.union1d(self.N, more))


@dataclass(frozen=True)
class Signal:
    """Probabilities that chance alone would show as much in these rows.

    Attributes
    ----------
    weak, strong : float
        As the features explain of the labels (an F test).
    overlap : float
        As the two sets share (Pillai's trace, by its normal limit).
    """

    weak: float
    strong: float
    overlap: float


@dataclass(frozen=True, eq=False)
class _Whole:
    """The second moment of weak and strong coordinates along all directions, and of labels."""

    moment: Array
    parts: tuple[slice, slice, slice]

    @cached_property
    def whitened(self) -> tuple[Array, Array, Array, Array]:
        """As that of a `Sample`: of the leading directions it is a part of each array."""
        moment, (w, s, y) = self.moment, self.parts
        weak, strong = (linalg.cholesky(moment[part, part], lower=True) for part in (w, s))
        on_weak = linalg.solve_triangular(weak, np.hstack([moment[w, s], moment[w, y]]), lower=True)
        d_w, d_s = len(weak), len(strong)
        on_strong = linalg.solve_triangular(
            strong, np.hstack([on_weak[:, :d_s].T, moment[s, y]]), lower=True
        )
        return on_strong[:, :d_w].T, on_weak[:, d_s:], on_strong[:, d_w:], moment.diagonal()[y]


@dataclass(frozen=True, eq=False)
class Sample:
    """The second moment of some of the rows, and what both theories make of it.

    The labels act as the target: their noise is part of both rho and of all errors, which are sums
    over the label columns.

    Attributes
    ----------
    sets : FeatureSets
        The directions that count, of all rows.
    of_every : _Whole
        Along all directions, which leading ones are the first of.
    rows : int
        Free ones.
    moments : Moments
        Of all rows. Where they come in groups, formulas for what chance explains do not hold.
    part : str
        Which rows: their principal directions serve other pairs, too.
    """

    sets: FeatureSets
    of_every: _Whole
    rows: int
    moments: Moments
    part: str

    @classmethod
    def of(
        cls, moments: Moments, sets: Sequence[FeatureSets], gram: Array, rows: int, part: str
    ) -> Iterator[Sample]:
        """Of each of the sets in turn, from a packed product of so many rows."""
        moment, free = moments.of(gram, rows)
        del gram  # it is large
        d_w, D = moments.every.weak.d, moments.every.weak.d + moments.every.strong.d
        of_every = _Whole(moment, (slice(d_w), slice(d_w, D), slice(D, None)))
        for used in sets:
            yield cls(used, of_every, free, moments, part)

    @classmethod
    def whole(cls, moments: Moments, sets: FeatureSets) -> Sample:
        """Of all rows."""
        return next(cls.of(moments, [sets], moments.grams.halves.sum(axis=0), moments.rows, "all"))

    @classmethod
    def half(cls, moments: Moments, sets: FeatureSets, k: int) -> Sample:
        """Of the even or the odd blocks of rows."""
        rows = int(moments.sizes[k::2].sum())
        return next(cls.of(moments, [sets], moments.grams.halves[k], rows, f"half {k}"))

    @property
    def moment(self) -> Array:
        """Second moment of all directions and the labels."""
        return self.of_every.moment

    @property
    def parts(self) -> tuple[slice, slice, slice]:
        """Where the weak and the strong coordinates and the labels are in it."""
        _, s, y = self.of_every.parts
        return slice(self.sets.weak.d), slice(s.start, s.start + self.sets.strong.d), y

    def numbers(self, grid: Grid, ridges: Sequence[Ridges]) -> dict[str, Array]:
        """Numbers of a `Prediction` but for the held-out overlap and the label noise."""
        sample, found = self.geometry, self.population
        numbers = {name: getattr(found, name) for name in MEASURED} | {
            "power": self.whitened[-1].sum(),
            "plug_in": sample.d_sw,
            "estimate": sample.d_sw
            if self.moments.partition.grouped
            else corrected(sample.d_sw, self.rows, sample.d_w, sample.d_s),
        }
        errors = self.on_grid(exact.expected_risks, _risks, grid, ridges)
        if grid.intercept:
            n, N = grid.n[:, None], grid.N
            taught, misfit = errors["weak"] / n, self.misfit(grid, ridges) / N
            errors = {
                "weak": errors["weak"] + taught,
                "student": errors["student"] + taught + misfit,
                "baseline": errors["baseline"] * (1 + 1 / n),
                "ceiling": errors["ceiling"] * (1 + 1 / (n + N)),
            }
        return {name: np.asarray(value) for name, value in numbers.items()} | errors

    def terms(self, grid: Grid, ridges: Sequence[Ridges]) -> StudentTerms:
        """The student's error term by term; `unseen` contains the label noise.

        Plug-in values where `theory.exact` does not apply.
        """
        found = self.on_grid(exact.student_terms, _terms, grid, ridges)
        shift = self.change_by_sizes(_terms, grid, ridges)
        terms = {name: found[name] + shift[name] for name in found}
        if grid.intercept:  # the teacher's is inherited, the error of the student's own is reduced
            taught = self.on_grid(exact.expected_risks, _risks, grid, ridges)["weak"]
            misfit = self.misfit(grid, ridges) + self.change_by_sizes(_misfit, grid, ridges)["all"]
            terms["inherited"] = terms["inherited"] + taught / grid.n[:, None]
            terms["reduced"] = terms["reduced"] + misfit / grid.N
        return StudentTerms(**terms)

    def misfit(self, grid: Grid, ridges: Sequence[Ridges]) -> Array:
        """What the student does not fit of its teacher."""
        return self.on_grid(_exact_misfit, _misfit, grid, ridges)["all"]

    def teacher_variance(self, grid: Grid, ridges: Sequence[Ridges]) -> Array:
        """The teacher's variance at each point, that of its intercept with it."""
        pairs, (n, N) = zip(self.pairs, ridges, strict=True), grid.free
        fits = (ridge.teacher_variance(pair, n + 0 * N, r.weak, False) for pair, r in pairs)
        taught = self.on_grid(exact.expected_risks, _risks, grid, ridges)["weak"]
        return np.asarray(sum(fits) + grid.intercept * taught / grid.n[:, None])

    def exact(self, grid: Grid) -> NDArray[np.bool_]:
        """Points of the grid to which `theory.exact` applies."""
        return grid.exact(self.sets.weak.d, self.sets.strong.d)

    def on_grid(
        self, by_exact: ByExact, by_ridge: ByRidge, grid: Grid, ridges: Sequence[Ridges]
    ) -> dict[str, Array]:
        """Apply `theory.exact`, corrected for optimism, where it applies, else `theory.ridge`."""
        points = self.exact(grid)
        found = {} if points.all() else self.by_ridge(by_ridge, grid, ridges)
        if points.any():
            i, j = points.any(axis=1), points.any(axis=0)
            n, N = grid.free
            for name, values in vars(by_exact(self.population, n[i], N[j])).items():
                found.setdefault(name, np.empty(points.shape))[np.ix_(i, j)] = values
        return found

    def by_ridge(
        self, theory: ByRidge, grid: Grid, ridges: Sequence[Ridges], equal_sizes: bool = False
    ) -> dict[str, Array]:
        """Apply a function of `theory.ridge` to the whole grid."""
        every = map(_of_equal_sizes, self.pairs) if equal_sizes else self.pairs
        pairs = zip(every, ridges, strict=True)
        found = [vars(theory(pair, *grid.free, of_column)) for pair, of_column in pairs]
        return {name: np.sum([one[name] for one in found], axis=0) for name in found[0]}

    def risks_by_sizes(self, grid: Grid, ridges: Sequence[Ridges]) -> dict[str, Array]:
        """What unequal sizes of the inputs change of the errors by `theory.exact`."""
        change = self.change_by_sizes(_risks, grid, ridges)
        if grid.intercept:
            misfit = self.change_by_sizes(_misfit, grid, ridges)["all"]
            change["student"] = change["student"] + misfit / grid.N
        return change

    @property
    def signal(self) -> Signal:
        """Whether there is anything to see."""
        cross, weak, strong, power = self.whitened
        (d_w, d_s), of_all = cross.shape, self.moments.partition
        # Of rows that belong together no more is sure than that their groups are independent.
        m = max(self.rows * of_all.independent // of_all.rows, d_w + 1, d_s + 1)

        def by_chance(fit: Array) -> float:
            share = min(np.sum(fit**2) / power.sum(), 1)
            return float(stats.beta.sf(share, len(fit) / 2, (m - len(fit)) / 2))

        spread = np.sqrt(2 * d_w * d_s * (1 - d_w / m) * (1 - d_s / m))
        overlap = float(stats.norm.sf((m * np.sum(cross**2) - d_w * d_s) / spread))
        return Signal(by_chance(weak), by_chance(strong), overlap)

    def regressions(self) -> tuple[Array, Array]:
        """Coefficients of strong on weak and of weak on strong."""
        moment, (w, s, _) = self.moment, self.parts
        return regressions(moment[w, w], moment[w, s], moment[s, s])

    @property
    def canonical_correlations(self) -> Array:
        """Sample canonical correlations, in falling order."""
        return np.asarray(np.minimum(linalg.svdvals(self.whitened[0]), 1))

    def change_by_sizes(
        self, theory: ByRidge, grid: Grid, ridges: Sequence[Ridges]
    ) -> dict[str, Array]:
        """What the sizes of the inputs change against inputs of equal size, for `theory.exact`."""
        points = self.exact(grid)
        unequal, equal = (
            self.by_ridge(theory, grid, ridges, equal_sizes) for equal_sizes in (False, True)
        )
        return {name: np.where(points, unequal[name] - equal[name], 0.0) for name in unequal}

    @property
    def population(self) -> Geometry:
        """Geometry of the population; of groups of rows that of the sample, which is biased."""
        return (
            self.geometry if self.moments.partition.grouped else self.geometry.corrected(self.rows)
        )

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

    @property
    def whitened(self) -> tuple[Array, Array, Array, Array]:
        """Inner products (d_w, d_s) of orthonormal bases, labels along them, and their power."""
        cross, weak, strong, power = self.of_every.whitened
        w, s = self.sets.weak.d, self.sets.strong.d
        return cross[:w, :s], weak[:w], strong[:s], power

    @cached_property
    def principal(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Of the weak and the strong coordinates: variances, and map to whitened principal ones."""

        def found(part: slice, features: FeatureSet, reader: Reader) -> tuple[Array, Array]:
            lengths = np.sqrt(features.spectrum[: features.d])
            return reader.kept(
                f"{features.d} of {self.part}",
                lambda: principal_map(self.moment[part, part], lengths),
            )

        parts = zip(self.parts[:2], self.sets, self.moments.readers, strict=True)
        weak, strong = (found(*each) for each in parts)
        return weak, strong

    @cached_property
    def pairs(self) -> list[Directions]:
        """The pair along its principal directions, one for each label column."""
        moment, (w, s, y), sets = self.moment, self.parts, self.sets
        (variances_w, to_w), (variances_s, to_s) = self.principal
        cross = to_s.T @ moment[s, w] @ to_w
        targets = (to_w.T @ moment[w, y]).T, (to_s.T @ moment[s, y]).T
        return [
            Directions(
                cross,
                Features(b_w, max(p - b_w @ b_w, 0.0), variances_w, sets.weak.radii),
                Features(b_s, max(p - b_s @ b_s, 0.0), variances_s, sets.strong.radii),
                0.0,
            )
            for b_w, b_s, p in zip(*targets, moment.diagonal()[y], strict=True)
        ]


def _of_equal_sizes(pair: Directions) -> Directions:
    weak, strong = (replace(features, radii=EQUAL) for features in (pair.weak, pair.strong))
    return replace(pair, weak=weak, strong=strong)


def _risks(pair: Directions, n: Sizes, N: Sizes, ridges: Ridges) -> Risks:
    return ridge.risks_at_ridges(pair, n, N, ridges, strict=False)


def _misfit(pair: Directions, n: Sizes, N: Sizes, ridges: Ridges) -> SimpleNamespace:
    of_pair = ridge.student_misfit(pair, n, N, ridges.weak, ridges.student, strict=False)
    return SimpleNamespace(all=of_pair)


def _exact_misfit(pair: Geometry, n: Sizes, N: Sizes) -> SimpleNamespace:
    return SimpleNamespace(all=expected_misfit(pair, n, N))


def _terms(pair: Directions, n: Sizes, N: Sizes, ridges: Ridges) -> StudentTerms:
    return ridge.student_terms(pair, n, N, ridges.weak, ridges.student, strict=False)
