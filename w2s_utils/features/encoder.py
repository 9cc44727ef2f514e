"""A frozen model that gives the features of its layers, and where it is found by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import printable
from w2s_utils.features.embedding import require

_HUB = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, eq=False)
class Encoder:
    """A frozen model of texts or images.

    Attributes
    ----------
    name : str
        Of the model, as it was given.
    layers : int
        Its layers.
    numbers : tuple of int
        Layers whose features it gives.
    key : str
        Digest of all that its features depend on but the samples.
    embed : callable
        Maps texts, or paths of images, to the features of each layer, (samples, width) float32.
    """

    name: str
    layers: int
    numbers: tuple[int, ...]
    key: str
    embed: Callable[[Sequence[Any]], list[NDArray[np.float32]]]


def find(model: str, files: Sequence[str], extra: str) -> Path:
    """Folder of a model: a local one, or one of the hub of Hugging Face, downloaded once.

    Parameters
    ----------
    model : str
        Path of a folder, or a name on the hub, such as google-bert/bert-base-uncased.
    files : sequence of str
        Patterns of the files that are wanted of it.
    extra : str
        What to install if the hub's package is missing.

    Raises
    ------
    ValueError
        If there is no such folder, or the hub does not have the model or cannot be reached.
    ImportError
        If the hub's package is not installed.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    if not _HUB.fullmatch(model) or folder.exists():
        raise ValueError(f"There is no folder {printable(model)}, and no model has such a name.")
    hub = require("huggingface_hub", "Models by name", extra)
    try:
        return Path(hub.snapshot_download(model, allow_patterns=list(files)))
    except Exception as error:  # of many kinds, by what is not there or not reached
        reason = printable(str(error).partition("\n")[0][:200])
        raise ValueError(
            f"The model {model} is not on this machine and cannot be downloaded ({reason}): give "
            "the path of its folder."
        ) from error


def wanted(layers: str, shown: Sequence[int]) -> list[int]:
    """Numbers of the wanted layers, of those that a model shows.

    Raises
    ------
    ValueError
        If some are not shown, or it is no list of numbers.
    """
    if layers == "all":
        return list(shown)
    try:
        numbers = [shown[-1] if part == "last" else int(part) for part in layers.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not set(numbers) <= set(shown):
        raise ValueError(
            f'layers must be "all" or some of {shown[0]} to {shown[-1]} and "last" with commas '
            f"between, got {layers!r}."
        )
    return sorted(set(numbers))
