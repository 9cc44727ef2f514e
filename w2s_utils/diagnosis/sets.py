"""Labelled, unlabelled and test inputs, read as one matrix and told apart by where rows lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils.diagnosis.labels import Labels
from w2s_utils.diagnosis.rows import Rows, matrix_rows

ROLES = ("labelled", "unlabelled", "test")


class Inputs(NamedTuple):
    """Both feature sets of the same inputs, and their labels if these are known."""

    weak: Rows
    strong: Rows
    labels: Labels | None


class Stacked:
    """Matrices one above the other, whose rows are read from one of them at a time."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self.parts = parts
        self.starts = np.cumsum([0, *(part.shape[0] for part in parts)])
        self.shape = int(self.starts[-1]), parts[0].shape[1]

    def __getitem__(self, rows: slice) -> Any:
        """Rows that all lie in one part."""
        i = int(np.searchsorted(self.starts, rows.start, "right")) - 1
        return self.parts[i][rows.start - self.starts[i] : rows.stop - self.starts[i]]

    def chunks(self, step: int) -> list[tuple[int, slice]]:
        """Runs of rows that lie in one part, with its number."""
        return [
            (i, slice(int(first), int(min(first + step, stop))))
            for i, (start, stop) in enumerate(zip(self.starts, self.starts[1:], strict=False))
            for first in range(start, stop, step)
        ]


class Selected:
    """Some rows of a matrix, which is not copied."""

    def __init__(self, features: Rows, which: NDArray[np.bool_]) -> None:
        self.features, self.places = features, np.flatnonzero(which)
        self.shape = len(self.places), features.shape[1]

    def __getitem__(self, rows: slice) -> Any:
        """Read those of the chosen rows."""
        places = self.places[rows]
        if not len(places):
            return np.asarray(self.features[:0])
        return np.asarray(self.features[int(places[0]) : int(places[-1]) + 1])[places - places[0]]


def check_inputs(sets: Mapping[str, Inputs]) -> None:
    """Raise ValueError if rows of a set, or columns of two sets, do not fit."""
    first = next(iter(sets.values()))
    for role, inputs in sets.items():
        rows = [matrix_rows(X, f"{name} ({role})") for name, X in _pair(inputs)]
        counts = {"weak": rows[0], "strong": rows[1]}
        if inputs.labels is not None:
            counts["labels"] = len(inputs.labels)
        if len(set(counts.values())) > 1:
            came = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise ValueError(f"All {role} inputs need the same number of rows: {came}.")
        for (name, X), (_, known) in zip(_pair(inputs), _pair(first), strict=True):
            if X.shape[1] != known.shape[1]:
                raise ValueError(
                    f"The {name} features need the same columns in all sets: {known.shape[1]} of "
                    f"the labelled inputs, got {X.shape[1]} of the {role} ones."
                )


def _pair(inputs: Inputs) -> Iterator[tuple[str, Rows]]:
    yield from (("weak", inputs.weak), ("strong", inputs.strong))


def read_split(split: ArrayLike, rows: int) -> dict[str, NDArray[np.bool_]]:
    """Which rows are labelled, unlabelled and test ones, from a word for each row.

    Raises
    ------
    ValueError
        If there are other words, another number of them, or no labelled or test rows.
    """
    words = np.asarray(split, object)
    if words.shape != (rows,):
        raise ValueError(f"split must hold a word for each of {rows} rows, got {words.shape}.")
    strange = next((word for word in words if word not in ROLES), None)
    if strange is not None:
        raise ValueError(
            f"split must say {', '.join(ROLES[:-1])} or {ROLES[-1]} of each row, got {strange!r}."
        )
    found = {role: words == role for role in ROLES}
    for role in ("labelled", "test"):
        if not found[role].any():
            raise ValueError(f"split must say of some rows that they are {role}, got none.")
    return found
