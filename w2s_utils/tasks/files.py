"""Features and labels from files of your own, without running any code that is in them.

A file of NumPy or of torch can hold pickled objects, and to unpickle an object is to run what its
author wrote. So nothing here unpickles one: arrays of numbers are read, all else is refused.

A file is named by its path. One of several arrays in it is named behind two colons, as in
``features.npz::student``, and so is a column of a table (`w2s_utils.io.tables`), as in
``people.csv::age``.
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
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from w2s_utils._files import printable, require_file
from w2s_utils._validate import Array, real_array, resembles_number
from w2s_utils.io.refusal import Refused, choose, refuse_expansion
from w2s_utils.io.tables import read_csv, read_parquet


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
    return _numbers(_read(file), file, 2)


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
        kind = "text" if array.dtype == object else f"dtype {array.dtype}"
        raise ValueError(
            f"{_shown(file)} must hold a matrix of real numbers, got shape {array.shape} and "
            f"{kind}."
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
    (M,) float64 array, or object array of str
        One label a sample; a matrix of one column counts as a vector.

    Raises
    ------
    ValueError
        As in `read_features`, for anything but a finite vector of real numbers, or of strings if
        these are accepted and are no numbers written in an unknown way.
    """
    array = _read(file)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if not names or array.ndim != 1 or array.dtype.kind not in "UO":
        return _numbers(array, file, 1)
    classes = _classes(array, file)
    lacking = sum(name is None for name in classes)
    if lacking:
        raise ValueError(f"{_shown(file)} lacks {lacking} of its {len(classes)} labels.")
    return classes


def read_replicates(file: str | Path) -> NDArray[Any]:
    """Read further labels of the same inputs.

    Parameters
    ----------
    file : str or Path
        As in `read_features`.

    Returns
    -------
    (M,) or (M, r) array
        Of the file's own type, strings as objects; NaN or None where a label is missing.

    Raises
    ------
    ValueError
        If there is no such file or array, it is damaged, or it holds anything but a vector or a
        matrix of real numbers, or of strings.
    """
    array = _read(file)
    if array.dtype.kind not in "biufUO" or array.ndim not in (1, 2):
        raise ValueError(
            f"{_shown(file)} must hold a vector or a matrix of labels, got shape {array.shape} and "
            f"dtype {array.dtype}."
        )
    return _classes(array, file) if array.dtype.kind in "UO" else array


def _numbers(array: NDArray[Any], file: str | Path, ndim: int) -> Array:
    if array.dtype == object:
        raise ValueError(f"{_shown(file)} must hold real numbers, got text.")
    return real_array(array, _shown(file), ndim)


def _classes(array: NDArray[Any], file: str | Path) -> NDArray[Any]:
    """Names of classes as objects, after a check that none is a number in other clothes."""
    names = array.astype(object)
    for name in {name for name in names.ravel() if name is not None}:
        if resembles_number(name) and not name.lstrip("+-").isdecimal():
            raise ValueError(
                f"{_shown(file)} holds {name!r} as text, which is no name of a class: save numbers "
                "as numbers, and name classes by words or whole numbers."
            )
    return names


def _shown(file: str | Path) -> str:
    return printable(str(file))


def _read(file: str | Path, mapped: bool = False) -> NDArray[Any]:
    place, _, name = str(file).partition("::")
    path = Path(place)
    require_file(path)
    kind = path.suffix.lower()
    reader = _map_npy if mapped and kind == ".npy" else _READERS.get(kind)
    if reader is None:
        raise ValueError(
            f"{_shown(path)} must end in {', '.join(_READERS)}: save the array as one of them."
        )
    try:
        return reader(path, name)
    except Refused as refused:
        raise ValueError(printable(f"{path} {refused}")) from None
    except Exception as error:  # whatever a parser stumbles over in a damaged file
        reason = shorten(str(error), 200) or type(error).__name__
        raise ValueError(
            printable(
                f"{path} cannot be read as {path.suffix}: it is damaged or of another kind "
                f"({reason})."
            )
        ) from error


# --- NumPy ----------------------------------------------------------------------------------------


def _read_npy(path: Path, name: str) -> NDArray[Any]:
    choose([], name)
    with path.open("rb") as file:
        return _parse_npy(file)


def _map_npy(path: Path, name: str) -> NDArray[Any]:
    choose([], name)
    with path.open("rb") as file:
        _refuse_objects(file)
    array: NDArray[Any] = npy.open_memmap(path, mode="r")
    return array


def _read_npz(path: Path, name: str) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist()]
        member = archive.getinfo(f"{choose(names, name)}.npy")
        refuse_expansion(member.file_size, member.compress_size)
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
        raise Refused(
            "holds an array of Python objects, which is not read because it could run code: "
            "save an array of numbers."
        )


# --- torch ----------------------------------------------------------------------------------------
#
# torch.save writes a zip archive: ROOT/data.pkl is a pickle of tensors that refer to their numbers,
# which lie uncompressed in ROOT/data/KEY. The pickle may name any function of any module and call
# it. `_TensorUnpickler` finds none of them, only the few inert stand-ins below.


_BFLOAT16 = "V2"  # which NumPy has not: two bytes, the upper half of a float of four
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
    "BFloat16Storage": _BFLOAT16,
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
        if module == "torch" and name.endswith("Storage"):
            raise Refused(
                f"holds a tensor of type {name.removesuffix('Storage')}, which is not read: save "
                "floats, integers or truth values."
            )
        raise Refused(
            f"asks for {module}.{name}, which is not read because it could run code: save a dense "
            "tensor of floats, integers or truth values, or a dict of them."
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size = pid  # the fourth is the device
        if kind != "storage" or dtype not in _DTYPES.values() or not isinstance(key, str):
            raise ValueError("unknown kind of storage")
        return _Storage(dtype, key, size)


def _read_pt(path: Path, name: str) -> NDArray[Any]:
    if not zipfile.is_zipfile(path):
        raise Refused(
            "is not a zip archive as torch.save writes it since torch 1.6: save the tensor anew, "
            "or as .npy."
        )
    with zipfile.ZipFile(path) as archive:
        (pickled,) = (m for m in archive.namelist() if m.endswith("/data.pkl"))
        root = pickled.removesuffix("/data.pkl")
        order = f"{root}/byteorder"
        if order in archive.namelist() and _stored(archive, order) != b"little":
            raise Refused("was written on a big-endian machine: save it as .npy there.")
        content = _TensorUnpickler(io.BytesIO(_stored(archive, pickled))).load()
        if isinstance(content, dict):
            tensors = {key: value for key, value in content.items() if isinstance(value, _Tensor)}
            if not tensors:
                raise Refused("holds no tensor.")
            content = tensors[choose([key for key in tensors if isinstance(key, str)], name)]
        else:
            choose([], name)
        if not isinstance(content, _Tensor):
            raise Refused(
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
    values = as_strided(numbers[offset:], shape, in_bytes).copy()
    if storage.dtype == _BFLOAT16:
        return (values.view("<u2").astype("<u4") << 16).view("<f4")
    return values.view("u1") != 0 if storage.dtype == "?" else values


_READERS: dict[str, Callable[[Path, str], NDArray[Any]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".pt": _read_pt,
    ".pth": _read_pt,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
