"""Files that are whole or not there, arrays whose files vouch for themselves, and keys of both."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from importlib.util import resolve_name
from io import BytesIO
from itertools import accumulate
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
    """Write an .npy file atomically, with a SHA-256 of its name and content appended.

    NumPy reads it as any other .npy file. Under another name it does not vouch for itself.
    """
    content = npy_bytes(values)
    write_atomically(path, content + _hash((path.name, content)))


def read_array(path: Path) -> NDArray[Any] | None:
    """Read what `write_array` wrote; None if it is missing, damaged, altered or renamed."""
    import numpy as np

    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    content, signature = stored[:-32], stored[-32:]
    if _hash((path.name, content)) != signature:
        return None
    values: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    return values


def kept(path: Path, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Read what `write_array` wrote, or compute and write it."""
    values = read_array(path)
    if values is None:
        values = compute()
        write_array(path, values)
    return values


def digest(*parts: object) -> str:
    """SHA-256 of values, as hexadecimal digits: a key of what depends on nothing but them.

    Parameters
    ----------
    *parts : array, number, str, bytes, None, Path, or sequence or mapping of such
        Of a path the content of the file counts, of a mapping not the order. Values of different
        types, shapes or nesting have different digests.

    Raises
    ------
    TypeError
        If a part is of another type.
    """
    return _hash(parts).hex()


def _hash(part: object) -> bytes:
    # Hashes have one length, so that those of a sequence or mapping tell where each part ends.
    if isinstance(part, Mapping):
        kind, content = "mapping", b"".join(sorted(_hash(item) for item in part.items()))
    elif isinstance(part, list | tuple):
        kind, content = "sequence", b"".join(map(_hash, part))
    elif isinstance(part, Path):
        with part.open("rb") as file:
            kind, content = "file", hashlib.file_digest(file, "sha256").digest()
    elif isinstance(part, bytes):
        kind, content = "bytes", part
    elif part is None or isinstance(part, str | int | float):
        kind, content = type(part).__name__, repr(part).encode()
    elif (dtype := getattr(part, "dtype", None)) is not None and not dtype.hasobject:
        array: Any = part
        kind, content = f"array {dtype.str} {array.shape}", array.tobytes()
    else:
        raise TypeError(f"No digest is defined for {type(part).__name__}.")
    return hashlib.sha256(f"{kind}:".encode() + content).digest()


def code(module: str) -> str:
    """Digest of the sources of a module and of all that it imports, directly or not, beside it.

    Parameters
    ----------
    module : str
        Its full name. Imports of this package are followed, wherever they stand; other packages
        are known by their versions.
    """
    sources: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in sources and (source := _source(name)) is not None:
            sources[name] = source
            waiting += _imports(name, source)
    # The packages around them run too, but what they offer beside is not used.
    around = {part for name in sources for part in accumulate(name.split("."), "{}.{}".format)}
    return digest({name: _source(name) for name in around})


def packages() -> list[str]:
    """Names and versions of all installed packages, in order."""
    found = (
        package.metadata for package in metadata.distributions()
    )  # read once, not for each field
    return sorted(f"{about['Name']}=={about['Version']}" for about in found)


def _source(module: str) -> Path | None:
    """File of a module of this package; None if there is none, as for a function in one."""
    package, *inner = module.split(".")
    folder = Path(__file__).parent
    place = folder.joinpath(*inner)
    files = (place.with_suffix(".py"), place / "__init__.py") if package == folder.name else ()
    return next((file for file in files if file.is_file()), None)


def _imports(module: str, source: Path) -> Iterator[str]:
    """Names of all modules that a module may import."""
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                part = f"{origin}.{alias.name}"
                yield part if _source(part) else origin
