"""Features of all layers of a model in a folder: one file a layer, and what became of the rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils import _progress
from w2s_utils._files import digest, kept, read_json, write_atomically
from w2s_utils.features.text import Encoder
from w2s_utils.io.joining import ROWS
from w2s_utils.io.shards import LAYERED

BLOCK = 256
"""Texts in a part: a killed extraction loses at most one."""

ABOUT, PARTS = LAYERED, "parts"


def extract(
    texts: Sequence[str],
    ids: Sequence[str],
    encoder: Encoder,
    out: Path,
    dtype: str = "float32",
) -> list[Path]:
    """Write the features of texts, one .npy file a layer, beside rows.csv with their ids.

    A text that is there several times goes through the model once. Finished parts are kept until
    all are there, so an extraction that was stopped goes on where it was. What is there already,
    of the same texts by the same model and versions, is left as it is.

    Parameters
    ----------
    texts, ids : sequences of length M
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
    about = {
        "model": encoder.name,
        "layers": list(encoder.numbers),
        "rows": len(texts),
        "dtype": dtype,
        "key": digest(encoder.key, dtype, list(texts), list(ids)),
    }
    if read_json(out / ABOUT) == about and all(file.exists() for file in files):
        return files
    parts = out / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    distinct = list(dict.fromkeys(texts))
    place = {text: row for row, text in enumerate(distinct)}
    blocks = [distinct[start : start + BLOCK] for start in range(0, len(distinct), BLOCK)]
    found = []
    for block in _progress.shown(blocks, "features"):
        path = parts / f"{digest(encoder.key, dtype, block)}.npy"

        def features(block: Sequence[str] = block) -> NDArray[Any]:
            return _narrowed(encoder.embed(block), dtype)

        kept(path, features)
        found.append(path)
    rows = np.array([place[text] for text in texts])
    unfinished = [file.with_suffix(".new") for file in files]
    width = np.load(found[0], mmap_mode="r").shape[-1]
    layers = [
        np.lib.format.open_memmap(file, "w+", dtype=np.dtype(dtype), shape=(len(texts), width))
        for file in unfinished
    ]
    for number, path in enumerate(found):
        values = np.load(path)
        mine = np.flatnonzero(rows // BLOCK == number)
        for k, layer in enumerate(layers):
            layer[mine] = values[rows[mine] % BLOCK, k]
    for layer, file, final in zip(layers, unfinished, files, strict=True):
        layer.flush()
        file.replace(final)
    table = io.StringIO()
    csv.writer(table).writerows([["id"], *([name] for name in ids)])
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
