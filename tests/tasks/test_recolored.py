"""ColoredMNIST in other colours: rows of two packs, and colours that agree with a class."""

import json

import numpy as np
import pytest

from w2s_utils.tasks import colored_mnist, shipped
from w2s_utils.tasks.colored_mnist import (
    DIGITS,
    FEATURES,
    IMAGES,
    PACK,
    RECOLORED_FEATURES,
    RECOLORED_PACK,
    ColoredMNIST,
    efficientnet,
    spurious_colors,
)


@pytest.fixture(scope="module")
def data():
    return colored_mnist.load()


def toy():
    return ColoredMNIST(
        digits=np.array([1, 4, 5, 9], np.uint8),
        gray=np.zeros((4, 28, 28), np.uint8),
        colors=np.array([0, 1, 0, 1], np.uint8),
        pack={"both": np.arange(4, dtype=np.float16)[:, None], "one": np.ones((4, 1), np.float16)},
        other_pack={"both": 10 + np.arange(4, dtype=np.float16)[:, None]},
    )


def test_rows_come_from_the_pack_that_has_the_color():
    again = toy().recolored([0, 0, 1, 1])
    assert again.features("both").ravel().tolist() == [0, 11, 12, 3]
    assert again.other_pack["both"].ravel().tolist() == [10, 1, 2, 13]
    assert again.colors.tolist() == [0, 0, 1, 1]
    assert again.digits.tolist() == [1, 4, 5, 9]
    assert again.digit_class.tolist() == [1, 1, -1, -1]


def test_target_follows_the_new_colors():
    """Also when that of the old colours was asked for before."""
    task = toy()
    before = task.target
    after = task.recolored(1 - task.colors).target
    assert np.array_equal(before > 0, [False, True, False, True])
    np.testing.assert_allclose(after, before[[1, 0, 3, 2]])
    assert np.array_equal(after > 0, [True, False, True, False])


def test_the_own_colors_keep_the_features(data):
    same = data.recolored(data.colors)
    assert tuple(same.pack) == tuple(same.other_pack) == RECOLORED_FEATURES
    assert set(RECOLORED_FEATURES) < set(FEATURES)
    for name in RECOLORED_FEATURES:
        assert same.pack[name].dtype == np.float16
        assert np.array_equal(same.pack[name], data.pack[name])


def test_the_other_colors_give_the_other_pack(data):
    other = shipped.read(RECOLORED_PACK, "the command")
    assert np.array_equal(other["colors"], 1 - data.colors)
    flipped = data.recolored(other["colors"])
    twice = flipped.recolored(data.colors)
    for name in RECOLORED_FEATURES:
        assert np.array_equal(flipped.pack[name], other[name])
        assert np.array_equal(twice.pack[name], data.pack[name])
        assert np.array_equal(twice.other_pack[name], other[name])


def test_rows_of_both_packs_are_of_one_digit(data):
    """A digit differs in its two colours, but by less than it does from another digit."""
    flipped = data.recolored(1 - data.colors)
    for name in RECOLORED_FEATURES:
        red, green = (
            np.where((data.colors == color)[:, None], data.features(name), flipped.features(name))
            for color in (0, 1)
        )
        assert np.all(np.any(red != green, axis=1))
        red, green = red - red.mean(axis=0), green - green.mean(axis=0)
        of_one_digit = np.mean((red - green) ** 2)
        assert of_one_digit < 0.5 * np.mean((red - np.roll(green, 1, axis=0)) ** 2)


def test_a_probe_of_the_color_reads_the_new_colors(data):
    """It was fitted in the colours of the first pack, and sees what the second was painted in."""
    flipped = data.recolored(1 - data.colors)
    color = np.where(data.colors == 1, 1.0, -1.0)
    for name in RECOLORED_FEATURES:
        ones = np.ones((IMAGES, 1))
        weights = np.linalg.lstsq(np.hstack([data.features(name), ones]), color)[0]
        read = np.hstack([flipped.features(name), ones]) @ weights
        assert np.mean(np.sign(read) == -color) > 0.999


@pytest.mark.parametrize("minority", [0.05, 0.5, 0.9])
def test_minority_has_its_share_in_each_class(minority):
    digits = np.tile(np.arange(10, dtype=np.uint8), 20_000)
    colors = spurious_colors(digits, minority, np.random.default_rng(5))
    assert colors.dtype == np.uint8
    for low in (True, False):
        of_class = colors[(digits < 5) == low]
        error = np.sqrt(minority * (1 - minority) / len(of_class))
        assert abs(np.mean(of_class != low) - minority) < 4 * error


def test_without_minority_and_without_majority_the_colors_are_the_classes():
    digits = np.tile(np.arange(10, dtype=np.uint8), 1000)
    rng = np.random.default_rng(6)
    assert np.array_equal(spurious_colors(digits, 0, rng), digits < 5)
    assert np.array_equal(spurious_colors(digits, 1, rng), digits >= 5)


@pytest.mark.parametrize("minority", [-0.1, 1.1, np.nan])
def test_a_minority_out_of_range_is_refused(minority):
    with pytest.raises(ValueError, match=rf"minority must be a share in \[0, 1\], got {minority}"):
        spurious_colors(np.arange(10, dtype=np.uint8), minority, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        ([0, 1], "colors must hold one colour for each of the 4 images, got 2: give 0 for red"),
        ([0, 1, 2, 1], "colors must be 0 for red or 1 for green, got 2"),
        ([0, 1, 0.5, 1], "colors must be 0 for red or 1 for green, got 0.5"),
        ([[0, 1, 0, 1]], r"colors must have 1 dimension\(s\), got shape \(1, 4\)"),
        (["red"] * 4, "colors must hold real numbers"),
    ],
)
def test_strange_colors_are_refused(colors, message):
    with pytest.raises(ValueError, match=message):
        toy().recolored(colors)


def test_features_of_one_color_are_not_recolored():
    with pytest.raises(ValueError, match="name must be one of both, got 'one'"):
        toy().recolored([1, 1, 1, 1]).features("one")
    task = ColoredMNIST(toy().digits, toy().gray, toy().colors, {"one": toy().pack["one"]})
    with pytest.raises(ValueError, match="Features of both colours are needed"):
        task.recolored([1, 1, 1, 1])


def test_manifest_names_what_the_pack_was_made_from(data):
    manifest, first = (
        json.loads(pack.with_suffix(".json").read_text()) for pack in (RECOLORED_PACK, PACK)
    )
    assert manifest["arrays"] == {name: first["arrays"][name] for name in RECOLORED_FEATURES}
    assert set(manifest["made with"]) == set(first["made with"])
    weights = efficientnet.weights_of(RECOLORED_FEATURES).values()
    assert manifest["made from"] == {a.filename: a.sha256 for a in (DIGITS, *weights)}
    assert manifest["made from"].items() <= first["made from"].items()
