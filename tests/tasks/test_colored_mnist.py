import json

import numpy as np
import pytest

from w2s_utils.measure import intrinsic_dimension
from w2s_utils.tasks import colored_mnist
from w2s_utils.tasks.colored_mnist import FEATURES, IMAGES, PACK, ColoredMNIST, draw_colors, paint

FLIPS = [0.0, 0.1, 0.3]


@pytest.fixture(scope="module")
def data():
    return colored_mnist.load()


def toy(size=1):
    """Each digit in each colour."""
    return ColoredMNIST(
        digits=np.tile(np.repeat(np.arange(10, dtype=np.uint8), 2), size),
        gray=np.zeros((20 * size, 28, 28), np.uint8),
        colors=np.tile(np.array([0, 1], np.uint8), 10 * size),
        pack={"only": np.ones((20 * size, 1), np.float16)},
    )


def test_shapes_of_the_whole_task(data):
    assert np.bincount(data.digits).tolist() == [500] * 10
    assert data.gray.shape == (IMAGES, 28, 28)
    assert data.gray.max() == 255
    assert tuple(data.pack) == FEATURES
    widths = [data.features(name).shape for name in FEATURES]
    assert widths == [(IMAGES, width) for width in (80, 192, 112, 88, 120)]
    assert all(data.features(name).dtype == np.float64 for name in FEATURES)


def test_colors_of_the_pack_are_those_of_the_recipe(data):
    rng = np.random.default_rng(colored_mnist._COLOR_SEED)
    assert np.array_equal(data.colors, draw_colors(data.digits, rng))


def test_features_see_the_color_of_their_image(data):
    """So rows of features and colours belong together: a shuffled copy is not read off."""
    color = np.where(data.colors == 1, 1.0, -1.0)
    for name in FEATURES:
        X = data.features(name)
        missed = [
            np.mean((X @ np.linalg.lstsq(X, of)[0] - of) ** 2)
            for of in (color, np.random.default_rng(0).permutation(color))
        ]
        assert missed[0] < 0.02
        assert missed[1] > 0.9


def test_features_are_low_dimensional(data):
    assert {name: intrinsic_dimension(data.features(name)) for name in FEATURES} == {
        "lite0-7": 23,
        "lite0-14": 38,
        "lite1-13": 38,
        "lite2-11": 26,
        "lite2-12": 36,
    }


def test_target_is_the_conditional_mean_of_the_recipe():
    """By drawing label, environment and colour, and averaging labels by digit and colour."""
    rng = np.random.default_rng(1)
    digits = rng.integers(10, size=400_000).astype(np.uint8)
    label = (digits < 5) ^ (rng.random(digits.size) < 0.25)
    color = label ^ (rng.random(digits.size) < rng.choice([0.1, 0.2], digits.size))
    task = toy()
    for digit, green, expected in zip(task.digits, task.colors, task.target, strict=True):
        drawn = 2.0 * label[((digits < 5) == (digit < 5)) & (color == green)] - 1
        error = drawn.std() / np.sqrt(len(drawn))
        assert abs(drawn.mean() - expected) < 4 * error
        assert abs(drawn.mean() + expected) > 4 * error  # the classes exchanged


def test_colors_are_drawn_at_the_rates_of_the_recipe():
    digits = np.repeat(np.array([1, 8], np.uint8), 100_000)
    green = draw_colors(digits, np.random.default_rng(2)).reshape(2, -1).mean(axis=1)
    expected = 0.75 * 0.85 + 0.25 * 0.15
    error = np.sqrt(expected * (1 - expected) / 100_000)
    assert abs(green[0] - expected) < 4 * error
    assert abs(green[1] - (1 - expected)) < 4 * error


@pytest.mark.parametrize("flips", FLIPS)
def test_labels_have_the_stated_mean_and_variance(flips):
    task = toy(500)
    rng = np.random.default_rng(3)
    draws = np.array([task.draw_labels(flips, rng) for _ in range(50)])
    assert set(np.unique(np.abs(draws))) == {1 / (1 - 2 * flips)}
    noise = draws - task.target
    for a in (True, False):
        for green in (0, 1):
            of_kind = noise[:, ((task.digits < 5) == a) & (task.colors == green)]
            assert abs(of_kind.mean()) < 4 * of_kind.std() / np.sqrt(of_kind.size)
    squares = noise**2
    z = (squares.mean() - task.noise_variance(flips)) / (squares.std() / np.sqrt(squares.size))
    assert abs(z) < 4


@pytest.mark.parametrize("flips", FLIPS)
def test_classes_are_drawn_with_their_probabilities(flips):
    task = toy(500)
    p = task.class_probabilities(flips)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p[:, 1] - p[:, 0], (1 - 2 * flips) * task.target)
    drawn = task.draw_classes(flips, np.random.default_rng(4))
    z = (drawn - p[:, 1]).sum() / np.sqrt(np.sum(p[:, 0] * p[:, 1]))
    assert set(drawn.tolist()) == {0, 1}
    assert abs(z) < 4


def test_paint_uses_one_channel():
    gray = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    images = paint(gray, np.array([0, 1], np.uint8))
    assert np.array_equal(images[0, :, :, 0], gray[0])
    assert np.array_equal(images[1, :, :, 1], gray[1])
    assert images.sum() == gray.sum()


@pytest.mark.parametrize("flips", [-0.1, 0.5, np.nan])
@pytest.mark.parametrize(
    "ask",
    [
        ColoredMNIST.noise_variance,
        ColoredMNIST.class_probabilities,
        lambda data, flips: data.draw_labels(flips, np.random.default_rng(0)),
    ],
)
def test_rates_out_of_range_are_refused(ask, flips):
    with pytest.raises(ValueError, match=r"flips must be a rate in \[0, 0.5\)"):
        ask(toy(), flips)


def test_unknown_features_are_refused(data):
    with pytest.raises(ValueError, match=r"name must be one of lite0-7, .* got 'lite9-1'"):
        data.features("lite9-1")


def test_manifest_names_what_the_pack_was_made_from(data):
    manifest = json.loads(PACK.with_suffix(".json").read_text())
    assert manifest["arrays"] == {
        name: f"{IMAGES} x {data.pack[name].shape[1]} float16" for name in FEATURES
    }
    assert set(manifest["made with"]) == {"numpy", "torch", "efficientnet_lite_pytorch"}
    artifacts = (colored_mnist.DIGITS, *colored_mnist.efficientnet.WEIGHTS)
    assert manifest["made from"] == {a.filename: a.sha256 for a in artifacts}
