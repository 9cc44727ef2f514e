"""Features of texts by a model's folder: right, once, resumable, and refused in a sentence."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from tests.features.test_backbones import naive_bert
from w2s_utils.features import encoder as encoders
from w2s_utils.features import extraction
from w2s_utils.features.encoder import Encoder
from w2s_utils.features.extraction import extract
from w2s_utils.features.text import encoder
from w2s_utils.io.files import open_features
from w2s_utils.io.texts import read_texts

WORDS = ["[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "very"]
TEXTS = ["a good film", "a very very bad film", "good", "a good film", "unheard words"]
WIDTH, HEADS, LAYERS = 8, 2, 2


def write_tokenizer(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def tiny_weights():
    rng = np.random.default_rng(0)
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (6, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        name = f"encoder.layer.{number}"
        attention = [f"attention.self.{part}" for part in ("query", "key", "value")]
        for part in (*attention, "attention.output.dense"):
            shapes |= {f"{name}.{part}.weight": (WIDTH, WIDTH), f"{name}.{part}.bias": (WIDTH,)}
        shapes |= {
            f"{name}.intermediate.dense.weight": (16, WIDTH),
            f"{name}.intermediate.dense.bias": (16,),
            f"{name}.output.dense.weight": (WIDTH, 16),
            f"{name}.output.dense.bias": (WIDTH,),
        }
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    for name in norms:
        shapes |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    return {name: rng.standard_normal(shape).astype("f4") for name, shape in shapes.items()}


@pytest.fixture
def bert(tmp_path):
    """A folder of a tiny encoder, as transformers writes it."""
    from safetensors.numpy import save_file

    folder = tmp_path / "bert"
    folder.mkdir()
    write_tokenizer(folder)
    save_file(tiny_weights(), folder / "model.safetensors", {"format": "pt"})
    about = {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu",
        "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
        "intermediate_size": 16, "vocab_size": len(WORDS), "max_position_embeddings": 6,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(about))
    return folder


def expected(pool):
    """Every text and layer, by a transcription of the definition."""
    found = []
    for words in TEXTS:
        known = [WORDS.index(w) if w in WORDS else 0 for w in words.split()]
        tokens = [1, *known[:4], 2]  # cut to six
        layers = naive_bert(tiny_weights(), tokens, LAYERS, HEADS, pool=None)
        pick = {"mean": lambda x: x.mean(axis=0), "cls": lambda x: x[0], "last": lambda x: x[-1]}
        found.append([pick[pool](layer) for layer in layers])
    return np.array(found)


def embedded(opened):
    """Features of the texts, (texts, layers, width)."""
    return np.stack(opened.embed(TEXTS), axis=1)


@pytest.mark.parametrize("pool", ["mean", "cls", "last"])
def test_every_layer_is_what_the_definition_says(bert, pool):
    opened = encoder(str(bert), pool=pool, batch=2)
    assert (opened.layers, opened.numbers) == (2, (0, 1, 2))
    np.testing.assert_allclose(embedded(opened), expected(pool), rtol=1e-4, atol=1e-5)
    some = encoder(str(bert), layers="0,last", pool=pool)
    np.testing.assert_allclose(embedded(some), expected(pool)[:, [0, 2]], rtol=1e-4, atol=1e-5)
    assert some.key != opened.key != encoder(str(bert), pool="mean" if pool == "cls" else "cls").key


def test_transformers_give_the_same(bert, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    for pool in ("mean", "cls", "last"):
        opened = encoder(str(bert), pool=pool, device="cpu")
        np.testing.assert_allclose(embedded(opened), expected(pool), rtol=1e-4, atol=1e-5)


def test_an_onnx_file_shows_its_last_layer(tmp_path):
    from onnx import TensorProto, helper, numpy_helper, save

    table = np.random.default_rng(1).standard_normal((len(WORDS), 3)).astype("f4")
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])
    states = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["B", "T", 3])
    node = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    kept = [numpy_helper.from_array(table, "table")]
    graph = helper.make_graph([node], "bag of words", [ids], [states], kept)
    save(helper.make_model_gen_version(graph, opset_imports=[helper.make_opsetid("", 18)]),
         tmp_path / "model.onnx")  # fmt: skip
    write_tokenizer(tmp_path)
    opened = encoder(str(tmp_path))
    assert opened.numbers == (1,)
    tokens = [1, 3, 4, 6, 2]
    np.testing.assert_allclose(embedded(opened)[0, 0], table[tokens].mean(axis=0), rtol=1e-5)
    with pytest.raises(ValueError, match="some of 1 to 1"):
        encoder(str(tmp_path), layers="0")


@pytest.fixture
def counted(bert, monkeypatch):
    """The tiny encoder, which counts the texts that it has read, in parts of two texts."""
    monkeypatch.setattr(extraction, "BLOCK", 2)
    opened = encoder(str(bert))
    read = []

    def embed(texts):
        read.extend(texts)
        if len(read) > embed.most:
            raise KeyboardInterrupt
        return opened.embed(texts)

    embed.most = np.inf
    return Encoder(opened.name, 2, opened.numbers, opened.key, embed), read, embed


def test_each_text_is_read_once_and_keeps_its_id(counted, tmp_path):
    model, read, _ = counted
    ids = ["a", "b", "c", "d", 'e,"f']
    files = extract(TEXTS, {"id": ids}, model, tmp_path / "out")
    assert [file.name for file in files] == ["layer-00.npy", "layer-01.npy", "layer-02.npy"]
    assert sorted(read) == sorted(set(TEXTS))
    for layer, file in enumerate(files):
        np.testing.assert_allclose(np.load(file), expected("mean")[:, layer], rtol=1e-4, atol=1e-5)
    with (tmp_path / "out/rows.csv").open() as table:
        assert [row["id"] for row in csv.DictReader(table)] == ids
    about = json.loads((tmp_path / "out/features.json").read_text())
    assert (about["rows"], about["layers"]) == (5, [0, 1, 2])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "features.json", *(file.name for file in files), "rows.csv",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"holds features of one or more layers: name one of its"):
        open_features(tmp_path / "out")
    assert extract(TEXTS, {"id": ids}, model, tmp_path / "out") == files
    assert len(read) == 4
    extract(TEXTS[:2], {"id": ids[:2]}, model, tmp_path / "out")
    assert np.load(files[0]).shape == (2, WIDTH)


def test_a_stopped_extraction_goes_on_where_it_was(counted, tmp_path):
    model, read, embed = counted
    embed.most = 2
    with pytest.raises(KeyboardInterrupt):
        extract(TEXTS, {"id": list("abcde")}, model, tmp_path)
    assert not list(tmp_path.glob("*.npy"))
    embed.most = np.inf
    read.clear()
    (file, *_) = extract(TEXTS, {"id": list("abcde")}, model, tmp_path, "float32")
    assert sorted(read) == ["good", "unheard words"]
    np.testing.assert_allclose(np.load(file), expected("mean")[:, 0], rtol=1e-4, atol=1e-5)


def test_half_precision_is_kept_and_never_overflows(bert, tmp_path):
    opened = encoder(str(bert))
    files = extract(TEXTS, {"id": list("abcde")}, opened, tmp_path / "half", "float16")
    assert np.load(files[1]).dtype == np.float16
    large = Encoder("x", 0, (0,), "x", lambda texts: [np.full((len(texts), 3), 1e5, "f4")])
    with pytest.raises(ValueError, match="do not fit in float16: use float32"):
        extract(["a"], {"id": ["0"]}, large, tmp_path / "large", "float16")
    assert extract(["a"], {"id": ["0"]}, large, tmp_path / "large")
    with pytest.raises(ValueError, match="must be float32 or float16, got 'int8'"):
        extract(["a"], {"id": ["0"]}, large, tmp_path / "large", "int8")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_texts_are_read_as_they_stand(tmp_path, kind):
    table = pd.DataFrame({"id": [7, 8, 9], "text": ["2020", " a, b\n", "NA"]})
    path = tmp_path / f"texts.{kind}"
    write = {"csv": lambda: table.to_csv(path, index=False),
             "jsonl": lambda: table.to_json(path, orient="records", lines=True),
             "parquet": lambda: table.to_parquet(path)}  # fmt: skip
    write[kind]()
    assert read_texts(path, "text", "id") == (["2020", " a, b\n", "NA"], ["7", "8", "9"])
    assert read_texts(path, "text")[1] == ["0", "1", "2"]


def test_what_cannot_be_read_is_said_in_a_sentence(w2s, bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"text": TEXTS, "n": range(5)}).to_csv("texts.csv", index=False)
    pd.DataFrame({"text": ["a", None], "n": [1, 2]}).to_parquet("holes.parquet")
    (tmp_path / "broken.jsonl").write_text("{")
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled/config.json").write_text("{}")
    (tmp_path / "pickled/pytorch_model.bin").touch()
    for data, model, more, wrong in (
        ("none.csv", "bert", (), "There is no file none.csv"),
        ("texts.csv", "bert", ("--column", "words"), "one column words; it has text, n"),
        ("texts.csv", "bert", ("--id", "name"), "one column name; it has text, n"),
        ("holes.parquet", "bert", (), "has no text in row 2 of column text"),
        ("broken.jsonl", "bert", (), "cannot be read as .jsonl"),
        ("texts.csv", "no such/model at all", (), "no model has such a name"),
        ("texts.csv", "pickled", (), "because it could run code"),
        ("texts.csv", "bert", ("--layers", "3"), "some of 0 to 2"),
        ("texts.csv", "bert", ("--layers", "x"), "some of 0 to 2"),
        ("texts.csv", "bert", ("--pool", "max"), "pool must be one of mean, last, cls"),
        ("texts.csv", "bert", ("--batch", "0"), "batch must be positive"),
    ):
        code, _, err = w2s("features", "text", data, "--model", model, "--out", "out", *more)
        assert code == 2
        assert wrong in " ".join(err.split()), err
        assert "Traceback" not in err
    code, out, err = w2s("features", "text", "texts.csv", "--model", "bert", "--out", "out")
    assert (code, err) == (0, "")
    assert "5 texts, 4 of them different" in out


def test_a_model_that_cannot_be_downloaded_is_one_sentence(monkeypatch):
    class Hub:
        def snapshot_download(self, *_, **__):
            raise OSError("no route to host\nmore")

    monkeypatch.setattr(encoders, "require", lambda *_: Hub())
    with pytest.raises(ValueError, match=r"cannot be downloaded \(no route to host\): give"):
        encoder("someone/model")
