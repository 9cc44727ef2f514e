"""Files that are whole or not there, and arrays whose files vouch for themselves."""

from __future__ import annotations

import hashlib
import json
import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOURCES = ("_config.yml", "_toc.yml", "book", "notebooks", "w2s_utils")
"""What a book is made of, in its project's folder."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename it.

    Parameters
    ----------
    path : Path
        Its folder must exist. A symbolic link stays: the file that it leads to is written.
    content : bytes or str
        Text is written as UTF-8.
    """
    path = path.resolve()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
        unfinished.replace(path)
    except OSError:  # a full disk gets its space back
        unfinished.unlink(missing_ok=True)
        raise


def read_json(path: Path, **fields: type) -> dict[str, Any] | None:
    """Read an object with fields of these types; None if it is missing, damaged or another."""
    try:
        content = json.loads(path.read_bytes())
        if {name: type(content[name]) for name in fields} == fields and isinstance(content, dict):
            return content
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass
    return None


def check_output(path: Path) -> None:
    """Refuse to replace what is no regular file, or a source of the book.

    Raises
    ------
    ValueError
        If something of that kind is there.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is there and is no regular file: give the output another name.")
    place = path.resolve()
    for root in place.parents:
        is_project = (root / "_config.yml").is_file() and (root / "notebooks").is_dir()
        if is_project and place.exists() and place.relative_to(root).parts[0] in SOURCES:
            raise ValueError(f"{path} is a source of the book: give the output another name.")


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
