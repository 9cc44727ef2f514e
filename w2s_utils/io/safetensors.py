"""Tensors of .safetensors files, mapped: the format holds numbers only, and nothing in it can run.

A file is the length of its header, eight bytes; the header, JSON that gives type, shape and place
of each tensor; and the numbers. The library of that name reads no bfloat16 without torch.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils.io.bfloat16 import STORED, BFloat16
from w2s_utils.io.refusal import Refused, choose

MAX_HEADER = 100_000_000  # bytes, as the format has it
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|u1",
    "BF16": STORED.str,
}  # fmt: skip


def map_safetensors(path: Path, name: str) -> NDArray[Any] | BFloat16:
    """Map one tensor of a file, by its name or as the only one."""
    header, start = _header(path)
    found = header[choose([name for name in header if name != "__metadata__"], name)]
    kind, shape, (begin, end) = found["dtype"], found["shape"], found["data_offsets"]
    if kind not in _DTYPES:
        raise Refused(
            f"holds a tensor of type {kind}, which is not read: save floats, integers or truth "
            "values."
        )
    dtype = np.dtype(_DTYPES[kind])
    whole = all(type(number) is int and number >= 0 for number in (begin, end, *shape))
    size = path.stat().st_size
    if not whole or end - begin != prod(shape) * dtype.itemsize or start + end > size:
        raise ValueError("a tensor does not fit its place in the file")
    if not prod(shape):
        return np.empty(shape, dtype)
    values = np.memmap(path, dtype, "r", start + begin, tuple(shape))
    if kind == "BF16":
        return BFloat16(values)
    return values != 0 if kind == "BOOL" else values


def map_indexed(path: Path, name: str) -> NDArray[Any] | BFloat16:
    """Map the named tensor of several files through the index that lies beside them."""
    files = json.loads(path.read_text())["weight_map"]
    name = choose([*files], name)
    if Path(files[name]).name != files[name]:
        raise ValueError("a file that it names lies in another folder")
    return map_safetensors(path.with_name(files[name]), name)


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and where it ends."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER, path.stat().st_size - 8):
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length), object_pairs_hook=_distinct)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header, 8 + length


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("two entries of its header have one name")
    return dict(pairs)
