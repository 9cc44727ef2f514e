"""A matrix whose rows lie in several files, or in another order than they are wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import printable

LAYERED = "features.json"
"""What a folder holds beside files of layers, which are no parts of one matrix."""


def parts_of(path: Path, kinds: Sequence[str]) -> list[Path]:
    """Files of a folder or of a pattern in the order of the numbers in their names; else the path.

    Raises
    ------
    ValueError
        If there are none of these kinds, or of several.
    """
    if path.is_dir() and (path / LAYERED).exists():
        raise ValueError(
            f"{printable(str(path))} holds features of one or more layers: name one of its files, "
            "as in layer-06.npy, or give the folder to w2s rank."
        )
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in kinds]
    elif not path.exists() and re.search(r"[*?]", path.name):
        found = list(path.parent.glob(path.name.replace("[", "[[]")))
    else:
        return [path]
    shown = printable(str(path))
    if not found:
        raise ValueError(f"{shown} holds no file ending in {', '.join(kinds)}.")
    if len({file.suffix.lower() for file in found}) > 1:
        held = ", ".join(sorted({file.suffix for file in found}))
        raise ValueError(f"{shown} must hold files of one kind, it holds {held}.")
    return sorted(found, key=lambda file: _natural(file.name))


def layers_of(file: str) -> list[str]:
    """Files of a folder of layers, in the order of the layers; else the file itself."""
    folder = Path(file)
    if not (folder.is_dir() and (folder / LAYERED).exists()):
        return [file]
    found = sorted(folder.glob("layer-*.npy"), key=lambda layer: _natural(layer.name))
    return [str(layer) for layer in found] or [file]


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key by which shard-2 comes before shard-10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part)
            for part in re.split(r"(\d+)", name)]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shards:
    """Matrices one under the other, read when rows are asked for.

    Attributes
    ----------
    parts : sequence of matrices
        Of one width.
    """

    parts: Sequence[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that holds all parts."""
        found: np.dtype[Any] = np.result_type(*(part.dtype for part in self.parts))
        return found

    @property
    def shape(self) -> tuple[int, int]:
        """Rows of all parts, and their width."""
        return sum(map(len, self.parts)), self.parts[0].shape[1]

    @property
    def ndim(self) -> int:
        """Number of dimensions, 2."""
        return 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        if not isinstance(rows, slice):
            return self._picked(np.arange(len(self))[rows])
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self._picked(np.arange(start, stop, step))
        found, first = [], 0
        for part in self.parts:
            mine = slice(max(start - first, 0), min(max(stop - first, 0), len(part)))
            if mine.start < mine.stop:
                found.append(np.asarray(part[mine]))
            first += len(part)
        return np.concatenate(found) if found else np.empty((0, self.shape[1]), self.dtype)

    def _picked(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Rows of any order."""
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        first = 0
        for part in self.parts:
            here = (first <= rows) & (rows < first + len(part))
            if here.any():
                found[here] = part[rows[here] - first]
            first += len(part)
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class Picked:
    """Some rows of a matrix in an order of their own.

    Attributes
    ----------
    matrix : matrix
    rows : (M,) ndarray of int
        Row of the matrix that stands in each place.
    """

    matrix: Any
    rows: NDArray[np.intp]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the matrix."""
        found: np.dtype[Any] = self.matrix.dtype
        return found

    @property
    def shape(self) -> tuple[int, int]:
        """Number of the rows, and the matrix's width."""
        return len(self.rows), self.matrix.shape[1]

    @property
    def ndim(self) -> int:
        """Number of dimensions, 2."""
        return 2

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        wanted = self.rows[rows]
        order = np.argsort(wanted)  # a mapped file is read forwards
        found = np.empty((len(wanted), self.shape[1]), self.dtype)
        found[order] = self.matrix[wanted[order]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)
