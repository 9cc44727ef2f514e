"""Logistic probes of a pair: their ridges, and the laws of their scores, without fitting one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from w2s_utils._progress import counted
from w2s_utils._validate import Array
from w2s_utils.diagnosis.sample import Grid
from w2s_utils.diagnosis.scores import Law
from w2s_utils.directions import Directions, Features
from w2s_utils.theory.classes import Classes
from w2s_utils.theory.fixed_point import Fit
from w2s_utils.theory.logistic import Coefficients, Probes, Side
from w2s_utils.theory.logistic_ridges import best_ridge, best_student_ridge
from w2s_utils.theory.ridge import Ridges

SIDES: tuple[Side, Side] = "weak", "strong"
TRUSTED = 0.1  # change of a loss's logarithm, beyond which it is no first order


@dataclass(frozen=True, eq=False)
class Fits:
    """Fits at the points of a grid, None where there is no solution.

    Attributes
    ----------
    teachers, baselines : list
        One for each n.
    students, ceilings : list of lists
        One for each point.
    """

    teachers: list[Fit | None]
    students: list[list[Fit | None]]
    baselines: list[Fit | None]
    ceilings: list[list[Fit | None]]

    @property
    def every(self) -> list[Fit | None]:
        """All of them in one list."""
        of_points = [fit for row in (*self.students, *self.ceilings) for fit in row]
        return [*self.teachers, *self.baselines, *of_points]

    def replaced(self, fits: Iterable[Fit | None]) -> Fits:
        """Others in their places, in the order of `every`."""
        rest = iter(fits)
        teachers, baselines = ([next(rest) for _ in row] for row in (self.teachers, self.baselines))
        students, ceilings = (
            [[next(rest) for _ in row] for row in rows] for rows in (self.students, self.ceilings)
        )
        return Fits(teachers, students, baselines, ceilings)


@dataclass(frozen=True, eq=False)
class Trained:
    """Training of logistic probes of one class against the rest.

    Attributes
    ----------
    share : float
        Of the class.
    scale : float
        Of labels -1 and 1 in the label column's: 2 if it holds 0 and 1.
    ridges : Ridges
        (n, N) each.
    sampled : Fits
        With the sample taken for the population.
    fits : Fits
        Moved to the population that the sample is of.
    """

    share: float
    scale: float
    ridges: Ridges
    sampled: Fits
    fits: Fits


def train(samples: Sequence[Directions], grid: Grid, share: float, scale: float) -> Trained:
    """Training in the population that a sample, the first, and its halves are of.

    Logarithms of losses and of the training's numbers are moved by what halving the rows changes.
    """
    every = [_probes(pair, share, scale) for pair in samples]
    ridges = _tuned(every, grid) if grid.ridge == "tuned" else _given(grid)
    sampled, *of_halves = (_fits(probes, grid, ridges) for probes in every)
    moved = (
        _beyond(*fits)
        for fits in zip(sampled.every, *(one.every for one in of_halves), strict=True)
    )
    return Trained(share, scale, ridges, sampled, sampled.replaced(moved))


def retrain(pair: Directions, trained: Trained, grid: Grid, moves: Ridges) -> Trained:
    """The same on another sample of the population, with ridges that are changed by factors."""
    ridges = Ridges(*(alpha * move for alpha, move in zip(trained.ridges, moves, strict=True)))
    probes = _probes(pair, trained.share, trained.scale)
    found = _fits(probes, grid, ridges, trained.sampled)
    kept = (
        None if new is None or old is None or fit is None else _shifted(fit, old, new)
        for fit, old, new in zip(
            trained.fits.every, trained.sampled.every, found.every, strict=True
        )
    )
    return replace(trained, ridges=ridges, sampled=found, fits=found.replaced(kept))


def _given(grid: Grid) -> Ridges:
    shape = len(grid.n), len(grid.N)
    return Ridges(*(np.full(shape, alpha) for alpha in grid.ridge))


def _tuned(every: Sequence[Probes], grid: Grid) -> Ridges:
    """Best ridges of a sample, the first, with its halves."""
    main, n, N = every[0], grid.n.tolist(), grid.N.tolist()
    totals = sorted({a + b for a in n for b in N})

    def expect(loss: Callable[[Directions], Array]) -> Array:
        of_whole, *of_halves = (loss(probes.directions) for probes in every)
        change = np.mean(of_halves, axis=0) - of_whole
        return np.asarray(of_whole - np.clip(change, -TRUSTED, TRUSTED))

    with counted(2 * len(n) + len(totals) + len(n) * len(N), "best ridges") as tell:

        def best(side: Side, m: float) -> float:
            tell(1)
            return best_ridge(main, side, m, expect)

        def of_student(size: float, alpha_w: float, m: float) -> float:
            tell(1)
            return best_student_ridge(main, size, alpha_w, m, expect)

        weak, baseline = ([best(side, m) for m in n] for side in SIDES)
        ceiling = {m: best("strong", m) for m in totals}
        student = [[of_student(a, alpha, b) for b in N] for a, alpha in zip(n, weak, strict=True)]
    of_n = np.transpose([weak, baseline])[:, :, None] + np.zeros(len(N))
    of_sums = np.array([[ceiling[a + b] for b in N] for a in n])
    return Ridges(of_n[:, 0], np.array(student), of_n[:, 1], of_sums)


def _fits(probes: Probes, grid: Grid, ridges: Ridges, near: Fits | None = None) -> Fits:
    """Fits at all points, started from those of a like problem if there are any."""
    n, N = grid.n.tolist(), grid.N.tolist()
    rows, columns = range(len(n)), range(len(N))

    if near is None:
        nothing: list[Fit | None] = [None] * max(len(n), len(N))
        near = Fits(nothing, [nothing] * len(n), nothing, [nothing] * len(n))
    sides: tuple[tuple[Side, Array, list[Fit | None]], ...] = (
        ("weak", ridges.weak, near.teachers),
        ("strong", ridges.baseline, near.baselines),
    )
    teachers, baselines = (
        [probes.single(side, n[i], float(alpha[i, 0]), known[i]) for i in rows]
        for side, alpha, known in sides
    )

    def student(i: int, j: int) -> Fit | None:
        teacher = teachers[i]
        if teacher is None:
            return None
        alphas = float(ridges.weak[i, 0]), float(ridges.student[i, j])
        return probes.student(teacher, alphas[0], N[j], alphas[1], near.students[i][j])

    def ceiling(i: int, j: int) -> Fit | None:
        alpha = float(ridges.ceiling[i, j])
        return probes.single("strong", n[i] + N[j], alpha, near.ceilings[i][j])

    return Fits(
        teachers,
        [[student(i, j) for j in columns] for i in rows],
        baselines,
        [[ceiling(i, j) for j in columns] for i in rows],
    )


def logistic(pair: Directions, trained: Trained, rows: int) -> tuple[Law, Law, Law, Law]:
    """Laws of logistic probes; `pair` is measured on so many other rows."""
    probes, fits, ridges = (
        _probes(pair, trained.share, trained.scale), trained.fits, trained.ridges,
    )  # fmt: skip
    # Errors of the measured targets, in units of the labels' latent.
    of_w, of_s = (
        features.rho / probes.labels.power / rows
        for features in (probes.directions.weak, probes.directions.strong)
    )
    lost = Coefficients(np.array(np.nan), np.array(np.nan), np.nan)

    def single(side: Side, fit: Fit | None, alpha: float) -> Coefficients:
        if fit is None:
            return lost
        found = probes.coefficients(side, fit, alpha)
        doubt = probes.gain(side, fit, alpha) ** 2 * (of_w if side == "weak" else of_s)
        return found._replace(variance=found.variance - doubt)

    def student(i: int, j: int) -> Coefficients:
        teacher, fit = fits.teachers[i], fits.students[i][j]
        if teacher is None or fit is None:
            return lost
        alphas = ridges.weak[i, j], ridges.student[i, j]
        found = probes.student_coefficients(teacher, alphas[0], fit, alphas[1])
        own, through = probes.student_gains(teacher, alphas[0], fit, alphas[1])
        return found._replace(variance=found.variance - own**2 * of_s - through**2 * of_w)

    n, N = ridges.student.shape

    def law(columns: int, at: Callable[[int, int], Coefficients]) -> Law:
        return _law([[at(i, j) for j in range(columns)] for i in range(n)])

    return (
        law(1, lambda i, j: single("weak", fits.teachers[i], ridges.weak[i, j])),
        law(N, student),
        law(1, lambda i, j: single("strong", fits.baselines[i], ridges.baseline[i, j])),
        law(N, lambda i, j: single("strong", fits.ceilings[i][j], ridges.ceiling[i, j])),
    )


def _probes(pair: Directions, share: float, scale: float) -> Probes:
    """Probes of labels -1 and 1."""

    def signed(features: Features) -> Features:
        return replace(features, target=scale * features.target, rho=scale**2 * features.rho)

    weak, strong = signed(pair.weak), signed(pair.strong)
    return Probes(replace(pair, weak=weak, strong=strong), Classes(share))


def _law(points: list[list[Coefficients]]) -> Law:
    """One law of many points."""
    d = max(one.mean.size for row in points for one in row) - 1
    shape = len(points), len(points[0])
    mean, variance = np.full((2, *shape, d), np.nan)
    offset, common = np.full((2, *shape), np.nan)
    for i, row in enumerate(points):
        for j, one in enumerate(row):
            if one.mean.size > 1:
                mean[i, j], variance[i, j] = one.mean[:-1], one.variance[:-1]
                offset[i, j], common[i, j] = one.offset, one.variance[-1]
    return Law(mean, variance, offset, common)


def _beyond(*fits: Fit | None) -> Fit | None:
    """A training's numbers in the population, from those of a sample and of its halves."""
    known = [fit for fit in fits if fit is not None]
    if len(known) < len(fits):
        return None
    whole, *halves = map(_numbers, known)
    return _fit(2 * whole - np.mean(halves, axis=0))


def _shifted(fit: Fit, old: Fit, new: Fit) -> Fit:
    """A training's numbers, changed as others are."""
    return _fit(_numbers(fit) + _numbers(new) - _numbers(old))


def _numbers(fit: Fit) -> Array:
    """All numbers of a fit, logarithms of those that are positive."""
    positive = np.log([fit.response, fit.curvature, fit.noise, fit.spread])
    return np.concatenate([positive, [fit.offset], fit.pull, fit.slopes])


def _fit(numbers: Array) -> Fit:
    """The reverse of `_numbers`."""
    response, curvature, noise, spread = np.exp(numbers[:4]).tolist()
    pull, slopes = np.split(numbers[5:], 2)
    return Fit(response, curvature, noise, pull, float(numbers[4]), slopes, spread)
