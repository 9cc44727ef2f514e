"""Run a frozen pretrained model over all samples of a task, batch after batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils.tasks import progress

Embed = Callable[[Sequence[Any]], NDArray[np.float32]]
"""Maps some samples to their features, one row a sample."""

BATCH = 64
"""Samples that go through a model at once."""


def embed_all(samples: Sequence[Any], embed: Embed) -> NDArray[np.float32]:
    """Features of all samples, with a progress bar on a terminal.

    Parameters
    ----------
    samples : sequence of length M
    embed : callable
        Maps at most `BATCH` samples to their features, one row each.

    Returns
    -------
    (M, width) float32 array
    """
    batches = [samples[start : start + BATCH] for start in range(0, len(samples), BATCH)]
    rows = [embed(batch) for batch in progress.shown(batches, "features")]
    return np.concatenate(rows).astype(np.float32, copy=False)


def require(package: str, purpose: str, install: str) -> Any:
    """Import an optional package.

    Raises
    ------
    ImportError
        If it, or something that it needs, is not installed; the sentence says what to install.
    """
    try:
        return import_module(package)
    except ImportError as missing:
        raise ImportError(
            f"{purpose} need the package {missing.name or package}: install {install}."
        ) from missing


def pretrained(kind: str, folder: Path | None) -> Any:
    """Load a model, a tokenizer or a processor of transformers from a local folder.

    Parameters
    ----------
    kind : str
        A class of transformers, such as AutoModel.
    folder : Path
        As written by ``save_pretrained``, with config.json; nothing is downloaded.

    Raises
    ------
    ValueError
        If the folder holds no model.
    ImportError
        If transformers is not installed.
    """
    if folder is None or not (folder / "config.json").is_file():
        raise ValueError(
            f"A local folder with a model's config.json, weights and preprocessing files is "
            f"needed, got {folder}."
        )
    transformers = require(
        "transformers", "BERT and CLIP", "transformers beside w2s-utils[vision], which has torch"
    )
    return getattr(transformers, kind).from_pretrained(folder, local_files_only=True)
