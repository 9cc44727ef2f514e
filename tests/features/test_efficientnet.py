import sys

import numpy as np
import pytest

from w2s_utils.features.efficientnet import REQUIRED, WEIGHTS, pooled_outputs
from w2s_utils.features.packages import fetch
from w2s_utils.tasks import colored_mnist, shipped
from w2s_utils.tasks.colored_mnist import FEATURES, RECOLORED_FEATURES


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"need the package torch: install w2s-utils\[vision\]"):
        pooled_outputs(np.zeros((1, 28, 28, 3), np.uint8), FEATURES)


@pytest.mark.parametrize("recolored", [False, True])
def test_a_remade_pack_holds_the_shipped_features(tmp_path, monkeypatch, recolored):
    """On images of each digit, up to the rounding to float16 of the largest values."""
    for package in REQUIRED:
        pytest.importorskip(package, reason="needs the extra vision")
    data = colored_mnist.load()
    rows = np.arange(0, len(data.digits), 100)
    monkeypatch.setattr(colored_mnist, "_read_digits", lambda: (data.digits[rows], data.gray[rows]))
    monkeypatch.setattr(colored_mnist, "draw_colors", lambda *_: data.colors[rows])
    colored_mnist.make_pack(tmp_path / "mine.npz", recolored)
    anew = shipped.read(tmp_path / "mine.npz", "the command")
    names = RECOLORED_FEATURES if recolored else FEATURES
    assert set(anew) == {"colors", *names}
    assert np.array_equal(anew["colors"] == data.colors[rows], np.full(len(rows), not recolored))
    for name in names:
        of_pack = (data.other_pack if recolored else data.pack)[name][rows].astype(float)
        assert anew[name].dtype == np.float16
        np.testing.assert_allclose(anew[name].astype(float), of_pack, rtol=2**-10, atol=1e-4)
        assert np.abs(anew[name] - of_pack[::-1]).max() > 0.1


def test_whole_forward_pass_of_the_packaged_network():
    """All blocks, then head and mean, are what the package's own method gives."""
    torch = pytest.importorskip("torch", reason="needs the extra vision")
    networks = pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra vision")
    network = networks.EfficientNet.from_name("efficientnet-lite0", image_size=64)
    network.load_state_dict(
        torch.load(fetch(WEIGHTS[0]).directory / "weights.pth", weights_only=True)
    )
    network.eval()
    images = np.random.default_rng(0).integers(256, size=(2, 64, 64, 3)).astype(np.uint8)
    last = []
    network._conv_head.register_forward_pre_hook(lambda _, inputs: last.append(inputs[0]))
    with torch.inference_mode():
        network((torch.from_numpy(images).permute(0, 3, 1, 2) - 127.0) / 128)
    pooled = pooled_outputs(images, [f"lite0-{len(network._blocks)}"])
    expected = last[0].mean((2, 3)).numpy()
    np.testing.assert_allclose(pooled["lite0-16"], expected, rtol=1e-5, atol=1e-5)
