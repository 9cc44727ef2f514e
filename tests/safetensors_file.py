"""Files of safetensors, written by hand."""

import json

import numpy as np

CODES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I8": "i1", "U8": "u1"}


def stored(dtype, values):
    """Bytes of a tensor."""
    if dtype == "BF16":
        return (np.asarray(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return np.asarray(values != 0 if dtype == "BOOL" else values, CODES.get(dtype, "?")).tobytes()


def write_safetensors(path, tensors):
    """Lay out a file of tensors, which are given as their types and values."""
    header, contents = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, values) in tensors.items():
        content = stored(dtype, values)
        header[name] = {
            "dtype": dtype,
            "shape": list(values.shape),
            "data_offsets": [len(contents), len(contents) + len(content)],
        }
        contents += content
    described = json.dumps(header).encode()
    path.write_bytes(len(described).to_bytes(8, "little") + described + contents)
    return path
