"""Diagnoses of many pairs, here or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from w2s_utils.diagnosis.diagnose import Diagnosis, diagnose
from w2s_utils.diagnosis.rows import Reader, Rows
from w2s_utils.diagnosis.spread import Spread

if TYPE_CHECKING:
    from distributed import Client

TOGETHER = 4  # teachers of one student that a worker takes at once, as it reads the student once

Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class _Task:
    """Some teachers of one student, with the options of `diagnose`."""

    student: str
    strong: Reader
    teachers: Mapping[str, Rows]
    how: Mapping[str, Any]

    def diagnose(self) -> list[tuple[Pair, Diagnosis | str]]:
        """Diagnose each, or say what is wrong with it."""
        found: list[tuple[Pair, Diagnosis | str]] = []
        for teacher, weak in self.teachers.items():
            d: Diagnosis | str
            try:
                d = diagnose(weak, self.strong, **self.how)
            except ValueError as error:
                d = str(error)
            found.append(((teacher, self.student), d))
        return found


def diagnosed(
    pairs: Iterable[Pair],
    teachers: Mapping[str, Rows],
    students: Mapping[str, Rows],
    how: Mapping[str, Any],
    cluster: str | Client | None,
) -> Iterator[tuple[Pair, Diagnosis | str]]:
    """Diagnose pairs of a teacher and a student, or say what is wrong with one.

    What is found of a student's features serves all its teachers.

    Parameters
    ----------
    pairs : iterable of (teacher, student)
        Those of one student follow each other.
    teachers, students : mapping of str to matrix
    how
        Labels and options of `diagnose`.
    cluster : str or distributed.Client or None
        Where to compute, as in `sweeps.run`; pairs come as they are finished there.
    """

    def tasks() -> Iterator[_Task]:
        for student, of_student in groupby(pairs, itemgetter(1)):
            strong = Reader("strong", students[student])
            strong.shared = True
            names = (teacher for teacher, _ in of_student)
            while some := [*islice(names, TOGETHER if cluster else 1)]:
                yield _Task(student, strong, {name: weak[name] for name in some}, how)

    weak = teachers
    if len(students) > 1:  # what is found of a teacher is needed again
        weak = {name: Reader("weak", X) for name, X in teachers.items()}
    for together in Spread(cluster).results(task.diagnose for task in tasks()):
        yield from together
