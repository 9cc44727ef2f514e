"""Numbers of bfloat16, which NumPy has not: two bytes, the upper half of a float of four."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STORED = np.dtype("<u2")  # how the two bytes are read


@dataclass(frozen=True, eq=False)
class BFloat16:
    """An array of bfloat16 that gives its numbers as float32, those that are asked for.

    Attributes
    ----------
    stored : ndarray of uint16
        The numbers as they are in a file, which may be mapped.
    """

    stored: NDArray[np.uint16]

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Type that the numbers are given in."""
        return np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.stored.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.stored.ndim

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        numbers: NDArray[np.float32] = (self.stored[rows].astype("<u4") << 16).view("<f4")
        return numbers

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[...].astype(dtype or np.float32, copy=False)
