"""Logistic probes of a pair: their ridges, and the laws of their scores, without fitting one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from w2s_utils._progress import counted
from w2s_utils._validate import Array
from w2s_utils.diagnosis.sample import Grid
from w2s_utils.diagnosis.scores import Law
from w2s_utils.directions import Directions, Features
from w2s_utils.theory.classes import Classes
from w2s_utils.theory.fixed_point import Fit
from w2s_utils.theory.logistic import Coefficients, Probes, Side, best_ridge, best_student_ridge
from w2s_utils.theory.ridge import Ridges

TRUSTED = 0.1  # change of a loss's logarithm, beyond which it is no first order


@dataclass(frozen=True, eq=False)
class Trained:
    """Training of logistic probes against one class at the points of a grid.

    Attributes
    ----------
    share : float
        Of the class.
    ridges : Ridges
        (n, N) each.
    teachers, baselines : list of Fit or None
        One for each n; None where there is no solution.
    students, ceilings : list of lists of Fit or None
        One for each point.
    """

    share: float
    ridges: Ridges
    teachers: list[Fit | None]
    students: list[list[Fit | None]]
    baselines: list[Fit | None]
    ceilings: list[list[Fit | None]]


def train(whole: Directions, halves: Sequence[Directions], grid: Grid, share: float) -> Trained:
    """Training in the population that a sample and its halves are of.

    Logarithms of losses and of the training's numbers are moved by what halving the rows changes.
    """
    every = [_probes(pair, share) for pair in (whole, *halves)]

    def expect(loss: object) -> Array:
        of_whole, *of_halves = (loss(probes.directions) for probes in every)  # type: ignore[operator]
        change = np.mean(of_halves, axis=0) - of_whole
        return np.asarray(of_whole - np.clip(change, -TRUSTED, TRUSTED))

    shape = len(grid.n), len(grid.N)
    sizes = grid.n.tolist(), grid.N.tolist()
    ceilings = sorted({n + N for n in sizes[0] for N in sizes[1]})
    main = every[0]
    with counted(len(grid.n) * 2 + len(ceilings) + len(grid.n) * len(grid.N), "training") as tell:

        def ridge(side: Side, m: float, given: int) -> float:
            tell(1)
            if grid.ridge != "tuned":
                return float(grid.ridge[given])
            return best_ridge(main, side, m, expect)

        weak = [ridge("weak", n, 0) for n in sizes[0]]
        baseline = [ridge("strong", n, 2) for n in sizes[0]]
        of_ceilings = {m: ridge("strong", m, 3) for m in ceilings}
        student = np.empty(shape)
        for i, n in enumerate(sizes[0]):
            for j, N in enumerate(sizes[1]):
                tell(1)
                student[i, j] = (
                    best_student_ridge(main, n, weak[i], N, expect)
                    if grid.ridge == "tuned"
                    else grid.ridge[1]
                )

    def single(side: Side, m: float, alpha: float) -> list[Fit | None]:
        return [probes.single(side, m, alpha) for probes in every]

    teachers = [single("weak", n, alpha) for n, alpha in zip(sizes[0], weak, strict=True)]
    strong = {m: _beyond(single("strong", m, alpha)) for m, alpha in of_ceilings.items()}

    def taught(i: int, j: int) -> Fit | None:
        fits = [
            None
            if teacher is None
            else probes.student(teacher, weak[i], sizes[1][j], student[i, j])
            for probes, teacher in zip(every, teachers[i], strict=True)
        ]
        return _beyond(fits)

    return Trained(
        share,
        Ridges(
            np.broadcast_to(np.array(weak)[:, None], shape),
            student,
            np.broadcast_to(np.array(baseline)[:, None], shape),
            np.array([[of_ceilings[n + N] for N in sizes[1]] for n in sizes[0]]),
        ),
        [_beyond(fits) for fits in teachers],
        [[taught(i, j) for j in range(shape[1])] for i in range(shape[0])],
        [_beyond(single("strong", n, alpha)) for n, alpha in zip(sizes[0], baseline, strict=True)],
        [[strong[n + N] for N in sizes[1]] for n in sizes[0]],
    )


def logistic(pair: Directions, trained: Trained, rows: int) -> tuple[Law, Law, Law, Law]:
    """Laws of logistic probes; `pair` is measured on so many other rows."""
    probes = _probes(pair, trained.share)
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
        teacher, fit = trained.teachers[i], trained.students[i][j]
        if teacher is None or fit is None:
            return lost
        alphas = trained.ridges.weak[i, j], trained.ridges.student[i, j]
        found = probes.student_coefficients(teacher, alphas[0], fit, alphas[1])
        own, through = probes.student_gains(teacher, alphas[0], fit, alphas[1])
        return found._replace(variance=found.variance - own**2 * of_s - through**2 * of_w)

    n, N = trained.ridges.student.shape
    columns = range(N)
    return (
        _law([[single("weak", trained.teachers[i], trained.ridges.weak[i, 0])] for i in range(n)]),
        _law([[student(i, j) for j in columns] for i in range(n)]),
        _law(
            [
                [single("strong", trained.baselines[i], trained.ridges.baseline[i, 0])]
                for i in range(n)
            ]
        ),
        _law(
            [
                [
                    single("strong", trained.ceilings[i][j], trained.ridges.ceiling[i, j])
                    for j in columns
                ]
                for i in range(n)
            ]
        ),
    )


def _probes(pair: Directions, share: float) -> Probes:
    """Probes of labels -1 and 1; the pair's may be 0 and 1, of a class against the rest."""
    labels, weak, strong = Classes(share), pair.weak, pair.strong
    factor = 2.0 if weak.target @ weak.target + weak.rho < labels.power / 2 else 1.0

    def signed(features: Features) -> Features:
        return replace(features, target=factor * features.target, rho=factor**2 * features.rho)

    return Probes(replace(pair, weak=signed(weak), strong=signed(strong)), labels)


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


def _beyond(fits: Sequence[Fit | None]) -> Fit | None:
    """A training's numbers in the population, from those of a sample and of its halves."""
    known = [fit for fit in fits if fit is not None]
    if len(known) < len(fits):
        return None
    whole, *halves = known

    def moved(name: str, positive: bool) -> Array:
        values = [np.asarray(getattr(fit, name), float) for fit in (whole, *halves)]
        values = [np.log(value) for value in values] if positive else values
        found = 2 * values[0] - np.mean(values[1:], axis=0)
        return np.asarray(np.exp(found) if positive else found)

    positive = {
        name: float(moved(name, True)) for name in ("response", "curvature", "noise", "spread")
    }
    return replace(
        whole,
        **positive,
        pull=moved("pull", False),
        slopes=moved("slopes", False),
        offset=float(moved("offset", False)),
    )
