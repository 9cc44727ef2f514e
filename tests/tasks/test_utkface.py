import os
import sys

import numpy as np
import pytest

from w2s_utils.features import image
from w2s_utils.features.embedding import BATCH, embed_all, fingerprint
from w2s_utils.tasks import utkface

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
    return np.array([[np.asarray(image.open_image(file)).mean(), 1] for file in files])


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

    values = embed_all(files, embed, tmp_path / "parts", "model")
    assert sizes == [BATCH, 6]
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[:, 0], np.arange(BATCH + 6), atol=1)


@pytest.mark.parametrize("damage", ["altered", "truncated", "removed"])
def test_a_stopped_extraction_goes_on_and_damaged_parts_are_made_anew(tmp_path, damage):
    files = [photograph(tmp_path / f"{i}.jpg", grey=i) for i in range(3 * BATCH)]
    batches = []

    def embed(batch):
        batches.append(batch)
        if len(batches) == 3:
            raise KeyboardInterrupt
        return brightness(batch)

    with pytest.raises(KeyboardInterrupt):
        embed_all(files, embed, tmp_path / "parts", "model")
    values = embed_all(files, embed, tmp_path / "parts", "model")
    assert batches[3:] == [files[2 * BATCH :]]

    part = sorted((tmp_path / "parts").glob("*.npy"))[0]
    content = part.read_bytes()
    if damage == "altered":
        part.write_bytes(content[:150] + bytes([content[150] ^ 1]) + content[151:])
    elif damage == "truncated":
        part.write_bytes(content[:-1])
    else:
        part.unlink()
    np.testing.assert_array_equal(embed_all(files, embed, tmp_path / "parts", "model"), values)
    assert len(batches) == 5
    assert part.read_bytes() == content


def test_parts_serve_only_the_same_photographs_model_and_code(tmp_path):
    files = [photograph(tmp_path / f"{i}.jpg", grey=i) for i in range(2)]
    (tmp_path / "w.pth").write_bytes(b"weights")
    parts = tmp_path / "parts"

    def made(**changed):
        before = set(parts.glob("*"))
        embed_all(files, **{"embed": brightness, "model": fingerprint("a", None)} | changed,
                  parts=parts)  # fmt: skip
        return len(set(parts.glob("*")) - before)

    assert made() == 1
    assert made() == 0
    assert made(model=fingerprint("b", None)) == 1
    assert made(model=fingerprint("a", tmp_path / "w.pth")) == 1
    (tmp_path / "w.pth").write_bytes(b"others")
    assert made(model=fingerprint("a", tmp_path / "w.pth")) == 1
    assert made(model=fingerprint("a", tmp_path)) == 1
    photograph(files[0], grey=99)
    assert made() == 1
    elsewhere = {"np": np, "utkface": utkface}
    (tmp_path / "code.py").write_text("def embed(files):\n    return np.ones((2, 1))\n")
    exec(compile((tmp_path / "code.py").read_text(), tmp_path / "code.py", "exec"), elsewhere)
    assert made(embed=elsewhere["embed"]) == 1


def test_photographs_become_rgb_and_damaged_ones_are_named(tmp_path):
    path = photograph(tmp_path / "1.jpg")
    opened = image.open_image(path)
    assert (opened.mode, opened.size) == ("RGB", (12, 8))
    for content in (path.read_bytes()[:200], b"no photograph"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"1\.jpg cannot be read as a photograph"):
            image.open_image(path)


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    photograph(tmp_path / "20_1_0_2017.jpg")
    pipe = tmp_path / "below" / "21_1_0_2017.jpg"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    for read in (image.open_image, lambda file: utkface.backbone("resnet18", file)):
        with pytest.raises(ValueError, match=r"21_1_0_2017\.jpg is no regular file\."):
            read(pipe)
    with pytest.raises(ValueError, match=r"21_1_0_2017\.jpg is no regular file\."):
        utkface.load(tmp_path)
    pipe.unlink()
    pipe.symlink_to(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"There is no file .*21_1_0_2017\.jpg\."):
        utkface.load(tmp_path)
    pipe.rename(tmp_path / "me.jpg")  # not read, as its name is another
    assert utkface.load(tmp_path).skipped == (tmp_path / "me.jpg",)
    for name in ("config.json", "model.safetensors"):
        (pipe.parent / name).touch()
    os.mkfifo(pipe.parent / "vocab.txt")
    with pytest.raises(ValueError, match=r"vocab\.txt is no regular file\."):
        utkface.backbone("clip", pipe.parent)


def test_the_name_of_a_photograph_cannot_command_the_terminal(tmp_path):
    path = tmp_path / "\x1b[2J.jpg"
    path.write_bytes(b"no photograph")
    with pytest.raises(ValueError, match="cannot be read as a photograph") as raised:
        image.open_image(path)
    assert str(raised.value).isprintable()


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
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(ImportError, match="install transformers beside"):
        utkface.backbone("clip", tmp_path)


def test_a_resnet_of_torchvision(tmp_path):
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "w.pth")
    files = [photograph(tmp_path / f"{i}.jpg", grey=100 * i) for i in range(3)]
    values = embed_all(
        files, utkface.backbone("resnet18", tmp_path / "w.pth"), tmp_path / "parts", "model"
    )
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
    embed = utkface.backbone("clip", tmp_path / "clip")
    assert embed_all(files, embed, tmp_path / "parts", "model").shape == (3, 16)
