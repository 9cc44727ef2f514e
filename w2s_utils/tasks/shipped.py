"""Files of results that are shipped: arrays beside a manifest that says how they were made."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import read_json, write_atomically
from w2s_utils.features.packages import Artifact


def write(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    about: Mapping[str, Any],
    made_from: Iterable[Artifact],
    made_with: Iterable[str],
) -> None:
    """Write arrays to an .npz file, and its manifest beside it, with the suffix .json.

    Parameters
    ----------
    path : Path
        Its folder is made if it is absent.
    arrays : mapping of str to array
    about : mapping
        What the manifest says besides: the command, the seed, what the arrays are.
    made_from : iterable of Artifact
        Their names and hashes go into the manifest.
    made_with : iterable of str
        Packages whose installed versions go into it.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    manifest = {
        "sha256": hashlib.sha256(content).hexdigest(),
        **about,
        "made from": {artifact.filename: artifact.sha256 for artifact in made_from},
        "made with": {name: version(name) for name in made_with},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    write_atomically(path.with_suffix(".json"), json.dumps(manifest, indent=2) + "\n")


def read(path: Path, command: str) -> dict[str, NDArray[Any]]:
    """Read what `write` wrote.

    Parameters
    ----------
    path : Path
    command : str
        What makes the file anew.

    Raises
    ------
    ValueError
        If the file is not the one that its manifest describes.
    """
    manifest = read_json(path.with_suffix(".json"), sha256=str)
    content = path.read_bytes() if path.is_file() else b""
    if manifest is None or hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        raise ValueError(
            f"{path} is not the file that its manifest describes: restore both from the"
            f" repository, or make them anew with `{command}`."
        )
    with np.load(io.BytesIO(content)) as arrays:
        return dict(arrays)
