"""Two sets of features whose laws differ between labelled, unlabelled and test inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from w2s_utils._validate import Array
from w2s_utils.directions import EQUAL, Features, Radii, principal_map
from w2s_utils.pair import ShiftedPair

NODES = 6  # mixtures of labelled and unlabelled inputs, between which the ceiling is interpolated


@dataclass(frozen=True, eq=False)
class Law:
    """Mean and covariance of weak features, strong features and targets of one set of inputs.

    Attributes
    ----------
    mean : (D,) ndarray
        Zero for models without intercept.
    covariance : (D, D) ndarray
        Without bias; about zero for models without intercept.
    rows : float
        How many inputs it was measured on; infinite for a population.
    """

    mean: Array
    covariance: Array
    rows: float = np.inf

    def about(self, centre: Array) -> Array:
        """Second moment about a point."""
        off = self.mean - centre
        return np.asarray(self.covariance * (1 - 1 / self.rows) + np.outer(off, off))

    def mixed(self, other: Law, share: float) -> Law:
        """Law of inputs of which a share is from here, and the rest from another set."""
        mean = share * self.mean + (1 - share) * other.mean
        gap = np.outer(self.mean - other.mean, self.mean - other.mean)
        within = share * self.covariance + (1 - share) * other.covariance
        return Law(mean, within + share * (1 - share) * gap)


class Form(NamedTuple):
    """What a model's error is among test inputs, as a function of its coefficients.

    Attributes
    ----------
    moment : (k, k) ndarray
        Of the whitened directions, and of a last 1 if there is an intercept.
    target : (k,) ndarray
        Products of these with the target.
    power : float
        Of the target.
    """

    moment: Array
    target: Array
    power: float


class Model(NamedTuple):
    """Features where a model is trained, and a `Form` for each of the test laws."""

    features: Features
    forms: tuple[Form, ...]


@dataclass(frozen=True, eq=False)
class ShiftedDirections:
    """A weak and a strong set of features along their principal directions, where models train.

    Attributes
    ----------
    teacher, student, baseline : Model
        The student's target is its teacher: its features have none.
    cross : (d_s, d_w) ndarray
        Second moments of the student's and the teacher's directions among unlabelled inputs.
    power : (d_w, d_w) ndarray
        Second moment of the teacher's directions there.
    moved : (d_w,) ndarray
        Mean of the teacher's directions there, less that among labelled inputs.
    ceilings : dict of float to Model
        By the share of labelled inputs in what it is trained on.
    noise_variance : float
    intercept : bool
        Whether models have one.
    """

    teacher: Model
    student: Model
    baseline: Model
    cross: Array
    power: Array
    moved: Array
    ceilings: Mapping[float, Model]
    noise_variance: float
    intercept: bool

    @classmethod
    def of(cls, pair: ShiftedPair, shares: Sequence[float] = (0.5,)) -> ShiftedDirections:
        """Directions of a pair, whose ceilings have these shares of labelled inputs."""
        columns = np.column_stack([pair.weak_map, pair.strong_map, pair.target])

        def law(moment: Array) -> Law:
            return Law(np.zeros(columns.shape[1]), columns.T @ moment @ columns)

        laws = Laws(law(pair.labelled), law(pair.unlabelled), (law(pair.test),))
        sets = Columns(np.ones(pair.d_w), np.ones(pair.d_s))
        (found,) = directions(laws, sets, shares, pair.noise_variance, intercept=False)
        return found


class Laws(NamedTuple):
    """Where models are trained, and where they are tested."""

    labelled: Law
    unlabelled: Law
    tests: tuple[Law, ...]


@dataclass(frozen=True, eq=False)
class Columns:
    """Weak and strong coordinates that come first in a law, by the lengths of their features.

    Attributes
    ----------
    weak, strong : (d,) ndarray
        Lengths: a feature is a coordinate times its length.
    weak_radii, baseline_radii : Radii
        Sizes of labelled inputs as weak and strong features see them.
    student_radii : Radii
        Sizes of unlabelled inputs as strong features see them.
    """

    weak: Array
    strong: Array
    weak_radii: Radii = EQUAL
    baseline_radii: Radii = EQUAL
    student_radii: Radii = EQUAL


def nodes(shares: Array) -> list[float]:
    """Shares to make ceilings of: all that are asked for, or points to interpolate them from."""
    every = np.unique(shares)
    if len(every) <= NODES:
        return [float(share) for share in every]
    angles = np.pi * (np.arange(NODES) + 0.5) / NODES
    middle, half = (every[0] + every[-1]) / 2, (every[-1] - every[0]) / 2
    return [float(share) for share in middle - half * np.cos(angles)]


def directions(
    laws: Laws, columns: Columns, shares: Sequence[float], noise_variance: float, intercept: bool
) -> list[ShiftedDirections]:
    """Directions of the two sets for each target column, which come last in the laws."""
    d_w, D = len(columns.weak), len(columns.weak) + len(columns.strong)
    w, s = slice(d_w), slice(d_w, D)
    labelled, unlabelled = laws.labelled, laws.unlabelled

    def trained(law: Law, part: slice, lengths: Array, origin: Array) -> _Trained:
        variances, to = principal_map(law.covariance[part, part], lengths)
        forms = []
        for test in laws.tests:
            moment, off = test.about(origin), test.mean - origin
            inner, targets = to.T @ moment[part, part] @ to, to.T @ moment[part, D:]
            if intercept:
                edge = (to.T @ off[part])[:, None]
                inner = np.block([[inner, edge], [edge.T, np.ones((1, 1))]])
                targets = np.vstack([targets, off[D:]])
            forms.append((inner, targets, moment.diagonal()[D:]))
        return _Trained(law, part, variances, to, forms)

    at_labels, at_pool = labelled.mean.copy(), labelled.mean.copy()
    at_pool[s] = unlabelled.mean[s]  # the student's features; its target is still the teacher's
    teacher = trained(labelled, w, columns.weak, at_labels)
    baseline = trained(labelled, s, columns.strong, at_labels)
    student = trained(unlabelled, s, columns.strong, at_pool)
    pools = {share: labelled.mixed(unlabelled, share) for share in shares}
    ceilings = {share: trained(pool, s, columns.strong, pool.mean) for share, pool in pools.items()}
    cross = student.to.T @ unlabelled.covariance[s, w] @ teacher.to
    power = teacher.to.T @ unlabelled.covariance[w, w] @ teacher.to
    moved = teacher.to.T @ (unlabelled.mean - labelled.mean)[w]
    return [
        ShiftedDirections(
            teacher=teacher.model(D + k, k, columns.weak_radii),
            student=student.model(None, k, columns.student_radii),
            baseline=baseline.model(D + k, k, columns.baseline_radii),
            cross=cross,
            power=power,
            moved=moved,
            ceilings={
                share: ceiling.model(D + k, k, columns.student_radii)
                for share, ceiling in ceilings.items()
            },
            noise_variance=noise_variance,
            intercept=intercept,
        )
        for k in range(len(labelled.mean) - D)
    ]


class _Trained(NamedTuple):
    """Directions of one model, with the forms of the tests for all targets."""

    law: Law
    part: slice
    variances: Array
    to: Array
    forms: list[tuple[Array, Array, Array]]

    def model(self, column: int | None, k: int, radii: Radii) -> Model:
        forms = tuple(Form(M, targets[:, k], float(p[k])) for M, targets, p in self.forms)
        if column is None:
            return Model(Features(np.zeros(len(self.variances)), 0.0, self.variances, radii), forms)
        covariance = self.law.covariance
        beta = self.to.T @ covariance[self.part, column]
        rho = max(float(covariance[column, column] - beta @ beta), 0.0)
        return Model(Features(beta, rho, self.variances, radii), forms)
