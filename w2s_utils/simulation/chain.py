"""Risks of chains and committees: students of students, and of several teachers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._gram import moment_root, second_moment
from w2s_utils._validate import Array, count, real_array, same_rows, seeded
from w2s_utils.probes import fit_ridge
from w2s_utils.simulation.wishart import triangular_factor
from w2s_utils.theory.chain import Stage


def simulate_chain(
    teachers: Sequence[Stage],
    students: Sequence[Stage],
    target: ArrayLike,
    noise_variance: float,
    trials: int,
    seed: int | np.random.SeedSequence,
    *,
    shared_labels: bool = False,
    test: ArrayLike | None = None,
    method: Literal["wishart", "direct"] = "wishart",
) -> Array:
    """Draw the excess risks of a committee of teachers and of a chain of its students.

    Parameters
    ----------
    teachers : sequence of Stage
        The average of their answers is what the first student is taught; one makes a chain.
    students : sequence of Stage
        Each is taught by the one before, on fresh inputs; may be empty.
    target : (D,) array_like
        Coefficients beta.
    noise_variance : float
        Label noise sigma^2, in squared units of the target.
    trials : int
        Number of training sets.
    seed : int or SeedSequence
    shared_labels : bool
        Whether all teachers are fitted to the same labels, of which their number is the same.
    test : (D, D) array_like, optional
        Second moment of the inputs that count; the identity by default.
    method : {"wishart", "direct"}
        ``direct`` draws all inputs; ``wishart`` their triangular factors, as `simulate_shift`.

    Returns
    -------
    (trials, 1 + students) ndarray
        Risk of the committee and of each student, in squared units of the target.

    Raises
    ------
    ValueError
        If shapes do not fit, a count is no positive integer, `method` is unknown, or teachers that
        share labels have other numbers of them or other inputs.
    """
    draws = {"wishart": triangular_factor, "direct": _rows}
    if method not in draws:
        raise ValueError(f"method must be 'wishart' or 'direct', got {method!r}.")
    trials, rng = count(trials, "trials"), np.random.default_rng(seeded(seed))
    beta = real_array(target, "target", 1)
    models = {f"teachers[{i}]": one.features for i, one in enumerate(teachers)}
    models |= {f"students[{i}]": one.features for i, one in enumerate(students)}
    same_rows(**models, target=beta)
    if not teachers:
        raise ValueError("teachers must hold at least one, got none.")
    if shared_labels and len({(one.size, id(one.moment)) for one in teachers}) > 1:
        raise ValueError(
            "Teachers of the same labels must have one size and one moment, got sizes "
            f"{[one.size for one in teachers]}."
        )
    law = np.eye(len(beta)) if test is None else second_moment(test, "test", len(beta))
    draw, sigma = draws[method], np.sqrt(noise_variance)
    roots = {
        id(one.moment): None if one.moment is None else moment_root(one.moment)
        for one in (*teachers, *students)
    }

    def inputs(stage: Stage) -> tuple[Array, Array]:
        """Inputs of a training set, and unit noise."""
        root = roots[id(stage.moment)]
        drawn = draw(stage.size, (len(beta) if root is None else root.shape[1]) + 1, rng)
        Z = drawn[:, :-1]
        return (Z if root is None else Z @ root.T), drawn[:, -1]

    def fit(stage: Stage, Z: Array, told: Array) -> Array:
        # Triangular factors have fewer rows than the samples that the loss is the mean of.
        coefficients = fit_ridge(Z @ stage.features, told, stage.ridge * stage.size / len(Z))
        return np.asarray(stage.features @ coefficients)

    def trial() -> list[float]:
        first = inputs(teachers[0])
        sets = [first if shared_labels or i == 0 else inputs(t) for i, t in enumerate(teachers)]
        models = [
            fit(teacher, Z, Z @ beta + sigma * noise)
            for teacher, (Z, noise) in zip(teachers, sets, strict=True)
        ]
        answers = [np.mean(models, axis=0)]
        for student in students:
            Z, _ = inputs(student)
            answers.append(fit(student, Z, Z @ answers[-1]))
        errors = [answer - beta for answer in answers]
        return [float(error @ law @ error) for error in errors]

    return np.array([trial() for _ in range(trials)])


def _rows(rows: int, columns: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal((rows, columns))
