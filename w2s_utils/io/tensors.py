"""Tensors of torch's files, without torch and without running what is pickled in them.

torch.save writes a zip archive: ROOT/data.pkl is a pickle of tensors that refer to their numbers,
which lie uncompressed in ROOT/data/KEY. The pickle may name any function of any module and call it.
`_TensorUnpickler` finds none of them, only the few inert stand-ins below.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from w2s_utils.io.bfloat16 import STORED, BFloat16
from w2s_utils.io.refusal import Refused, choose, refuse_expansion

_BFLOAT16 = "bfloat16"
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


class _Sparse(NamedTuple):
    layout: str
    parts: tuple[Any, ...]  # coordinates, values and shape; of csr first the ends of the rows


class _Call:
    """Stands for a function of torch; a pickle can do nothing to it but call it."""

    __slots__ = ()


class _Rebuild(_Call):
    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)


class _RebuildParameter(_Call):
    __slots__ = ()

    def __call__(self, tensor: Any, *_: Any) -> Any:
        return tensor


class _RebuildSparse(_Call):
    __slots__ = ()

    def __call__(self, layout: Any, parts: Any) -> _Sparse:
        return _Sparse(layout, tuple(parts))


class _Size(_Call):
    __slots__ = ()

    def __call__(self, numbers: Any) -> tuple[Any, ...]:
        return tuple(numbers)


_INERT: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _Rebuild,
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter,
    ("torch._utils", "_rebuild_sparse_tensor"): _RebuildSparse,
    ("torch", "Size"): _Size,
    ("torch.serialization", "_get_layout"): lambda: str,  # called with the name of a layout
    ("collections", "OrderedDict"): lambda: OrderedDict,  # the empty hooks of every tensor
}


class _TensorUnpickler(pickle._Unpickler):  # Python's own: C's reserves memory as a file bids it
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) in _INERT:
            return _INERT[module, name]()
        unread = name.removesuffix("Storage") if module == "torch" else name
        if unread != name or (module, name) == ("torch._utils", "_rebuild_tensor_v3"):
            kind = "unusual type" if unread == name else f"type {unread}"
            raise Refused(
                f"holds a tensor of {kind}, which is not read: save floats, integers or truth "
                "values."
            )
        raise Refused(
            f"asks for {module}.{name}, which is not read because it could run code: save a "
            "tensor of floats, integers or truth values, or a dict of them."
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size = pid  # the fourth is the device
        if kind != "storage" or dtype not in _DTYPES.values() or not isinstance(key, str):
            raise ValueError("unknown kind of storage")
        return _Storage(dtype, key, size)


def read_pt(path: Path, name: str) -> NDArray[Any]:
    """Read the tensor of a file, or one of nested dicts and lists by its keys, joined by dots."""
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
        if isinstance(content, _Tensor | _Sparse):
            choose([], name)
        elif isinstance(content, dict | list | tuple):
            tensors = list(_tensors(content, "", set()))
            if not tensors:
                raise Refused("holds no tensor.")
            chosen = choose([key for key, _ in tensors], name)
            content = next(tensor for key, tensor in tensors if key == chosen)
        else:
            raise Refused(
                f"must hold a tensor, or a dict of tensors; got {type(content).__name__}."
            )

        def elements(tensor: _Tensor) -> NDArray[Any]:
            return _elements(tensor, _stored(archive, f"{root}/data/{tensor.storage.key}"))

        return _dense(content, elements) if isinstance(content, _Sparse) else elements(content)


def _tensors(content: Any, prefix: str, above: set[int]) -> Iterator[tuple[str, _Tensor | _Sparse]]:
    """All tensors of nested dicts and lists, under their keys."""
    if isinstance(content, _Tensor | _Sparse):
        yield prefix, content
    elif isinstance(content, dict | list | tuple) and id(content) not in above:
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            if isinstance(key, str | int):
                name = f"{prefix}.{key}" if prefix else str(key)
                yield from _tensors(value, name, above | {id(content)})


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """Content of a member, which no compression makes larger than the file."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, which torch never does")
    return archive.read(name)


def _elements(tensor: _Tensor, content: bytes) -> NDArray[Any]:
    """Numbers of a tensor, after a check that all of them lie inside its storage."""
    storage, offset, shape, strides = tensor
    bfloat16 = storage.dtype == _BFLOAT16
    numbers = np.frombuffer(content, STORED if bfloat16 else storage.dtype)
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    fits = (
        all(type(number) is int and number >= 0 for number in (offset, *shape, *strides))
        and len(numbers) == storage.size
        and prod(shape) > 0
        and last < storage.size
    )
    if not fits:
        raise ValueError("a tensor does not fit its storage")
    refuse_expansion(prod(shape) * numbers.itemsize, len(content))  # a stride may be 0
    in_bytes = [step * numbers.itemsize for step in strides]
    values = as_strided(numbers[offset:], shape, in_bytes).copy()
    if bfloat16:
        return np.asarray(BFloat16(values))
    return values.view("u1") != 0 if storage.dtype == "?" else values


def _dense(sparse: _Sparse, elements: Callable[[_Tensor], NDArray[Any]]) -> NDArray[Any]:
    """Write a sparse matrix in full."""
    if sparse.layout not in ("torch.sparse_coo", "torch.sparse_csr"):
        raise Refused(
            f"holds a tensor of layout {sparse.layout}, which is not read: save it dense."
        )
    shape = tuple(sparse.parts[3 if sparse.layout == "torch.sparse_csr" else 2])
    tensors = [elements(part) for part in sparse.parts if isinstance(part, _Tensor)]
    if len(shape) != 2 or not all(type(size) is int and size > 0 for size in shape):
        raise Refused(f"holds a sparse tensor of shape {shape}, which is no matrix.")
    refuse_expansion(prod(shape) * tensors[-1].itemsize, sum(part.nbytes for part in tensors))
    *places, values = tensors
    if sparse.layout == "torch.sparse_coo":
        rows, columns = places[0]
    else:
        ends, columns = places
        if ends[0] != 0 or ends[-1] != len(columns):
            raise ValueError("the rows of a sparse tensor do not hold its values")
        rows = np.repeat(np.arange(shape[0]), np.diff(ends))
    if (
        len({len(rows), len(columns), len(values)}) > 1
        or np.minimum(rows, columns).min(initial=0) < 0
    ):
        raise ValueError("a sparse tensor has values without a place")
    dense = np.zeros(shape, values.dtype)
    np.add.at(dense, (rows, columns), values)  # which checks that they lie inside
    return dense
