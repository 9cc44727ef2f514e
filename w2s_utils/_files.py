"""Files that are whole or not there, and arrays whose files vouch for themselves."""

from __future__ import annotations

import hashlib
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
    try:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
        unfinished.replace(path)
    except OSError:  # a full disk gets its space back
        unfinished.unlink(missing_ok=True)
        raise


def printable(text: str) -> str:
    """Return a text of unknown origin fit for a terminal: no control or escape characters."""
    return "".join(c if c.isprintable() else "?" for c in text)


def require_file(path: Path) -> None:
    """Raise ValueError unless there is a regular file: to open a pipe is to wait for its writer."""
    shown = printable(str(path))
    if not path.exists():
        raise ValueError(f"There is no file {shown}.")
    if not path.is_file():
        raise ValueError(f"{shown} is no regular file.")


def npy_bytes(values: NDArray[Any]) -> bytes:
    """Content of the .npy file that holds an array."""
    import numpy as np  # here, as the command line starts faster without it

    buffer = BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def write_array(path: Path, values: NDArray[Any]) -> None:
    """Write an .npy file atomically, with the SHA-256 of its content appended.

    NumPy reads it as any other .npy file.
    """
    content = npy_bytes(values)
    write_atomically(path, content + hashlib.sha256(content).digest())


def read_array(path: Path) -> NDArray[Any] | None:
    """Read what `write_array` wrote; None if it is missing, damaged or altered."""
    import numpy as np

    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    content, digest = stored[:-32], stored[-32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    values: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    return values
