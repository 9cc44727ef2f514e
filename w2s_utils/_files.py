"""Files that are whole or not there."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename it.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    content : bytes or str
        Text is written as UTF-8.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
    unfinished.replace(path)


def npy_bytes(values: NDArray[Any]) -> bytes:
    """Content of the .npy file that holds an array."""
    import numpy as np  # here, as the command line starts faster without it

    buffer = BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
