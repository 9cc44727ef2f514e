"""Features and labels from files of your own, without running any code that is in them.

A file of NumPy or of torch can hold pickled objects, and to unpickle an object is to run what its
author wrote. So nothing here unpickles one: arrays of numbers are read, all else is refused.

A file is named by its path. One of several arrays in it is named behind two colons, as in
``features.npz::student``, and so is a column of a table, as in ``people.csv::age``. The first line
of a .csv file names the columns unless it is all numbers; 0, 1, 2 and so on are names, too.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from w2s_utils._validate import Array, real_array

if TYPE_CHECKING:
    import pandas as pd


def read_features(file: str | Path) -> Array:
    """Read a matrix of features.

    Parameters
    ----------
    file : str or Path
        A file ending in .npy, .npz, .pt, .pth, .csv or .parquet, with ``::NAME`` behind it for one
        of several.

    Returns
    -------
    (M, width) float64 array
        One row a sample.

    Raises
    ------
    ValueError
        If there is no such file or array, it is damaged, or it holds anything but a finite matrix
        of real numbers.
    """
    return real_array(_read(file), f"{file}", 2)


def open_features(file: str | Path) -> NDArray[Any]:
    """Open a matrix of features that may be larger than memory.

    Parameters
    ----------
    file : str or Path
        As in `read_features`. A .npy file is memory-mapped; others are read whole.

    Returns
    -------
    (M, width) array
        Of the file's own type. Its values are not read, and so not checked.

    Raises
    ------
    ValueError
        If there is no such file or array, it is damaged, or it holds anything but a matrix of real
        numbers.
    """
    array = _read(file, mapped=True)
    if array.dtype.kind not in "biuf" or array.ndim != 2:
        raise ValueError(
            f"{file} must hold a matrix of real numbers, got shape {array.shape} and dtype "
            f"{array.dtype}."
        )
    return array


def read_labels(file: str | Path, names: bool = False) -> NDArray[Any]:
    """Read a vector of labels.

    Parameters
    ----------
    file : str or Path
        As in `read_features`.
    names : bool
        Accept strings, too, as names of classes.

    Returns
    -------
    (M,) float64 array, or array of str
        One label a sample; a matrix of one column counts as a vector.

    Raises
    ------
    ValueError
        As in `read_features`, for anything but a finite vector of real numbers, or of strings if
        these are accepted.
    """
    array = _read(file)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if names and array.ndim == 1 and array.dtype.kind == "U":
        return array
    return real_array(array, f"{file}", 1)


def read_replicates(file: str | Path) -> NDArray[Any]:
    """Read further labels of the same inputs.

    Parameters
    ----------
    file : str or Path
        As in `read_features`.

    Returns
    -------
    (M,) or (M, r) array
        Of the file's own type; NaN where a label is missing.

    Raises
    ------
    ValueError
        If there is no such file or array, it is damaged, or it holds anything but a vector or a
        matrix of real numbers, or of strings.
    """
    array = _read(file)
    if array.dtype.kind not in "biufU" or array.ndim not in (1, 2):
        raise ValueError(
            f"{file} must hold a vector or a matrix of labels, got shape {array.shape} and dtype "
            f"{array.dtype}."
        )
    return array


MAX_BYTES, MAX_EXPANSION = 2**28, 100
"""An array in an .npz file may have more than 256 MiB only if compression made it at most 100 times
smaller."""


class _Refused(ValueError):
    """The file is readable, and what it holds is not wanted."""


def _read(file: str | Path, mapped: bool = False) -> NDArray[Any]:
    place, _, name = str(file).partition("::")
    path = Path(place)
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    kind = path.suffix.lower()
    reader = _map_npy if mapped and kind == ".npy" else _READERS.get(kind)
    if reader is None:
        raise ValueError(
            f"{path} must end in {', '.join(_READERS)}: save the array as one of them."
        )
    try:
        return reader(path, name)
    except _Refused as refused:
        raise ValueError(f"{path} {refused}") from None
    except Exception as error:  # whatever a parser stumbles over in a damaged file
        reason = shorten(str(error), 200) or type(error).__name__
        raise ValueError(
            f"{path} cannot be read as {path.suffix}: it is damaged or of another kind ({reason})."
        ) from error


# --- NumPy ----------------------------------------------------------------------------------------


def _read_npy(path: Path, name: str) -> NDArray[Any]:
    _choose([], name)
    with path.open("rb") as file:
        return _parse_npy(file)


def _map_npy(path: Path, name: str) -> NDArray[Any]:
    _choose([], name)
    with path.open("rb") as file:
        _refuse_objects(file)
    array: NDArray[Any] = npy.open_memmap(path, mode="r")
    return array


def _read_npz(path: Path, name: str) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist()]
        member = archive.getinfo(f"{_choose(names, name)}.npy")
        if member.file_size > max(MAX_BYTES, MAX_EXPANSION * member.compress_size):
            raise _Refused(
                f"would grow {MAX_EXPANSION}-fold or more, to {member.file_size} bytes, which no "
                "features do: save them without compression."
            )
        content = archive.read(member)  # whole, so that its CRC is checked
    return _parse_npy(io.BytesIO(content))


def _parse_npy(file: BinaryIO) -> NDArray[Any]:
    _refuse_objects(file)
    file.seek(0)
    array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array


def _refuse_objects(file: BinaryIO) -> None:
    header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    _, _, dtype = header[npy.read_magic(file)](file)  # the third version is for names of fields
    if dtype.hasobject:
        raise _Refused(
            "holds an array of Python objects, which is not read because it could run code: "
            "save an array of numbers."
        )


def _choose(names: list[str], name: str) -> str:
    """Pick the named array of a file, or its only one."""
    shown = ", ".join(sorted(names)) or "one array without a name"
    if not name and len(names) == 1:
        return names[0]
    if name and name not in names:
        raise _Refused(f"has no array {name!r}; it holds {shown}.")
    if not name and names:
        raise _Refused(f"holds {len(names)} arrays: add ::NAME to choose one of {shown}.")
    return name


# --- torch ----------------------------------------------------------------------------------------
#
# torch.save writes a zip archive: ROOT/data.pkl is a pickle of tensors that refer to their numbers,
# which lie uncompressed in ROOT/data/KEY. The pickle may name any function of any module and call
# it. `_TensorUnpickler` finds none of them, only the few inert stand-ins below.


_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
}


class _Storage(NamedTuple):
    dtype: str
    key: str
    size: int  # in elements


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int  # in elements, as the strides
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Rebuild:
    """Stands for `torch._utils._rebuild_tensor_v2`; a pickle can do nothing to it but call it."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)


