"""Features of images by a model's folder: right, once, resumable, and refused in a sentence."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from w2s_utils.features import extraction, image
from w2s_utils.features.encoder import Encoder
from w2s_utils.features.extraction import extract

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def photos(tmp_path):
    """Five images in two folders of classes, two of which are the same, and a text."""
    root = tmp_path / "photos"
    for name, grey in (("cat/1.png", 10), ("cat/2.PNG", 200), ("dog/1.jpg", 90), ("dog/9.bmp", 40)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (grey, grey // 2, 0)).save(root / name)
    (root / "dog/copy.png").write_bytes((root / "cat/1.png").read_bytes())
    (root / "dog/notes.txt").touch()
    return root


@pytest.fixture
def colours():
    """A model of two layers of different widths: mean colours, and their sum."""
    read = []

    def embed(files):
        read.extend(files)
        means = [np.asarray(image.open_image(file), float).mean(axis=(0, 1)) for file in files]
        return [np.array(means, np.float32), np.sum(means, axis=1, keepdims=True, dtype="f4")]

    return Encoder("colours", 2, (1, 2), "key", embed), read


def test_each_image_is_read_once_and_keeps_its_path(photos, colours, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "BLOCK", 2)
    model, read = colours
    files = image.images_in(photos)
    names = [file.relative_to(photos).as_posix() for file in files]
    assert names == ["cat/1.png", "cat/2.PNG", "dog/1.jpg", "dog/9.bmp", "dog/copy.png"]
    about = {"id": names, "folder": [file.parent.name for file in files]}
    one, two = extract(files, about, model, tmp_path / "out")
    assert len(set(read)) == 4
    means = np.load(one)
    assert means.shape == (5, 3)
    np.testing.assert_allclose(means[:, 0], [10, 200, 90, 40, 10], atol=2)
    np.testing.assert_allclose(np.load(two)[:, 0], means.sum(axis=1), rtol=1e-6)
    with (tmp_path / "out/rows.csv").open() as table:
        rows = [*csv.DictReader(table)]
    assert [row["folder"] for row in rows] == ["cat", "cat", "dog", "dog", "dog"]
    assert rows[4]["id"] == "dog/copy.png"
    read.clear()
    extract(files, about, model, tmp_path / "out")
    assert not read
    Image.new("RGB", (8, 6), (77, 0, 0)).save(files[0])  # the name is the same, the content is not
    one, _ = extract(files, about, model, tmp_path / "out")
    np.testing.assert_allclose(np.load(one)[:, 0], [77, 200, 90, 40, 10], atol=2)


def tiny(folder, name="test_resnet", **more):
    """A folder of an untrained model of timm, as it writes it for the hub."""
    timm = pytest.importorskip("timm")
    folder.mkdir()
    network = timm.create_model(name, pretrained=False, num_classes=3, **more)
    timm.models.save_for_hf(network, folder, safe_serialization=True)
    return network.eval()


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_layers_are_those_of_the_model(photos, tmp_path, name):
    torch = pytest.importorskip("torch")
    network = tiny(tmp_path / "model", name)
    timm = pytest.importorskip("timm")
    opened = image.encoder(str(tmp_path / "model"), batch=2)
    files = image.images_in(photos)
    found = opened.embed(files)
    assert len(found) == opened.layers == len(opened.numbers)
    prepare = timm.data.create_transform(
        **timm.data.resolve_model_data_config(network), is_training=False
    )
    with torch.inference_mode():
        pixels = torch.stack([prepare(image.open_image(file)) for file in files])
        logits = network(pixels).numpy()
        inner = network.forward_intermediates(pixels, intermediates_only=True)
    weight, bias = (part.detach().numpy() for part in network.get_classifier().parameters())
    np.testing.assert_allclose(found[-1] @ weight.T + bias, logits, rtol=1e-3, atol=1e-4)
    for layer, values in zip(found[:-1], inner, strict=True):
        expected = values.numpy().mean(axis=(2, 3))
        np.testing.assert_allclose(layer, expected, rtol=1e-3, atol=1e-4)
    some = image.encoder(str(tmp_path / "model"), layers="1,last").embed(files)
    for one, other in zip(some, (found[0], found[-1]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_from_a_folder_of_images_to_a_ranking(w2s, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny(tmp_path / "model")
    rng = np.random.default_rng(0)
    for k in range(60):
        values = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(values).save(photos / f"{['cat', 'dog'][k % 2]}/n{k}.png")
    code, out, err = w2s("features", "image", "photos", "--model", "model", "--out", "out")
    assert (code, err) == (0, "")
    assert "65 images" in out
    layers = sorted((tmp_path / "out").glob("layer-*.npy"))
    assert {np.load(layer).shape[0] for layer in layers} == {65}
    assert pd.read_csv("out/rows.csv")["folder"].value_counts().to_dict() == {"dog": 33, "cat": 32}


def test_what_cannot_be_read_is_said_in_a_sentence(w2s, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image, "require", lambda name, *_: name)  # nothing gets as far as torch
    for folder in ("empty", "no config", "pickled"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pickled/config.json").write_text(json.dumps({"architecture": "test_vit"}))
    (tmp_path / "pickled/pytorch_model.bin").touch()
    for images, model, more, wrong in (
        ("none", "pickled", (), "There is no folder none"),
        ("empty", "pickled", (), "empty holds no image"),
        ("photos", "no such/model at all", (), "no model has such a name"),
        ("photos", "no config", (), "must hold config.json of a model of timm"),
        ("photos", "pickled", (), "because it could run code"),
        ("photos", "pickled", ("--batch", "0"), "batch must be positive"),
    ):
        code, _, err = w2s("features", "image", images, "--model", model, "--out", "out", *more)
        assert code == 2
        assert wrong in " ".join(err.split()), err
        assert "Traceback" not in err


def test_a_damaged_model_is_one_sentence(tmp_path):
    tiny(tmp_path / "model")
    (tmp_path / "model/model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="holds no model that timm can open"):
        image.encoder(str(tmp_path / "model"))
    (tmp_path / "model/config.json").write_text('{"architecture": "none of them"}')
    with pytest.raises(ValueError, match="holds no model that timm can open"):
        image.encoder(str(tmp_path / "model"))
    tiny(tmp_path / "other")
    with pytest.raises(ValueError, match='some of 1 to 6 and "last"'):
        image.encoder(str(tmp_path / "other"), layers="9")
