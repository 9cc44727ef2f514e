"""Run a frozen pretrained model over all samples of a task; each finished batch is kept."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils import _progress
from w2s_utils._files import code, digest, kept, packages, require_file

Embed = Callable[[Sequence[Any]], NDArray[np.float32]]
"""Maps some samples to their features, one row a sample."""

BATCH = 64
"""Samples that go through a model at once."""


def embed_all(
    samples: Sequence[str | Path], embed: Embed, parts: Path, model: str
) -> NDArray[np.float32]:
    """Features of all samples, with a progress bar on a terminal.

    Each finished batch is kept in a file that is known by all that its features depend on: the
    samples' contents, the model, and the code of `embed`. So an extraction that was stopped goes on
    where it was. A damaged part is computed anew.

    Parameters
    ----------
    samples : sequence of length M
        Texts, or paths of files.
    embed : callable
        Maps at most `BATCH` samples to their features, one row each.
    parts : Path
        Folder of the finished batches; made if it is absent.
    model : str
        What `embed` computes: see `fingerprint`.

    Returns
    -------
    (M, width) float32 array
    """
    parts.mkdir(exist_ok=True)
    by = code(str(embed.__module__)), Path(inspect.getfile(embed)), model
    rows = []
    for start in _progress.shown(range(0, len(samples), BATCH), "features"):
        batch = samples[start : start + BATCH]

        def features(batch: Sequence[str | Path] = batch) -> NDArray[np.float32]:
            return np.asarray(embed(batch), np.float32)

        rows.append(kept(parts / f"{digest(by, batch)}.npy", features))
    return np.concatenate(rows)


def fingerprint(name: str, weights: Path | None) -> str:
    """Hash of a model by its name, its weights and all installed versions.

    Parameters
    ----------
    name : str
    weights : Path or None
        A file or a folder, whose contents count; None for weights that the version of the library
        determines.
    """
    files = [] if weights is None else sorted([weights, *weights.rglob("*")])
    contents = [file for file in files if file.is_file()]
    return digest(name, contents, packages())


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
        If the folder holds no model, its weights only as a pickle, or a pipe or the like.
    ImportError
        If transformers is not installed.
    """
    if folder is None or not (folder / "config.json").is_file():
        raise ValueError(
            f"A local folder with a model's config.json, weights and preprocessing files is "
            f"needed, got {folder}."
        )
    if not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"{folder} must hold the weights as .safetensors; a pickle such as pytorch_model.bin "
            "is not read because it could run code."
        )
    for file in folder.rglob("*"):
        if not file.is_dir():
            require_file(file)
    transformers = require(
        "transformers", "BERT and CLIP", "transformers beside w2s-utils[vision], which has torch"
    )
    # Code in the folder is not run, nor asked about; of two forms of weights the safe one is read.
    safe = {"trust_remote_code": False} | ({"use_safetensors": True} if "Model" in kind else {})
    return getattr(transformers, kind).from_pretrained(folder, local_files_only=True, **safe)