class _TensorUnpickler(pickle._Unpickler):  # Python's own: C's reserves memory as a file bids it
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if (module, name) == ("collections", "OrderedDict"):  # the empty hooks of every tensor
            return OrderedDict
        raise _Refused(
            f"asks for {module}.{name}, which is not read because it could run code: save a dense "
            "tensor of floats or integers, or a dict of them."
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size = pid  # the fourth is the device
        if kind != "storage" or dtype not in _DTYPES.values() or not isinstance(key, str):
            raise ValueError("unknown kind of storage")
        return _Storage(dtype, key, size)


def _read_pt(path: Path, name: str) -> NDArray[Any]:
    if not zipfile.is_zipfile(path):
        raise _Refused(
            "is not a zip archive as torch.save writes it since torch 1.6: save the tensor anew, "
            "or as .npy."
        )
    with zipfile.ZipFile(path) as archive:
        (pickled,) = (m for m in archive.namelist() if m.endswith("/data.pkl"))
        root = pickled.removesuffix("/data.pkl")
        order = f"{root}/byteorder"
        if order in archive.namelist() and _stored(archive, order) != b"little":
            raise _Refused("was written on a big-endian machine: save it as .npy there.")
        content = _TensorUnpickler(io.BytesIO(_stored(archive, pickled))).load()
        if isinstance(content, dict):
            tensors = {key: value for key, value in content.items() if isinstance(value, _Tensor)}
            if not tensors:
                raise _Refused("holds no tensor.")
            content = tensors[_choose([key for key in tensors if isinstance(key, str)], name)]
        else:
            _choose([], name)
        if not isinstance(content, _Tensor):
            raise _Refused(
                f"must hold a tensor, or a dict of tensors; got {type(content).__name__}."
            )
        return _elements(content, _stored(archive, f"{root}/data/{content.storage.key}"))


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """Content of a member, which no compression makes larger than the file."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, which torch never does")
    return archive.read(name)


def _elements(tensor: _Tensor, content: bytes) -> NDArray[Any]:
    """Numbers of a tensor, after a check that all of them lie inside its storage."""
    storage, offset, shape, strides = tensor
    numbers = np.frombuffer(content, storage.dtype)
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    fits = (
        all(type(number) is int and number >= 0 for number in (offset, *shape, *strides))
        and len(numbers) == storage.size
        and 0 < prod(shape) <= storage.size  # no element twice, as in an expanded tensor
        and last < storage.size
    )
    if not fits:
        raise ValueError("a tensor does not fit its storage")
    in_bytes = [step * numbers.itemsize for step in strides]
    return as_strided(numbers[offset:], shape, in_bytes).copy()


# --- Tables ---------------------------------------------------------------------------------------


def _read_csv(path: Path, name: str) -> NDArray[Any]:
    import pandas as pd  # here, as the command line starts faster without it

    first = pd.read_csv(path, header=None, nrows=1)
    line = first.iloc[0].tolist()
    numbers = all(dtype.kind in "biuf" for dtype in first.dtypes)
    counted = len(line) > 2 and line == list(range(len(line)))  # as pandas names columns
    named = not numbers or counted or line[0] != line[0]
    table = pd.read_csv(path, header=0 if named else None)
    if named and not name and str(table.columns[0]).startswith("Unnamed:"):
        raise _Refused(
            "has a first column without a name, as pandas writes the numbers of the rows: save it "
            "with index=False, or choose a column with ::NAME."
        )
    return _columns(table, name)


def _read_parquet(path: Path, name: str) -> NDArray[Any]:
    import pandas as pd

    try:
        return _columns(pd.read_parquet(path), name)
    except ImportError:
        raise _Refused(
            "needs the package pyarrow: install it with `pip install pyarrow`, or save the array "
            "as .npy."
        ) from None


def _columns(table: pd.DataFrame, name: str) -> NDArray[Any]:
    """All columns of a table as a matrix, or the named one."""
    if name:
        table = table[[_choose([str(column) for column in table.columns], name)]]
    text = [column for column, dtype in table.dtypes.items() if dtype.kind not in "biuf"]
    if text and table.shape[1] > 1:
        raise _Refused(f"holds text in column {text[0]!r}: choose a column with ::NAME.")
    if text and table[text].isna().any(axis=None):
        raise _Refused(f"lacks a value in column {text[0]!r}.")
    return table.astype(str).to_numpy(dtype=np.str_) if text else table.to_numpy()


_READERS: dict[str, Callable[[Path, str], NDArray[Any]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".pt": _read_pt,
    ".pth": _read_pt,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
