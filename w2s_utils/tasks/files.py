"""Features and labels from files of your own, without running any code that is in them.

A file of NumPy or of torch can hold pickled objects, and to unpickle an object is to run what its
author wrote. So nothing here unpickles one: arrays of numbers are read, all else is refused.

A file is named by its path. One of several arrays in it is named behind two colons, as in
``features.npz::student``.
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

from w2s_utils._validate import Array, real_array


def read_features(file: str | Path) -> Array:
    """Read a matrix of features.

    Parameters
    ----------
    file : str or Path
        A file ending in .npy, .npz, .pt or .pth, with ``::NAME`` behind it for one of several.

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


def read_labels(file: str | Path) -> Array:
    """Read a vector of labels.

    Parameters
    ----------
    file : str or Path
        As in `read_features`.

    Returns
    -------
    (M,) float64 array
        One label a sample.

    Raises
    ------
    ValueError
        As in `read_features`, for anything but a finite vector of real numbers.
    """
    return real_array(_read(file), f"{file}", 1)


class _Refused(ValueError):
    """The file is readable, and what it holds is not wanted."""


def _read(file: str | Path) -> NDArray[Any]:
    place, _, name = str(file).partition("::")
    path = Path(place)
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    reader = _READERS.get(path.suffix.lower())
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


def _read_npz(path: Path, name: str) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist()]
        content = archive.read(f"{_choose(names, name)}.npy")  # whole, so that its CRC is checked
    return _parse_npy(io.BytesIO(content))


def _parse_npy(file: BinaryIO) -> NDArray[Any]:
    header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    _, _, dtype = header[npy.read_magic(file)](file)  # the third version is for names of fields
    if dtype.hasobject:
        raise _Refused(
            "holds an array of Python objects, which is not read because it could run code: "
            "save an array of numbers."
        )
    file.seek(0)
    array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array


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


_READERS: dict[str, Callable[[Path, str], NDArray[Any]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".pt": _read_pt,
    ".pth": _read_pt,
}
