"""Features of all layers of a model in a folder: one file a layer, and what became of the rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils import _progress
from w2s_utils._files import digest, kept, read_json, write_array, write_atomically
from w2s_utils.features.encoder import Encoder
from w2s_utils.io.joining import ROWS
from w2s_utils.io.shards import LAYERED

BLOCK = 256
"""Samples in a part: a killed extraction loses at most one."""

ABOUT, PARTS = LAYERED, "parts"


def extract(
    samples: Sequence[Any],
    about_rows: Mapping[str, Sequence[str]],
    encoder: Encoder,
    out: Path,
    dtype: str = "float32",
) -> list[Path]:
    """Write the features of samples, one .npy file a layer, beside a table of the rows.

    A sample that is there several times goes through the model once. Finished parts are kept until
    all are there, so an extraction that was stopped goes on where it was. What is there already,
    of the same samples by the same model and versions, is left as it is.

    Parameters
    ----------
    samples : sequence of M str or Path
        Texts; or files, which are known by their contents.
    about_rows : mapping of str to sequence of M str
        Columns of rows.csv: id, and others.
    encoder : Encoder
    out : Path
        Folder; made if it is absent.
    dtype : {"float32", "float16"}

    Returns
    -------
    list of Path
        The layers' files, (M, width) each, in the order of the layers.

    Raises
    ------
    ValueError
        If the type is another, or numbers do not fit into it.
    """
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype must be float32 or float16, got {dtype!r}.")
    files = [out / f"layer-{number:02d}.npy" for number in encoder.numbers]
    known = [digest(sample) if isinstance(sample, Path) else sample for sample in samples]
    about = {
        "model": encoder.name,
        "layers": list(encoder.numbers),
        "rows": len(samples),
        "dtype": dtype,
        "key": digest(encoder.key, dtype, known, {k: list(of) for k, of in about_rows.items()}),
    }
    if read_json(out / ABOUT) == about and all(file.exists() for file in files):
        return files
    parts = out / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    distinct = dict(zip(reversed(known), reversed(samples), strict=True))  # the first of equal ones
    keys = list(dict.fromkeys(known))
    blocks = [keys[start : start + BLOCK] for start in range(0, len(keys), BLOCK)]
    of_layers = parts / f"widths-{digest(encoder.key)}.npy"
    found = []
    for block in _progress.shown(blocks, "features"):
        path = parts / f"{digest(encoder.key, dtype, block)}.npy"

        def features(block: Sequence[str] = block) -> NDArray[Any]:
            values = encoder.embed([distinct[key] for key in block])
            write_array(of_layers, np.array([layer.shape[1] for layer in values]))
            return _narrowed(np.hstack(values), dtype)

        kept(path, features)
        found.append(path)
    widths = np.load(of_layers).tolist()
    place = {key: row for row, key in enumerate(keys)}
    rows = np.array([place[key] for key in known])
    unfinished = [file.with_suffix(".new") for file in files]
    layers = [
        np.lib.format.open_memmap(file, "w+", dtype=np.dtype(dtype), shape=(len(samples), width))
        for file, width in zip(unfinished, widths, strict=True)
    ]
    ends = np.cumsum(widths)
    for number, path in enumerate(found):
        mine = np.flatnonzero(rows // BLOCK == number)
        values = np.split(np.load(path)[rows[mine] % BLOCK], ends[:-1], axis=1)
        for layer, of_layer in zip(layers, values, strict=True):
            layer[mine] = of_layer
    for layer, file, final in zip(layers, unfinished, files, strict=True):
        layer.flush()
        file.replace(final)
    table = io.StringIO()
    csv.writer(table).writerows([about_rows.keys(), *zip(*about_rows.values(), strict=True)])
    write_atomically(out / ROWS, table.getvalue())
    write_atomically(out / ABOUT, json.dumps(about, indent=1) + "\n")
    rmtree(parts)
    return files


def _narrowed(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        narrowed = values.astype(dtype)
    if not np.isfinite(narrowed).all():
        what = "are no finite numbers" if not np.isfinite(values).all() else "do not fit in float16"
        raise ValueError(f"Features of the model {what}: use float32, or leave such layers out.")
    return narrowed
