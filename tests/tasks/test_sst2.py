import os
import sys

import numpy as np
import pytest

from w2s_utils.tasks import sst2


@pytest.fixture
def train(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_bytes("sentence\tlabel\na \u2028joy \t1\r\nso dull \t0\n".encode())
    return path


def test_sentences_and_signs(train):
    reviews = sst2.load(train)
    assert reviews.texts == ("a \u2028joy", "so dull")
    np.testing.assert_array_equal(reviews.labels, [1, -1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must begin with a line 'sentence', tab, 'label'"),
        (b"sentence\tlabel\n", "go on with sentences"),
        (b"label\tsentence\n1\tx\n", "must begin with"),
        (b"sentence\tlabel\na\t1\nb\t2\n", "a sentence, a tab and 0 or 1 on line 3"),
        (b"sentence\tlabel\na\t1\n\nb\t1\n", "on line 3"),
        (b"sentence\tlabel\na\tb\t1\n", "on line 2"),
        (b"sentence\tlabel\n\xff\t1\n", "must be text in UTF-8"),
    ],
)
def test_another_form_is_refused(train, content, message):
    train.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        sst2.load(train)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="There is no file"):
        sst2.load(tmp_path / "absent.tsv")
    os.mkfifo(tmp_path / "train.tsv")
    with pytest.raises(ValueError, match=r"train\.tsv is no regular file"):
        sst2.load(tmp_path / "train.tsv")
    (tmp_path / "train.tsv").unlink()
    with pytest.raises(ValueError, match=r"a model's config\.json"):
        sst2.backbone(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(ImportError, match="install transformers beside"):
        sst2.backbone(tmp_path)


def test_a_model_of_transformers(tmp_path):
    """Features do not depend on what else is in the batch: padding is left out of the mean."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "joy", "so", "dull"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    embed = sst2.backbone(tmp_path)
    both = embed(["a joy", "so so dull"])
    assert both.shape == (2, 8)
    np.testing.assert_allclose(both[:1], embed(["a joy"]), rtol=1e-4, atol=1e-6)
