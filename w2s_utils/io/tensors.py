"""Tensors of torch's files, without torch and without running what is pickled in them.

torch.save writes a zip archive: ROOT/data.pkl is a pickle of tensors that refer to their numbers,
which lie uncompressed in ROOT/data/KEY. The pickle may name any function of any module and call it.
`_TensorUnpickler` finds none of them, only the few inert stand-ins below.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from w2s_utils.io.refusal import Refused, choose

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


def read_pt(path: Path, name: str) -> NDArray[Any]:
    """Read the tensor of a file, or one of a dict of tensors by its key."""
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
        content = _TensorUnpickler(BytesIO(_stored(archive, pickled))).load()
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
