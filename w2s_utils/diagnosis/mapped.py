"""Features in files that are mapped, and features in memory."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def let_go(features: Any) -> None:
    """Give the pages of mapped files back, which else count as our memory.

    Those of a private map hold its owner's changes.
    """
    for part in _parts(features):
        mapped, mode = (getattr(part, name, None) for name in ("_mmap", "mode"))
        if isinstance(mapped, mmap.mmap) and mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
        elif part is not features:
            let_go(part)


def _parts(features: Any) -> list[Any]:
    """Of shards, or of rows that are picked, what is below; else the features themselves."""
    found: list[Any] = getattr(features, "parts", [getattr(features, "matrix", features)])
    return found


def is_mapped(features: Any) -> bool:
    """Whether all that is in features is in files."""
    return all(
        isinstance(part, np.memmap) or (part is not features and is_mapped(part))
        for part in _parts(features)
    )


class Window:
    """Some rows of a matrix, at the places that they have in it."""

    def __init__(self, matrix: NDArray[Any], start: int, shape: tuple[int, ...]) -> None:
        self.matrix, self.start, self.shape = matrix, start, shape

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return self.matrix[rows.start - self.start : rows.stop - self.start]
