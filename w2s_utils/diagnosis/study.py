"""All teachers with all students, such as the layers of two models, in one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from numpy.typing import ArrayLike

from w2s_utils import _progress
from w2s_utils._files import code, digest, packages, read_json, write_atomically
from w2s_utils._validate import numpy_array
from w2s_utils.diagnosis.classification import LossName
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.pairs import Pair, diagnosed
from w2s_utils.diagnosis.rows import Rows, matrix_rows
from w2s_utils.diagnosis.second_pass import CHUNK

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, eq=False)
class Study:
    """What each teacher would give to each student.

    Attributes
    ----------
    n, N : int
        Labels and pseudo-labels.
    table : DataFrame
        One row a pair: ``teacher`` and ``student``, their names; ``d_w``, ``d_s`` and ``d_sw``, the
        paper's dimensions; ``variance``, that of the labels; then the columns of
        `Predicted.table`, in which ``weak`` is the teacher's and ``risk`` the student's risk. Of
        classes the same of the shares of wrong answers, ``errors_weak``, ``errors_student`` and so
        on.
    best : Diagnosis
        Of the pair whose student has the lowest risk.
    """

    n: int
    N: int
    table: pd.DataFrame
    best: Diagnosis

    @property
    def first(self) -> dict[str, Any]:
        """Row of the best pair."""
        found = self.table.sort_values("risk", kind="stable").to_dict("records")[0]
        return {str(name): value for name, value in found.items()}

    def matrix(self, column: str) -> pd.DataFrame:
        """A column of the table, teachers down and students across."""
        pairs = self.table["teacher"], self.table["student"]
        teachers, students = (names.unique() for names in pairs)
        found: pd.DataFrame = self.table.pivot(index="teacher", columns="student", values=column)
        return found.loc[teachers, students]


def study(
    teachers: Mapping[str, Rows],
    students: Mapping[str, Rows],
    labels: ArrayLike,
    *,
    n: int,
    N: int,
    noise_variance: float | None = None,
    replicates: ArrayLike | None = None,
    ridge: Literal["tuned"] | float | Sequence[float] = "tuned",
    energy: float = 1.0,
    classes: bool | None = None,
    loss: LossName = "squared",
    as_given: bool = False,
    group: ArrayLike | None = None,
    checkpoints: str | Path | None = None,
    cluster: str | Client | None = None,
) -> Study:
    """Diagnose all pairs of some teachers with some students.

    Parameters
    ----------
    teachers, students : mapping of str to (M, width) matrix
        Features of the same M inputs under the names of their models or layers.
    labels, noise_variance, replicates, ridge, energy, classes, loss, as_given, group
        As in `diagnose`.
    n, N : int
        Labels and pseudo-labels.
    checkpoints : str or Path, optional
        Folder for finished pairs: a study that was stopped goes on where it was, and one with more
        layers adds theirs. They depend on contents, options and versions, not on names.
    cluster : str or distributed.Client, optional
        A Dask scheduler, or its address, to diagnose there, as in `sweeps.run`. Files that are
        mapped are opened by the workers under the same path; other features are sent.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        As `diagnose`, with the names of the pair, or if there is no teacher or no student.
    WorkerError
        If a worker computes with other code or versions than this process, or the workers are
        lost. Pairs finished before are kept in `checkpoints`.

    Notes
    -----
    What is found of a student's features serves all its teachers. Shows its progress on a terminal.
    """
    for kind, given in (("teacher", teachers), ("student", students)):
        if not given:
            raise ValueError(f"Give at least one {kind}.")
    how: dict[str, Any] = {
        "labels": labels, "replicates": replicates, "group": group, "n": n, "N": N,
        "noise_variance": noise_variance, "ridge": ridge, "energy": energy, "classes": classes,
        "loss": loss, "as_given": as_given,
    }  # fmt: skip
    place = _places(Path(checkpoints), teachers, students, how) if checkpoints else {}
    pairs = [(teacher, student) for student in students for teacher in teachers]
    records = {pair: read_json(path, risk=float) for pair, path in place.items()}
    missing = [pair for pair in pairs if records.get(pair) is None]
    new: dict[Pair, Diagnosis] = {}

    def found(some: Sequence[Pair]) -> Iterator[tuple[Pair, Diagnosis]]:
        for pair, d in diagnosed(some, teachers, students, how, cluster):
            if isinstance(d, str):
                raise ValueError("Teacher {}, student {}: {}".format(*pair, d))
            yield pair, d

    with _progress.reported("pairs") as progress:
        for pair, d in found(missing):
            new[pair], records[pair] = d, (record := _record(d))
            if pair in place:
                write_atomically(place[pair], json.dumps(record))
            progress(len(pairs) - len(missing) + len(new), len(pairs))
    names = [{"teacher": teacher, "student": student} for teacher, student in pairs]
    table = pd.DataFrame(
        [named | (records[pair] or {}) for named, pair in zip(names, pairs, strict=True)]
    )
    if table["risk"].isna().all():
        raise ValueError(f"No pair has a prediction at n = {n}, N = {N}: give other sizes.")
    first = pairs[int(table["risk"].argmin())]
    best = new[first] if first in new else next(found([first]))[1]
    return Study(n, N, table, best)


def _record(d: Diagnosis) -> dict[str, Any]:
    """What the table says of a pair."""
    paper, bands = d.ridgeless, d.table().drop(columns=["n", "N"])
    bands.columns = bands.columns.str.replace("student", "risk")
    if d.classification is not None:
        errors = d.classification.errors.table().drop(columns=["n", "N"])
        bands = pd.concat([bands, errors.add_prefix("errors_")], axis=1)
    measured = {
        "d_w": paper.d_w,
        "d_s": paper.d_s,
        "d_sw": paper.correlation.estimate,
        "variance": float(d.prediction.whole["power"]),
    }
    return measured | {str(name): float(value) for name, value in bands.iloc[0].items()}


def _places(
    folder: Path,
    teachers: Mapping[str, Rows],
    students: Mapping[str, Rows],
    how: Mapping[str, Any],
) -> dict[Pair, Path]:
    """File of each pair in a folder of finished ones."""
    folder.mkdir(parents=True, exist_ok=True)
    of_rows = {name: _plain(how[name]) for name in ("labels", "replicates", "group")}
    key = digest(code(__name__), packages(), {**how, **of_rows})
    weak, strong = (
        {name: _content(X, name) for name, X in given.items()} for given in (teachers, students)
    )
    return {
        (teacher, student): folder / f"{digest(key, weak[teacher], strong[student])}.json"
        for teacher in teachers
        for student in students
    }


def _content(X: Rows, name: str) -> str:
    """Digest of a matrix, some rows at a time."""
    step = max(CHUNK // X.shape[-1], 1)
    starts = range(0, matrix_rows(X, name), step)
    return digest([digest(numpy_array(X[start : start + step])) for start in starts])


def _plain(values: ArrayLike | None) -> Any:
    """Labels as a digest takes them."""
    if values is None:
        return None
    array = numpy_array(values)
    return array.astype(str) if array.dtype.kind not in "biuf" else array
