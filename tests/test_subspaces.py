import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_utils.subspaces import (
    canonical_angles,
    orthonormal,
    overlap,
    pair_with_angles,
    random_basis,
    random_overlap,
)


@st.composite
def two_bases(draw):
    dimension = draw(st.integers(2, 12))
    a, b = draw(st.integers(1, dimension)), draw(st.integers(1, dimension))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random_basis(dimension, a, rng), random_basis(dimension, b, rng), rng


@given(two_bases())
def test_overlap_is_the_sum_of_squared_cosines(case):
    A, B, _ = case
    assert overlap(A, B) == pytest.approx(np.sum(np.cos(canonical_angles(A, B)) ** 2), abs=1e-10)
    assert -1e-12 <= overlap(A, B) <= min(A.shape[1], B.shape[1]) + 1e-12


@given(two_bases())
def test_angles_and_overlap_depend_on_the_subspaces_only(case):
    A, B, rng = case
    rotation = random_basis(len(A), len(A), rng)
    inner = random_basis(A.shape[1], A.shape[1], rng)
    signs = rng.choice([-1.0, 1.0], B.shape[1])
    moved = rotation @ A @ inner, rotation @ (B * signs)[:, ::-1]
    assert overlap(*moved) == pytest.approx(overlap(A, B), abs=1e-10)
    np.testing.assert_allclose(canonical_angles(*moved), canonical_angles(A, B), atol=1e-7)
    np.testing.assert_allclose(canonical_angles(B, A), canonical_angles(A, B), atol=1e-7)


def test_known_angles_including_tiny_ones():
    angles = np.array([0.0, 1e-9, 0.3, np.pi / 2])
    A, B = pair_with_angles(20, angles, 6, 4, np.random.default_rng(1))
    np.testing.assert_allclose(canonical_angles(A, B), angles, atol=1e-13, rtol=1e-6)
    assert A.shape == (20, 6)
    assert B.shape == (20, 4)


def test_extremes():
    identity = np.eye(6)
    assert overlap(identity[:, :3], identity[:, 3:]) == 0
    assert overlap(identity[:, :2], identity[:, :5]) == 2
    np.testing.assert_allclose(canonical_angles(identity[:, :1], identity[:, :1]), 0, atol=1e-15)


def test_random_subspaces_overlap_by_chance():
    rng = np.random.default_rng(2)
    values = [overlap(random_basis(30, 6, rng), random_basis(30, 10, rng)) for _ in range(2000)]
    expected, spread = random_overlap(30, 6, 10)
    assert expected == 6 * 10 / 30
    assert abs(np.mean(values) - expected) < 4 * spread / np.sqrt(2000)
    squares = (np.array(values) - expected) ** 2
    assert abs(squares.mean() - spread**2) < 4 * squares.std() / np.sqrt(2000)


def test_a_whole_space_overlaps_without_spread():
    assert random_overlap(7, 7, 3) == (3, 0)


@pytest.mark.parametrize(
    ("basis", "message"),
    [
        (np.ones((3, 2)), "orthonormal"),
        (2 * np.eye(3), "orthonormal"),
        (np.eye(2, 3), "1 <= d <= D"),
        (np.zeros((3, 0)), "must not be empty"),
        (np.eye(3)[0], "2 dimension"),
        (np.full((3, 1), np.nan), "3 NaN"),
        (np.eye(2) * 1j, "real numbers"),
        ([["a"]], "real numbers"),
    ],
)
def test_bad_bases_are_refused(basis, message):
    with pytest.raises(ValueError, match=message):
        orthonormal(basis)


def test_different_ambient_dimensions_are_refused():
    with pytest.raises(ValueError, match="same space, got 4 and 5"):
        overlap(np.eye(4)[:, :2], np.eye(5)[:, :2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, [0.1], 2, 2), "2 entries"),
        ((3, [0.1, 0.2], 2, 2), "at least rank_a"),
        ((10, [0.1, 2.0], 2, 2), "pi/2"),
    ],
)
def test_impossible_pairs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pair_with_angles(*arguments, np.random.default_rng(0))


def test_impossible_rank_is_refused():
    with pytest.raises(ValueError, match="between 1 and the dimension 3"):
        random_basis(3, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="ranks 2 and 4 in dimension 3"):
        random_overlap(3, 2, 4)
