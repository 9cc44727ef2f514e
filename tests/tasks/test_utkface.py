import sys

import numpy as np
import pytest

from w2s_utils.tasks import utkface
from w2s_utils.tasks.embedding import BATCH, embed_all

Image = pytest.importorskip("PIL.Image")


def photograph(path, grey=128):
    path.parent.mkdir(exist_ok=True)
    Image.new("L", (12, 8), grey).save(path, format="jpeg")
    return path


@pytest.fixture
def folder(tmp_path):
    """Three good names in two folders, three others, one file that is no photograph."""
    root = tmp_path / "UTKFace"
    root.mkdir()
    for name in (
        "b/30_1_2_20170116174525125.jpg",
        "a/5_0_0_20161219203650636.jpg.chip.jpg",
        "a/101_1_4_20170112213500903.JPG",
        "39_1_20170116174525125.jpg.chip.jpg",  # no race
        "x_1_2_20170116174525125.jpg",
        "30_2_2_20170116174525125.jpg",  # no such gender
    ):
        photograph(root / name)
    (root / "README.txt").touch()
    return root


def brightness(files):
    return np.array([[np.asarray(utkface.open_image(file)).mean(), 1] for file in files])


def test_ages_come_from_the_names_and_other_names_are_counted(folder):
    faces = utkface.load(folder)
    assert [file.name.split("_")[0] for file in faces.files] == ["101", "5", "30"]
    np.testing.assert_array_equal(faces.ages, [101, 5, 30])
    assert len(faces.skipped) == 3


def test_features_are_rows_in_the_order_of_the_files(tmp_path):
    files = [photograph(tmp_path / f"{i}.jpg", grey=i) for i in range(BATCH + 6)]
    sizes = []

    def embed(batch):
        sizes.append(len(batch))
        return brightness(batch)

    values = embed_all(files, embed)
    assert sizes == [BATCH, 6]
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[:, 0], np.arange(BATCH + 6), atol=1)


def test_photographs_become_rgb_and_damaged_ones_are_named(tmp_path):
    path = photograph(tmp_path / "1.jpg")
    image = utkface.open_image(path)
    assert (image.mode, image.size) == ("RGB", (12, 8))
    for content in (path.read_bytes()[:200], b"no photograph"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"1\.jpg cannot be read as a photograph"):
            utkface.open_image(path)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(ValueError, match="There is no folder"):
        utkface.load(tmp_path / "absent")
    photograph(tmp_path / "me.jpg")
    with pytest.raises(ValueError, match=r"AGE_GENDER_RACE_DATE.jpg; of 1 .jpg files none is"):
        utkface.load(tmp_path)
    with pytest.raises(ValueError, match="backbone must be one of resnet18"):
        utkface.backbone("resnet20")
    with pytest.raises(ValueError, match="There is no file"):
        utkface.backbone("resnet18", tmp_path / "absent.pth")
    for weights in (None, tmp_path):
        with pytest.raises(ValueError, match=r"config\.json"):
            utkface.backbone("clip", weights)


def test_the_missing_extra_is_named(monkeypatch, tmp_path):
    for package in ("torch", "torchvision", "torchvision.models", "transformers"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"install w2s-utils\[vision\]"):
        utkface.backbone("resnet18")
    (tmp_path / "config.json").touch()
    with pytest.raises(ImportError, match="install transformers beside"):
        utkface.backbone("clip", tmp_path)


def test_a_resnet_of_torchvision(tmp_path):
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "w.pth")
    files = [photograph(tmp_path / f"{i}.jpg", grey=100 * i) for i in range(3)]
    values = embed_all(files, utkface.backbone("resnet18", tmp_path / "w.pth"))
    assert values.shape == (3, 512)
    again = utkface.backbone("resnet18", tmp_path / "w.pth")(files[1:2])
    np.testing.assert_allclose(values[1:2], again, rtol=1e-4, atol=1e-5)
    assert np.abs(values[0] - values[1]).max() > 1e-3


def test_clip_of_transformers(tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    transformers.CLIPVisionModel(config).save_pretrained(tmp_path / "clip")
    transformers.CLIPImageProcessor().save_pretrained(tmp_path / "clip")
    files = [photograph(tmp_path / f"{i}.jpg", grey=100 * i) for i in range(3)]
    assert embed_all(files, utkface.backbone("clip", tmp_path / "clip")).shape == (3, 16)
