import numpy as np
import pytest

from w2s_utils.measure import intrinsic_dimension, top_eigenspace


def test_intrinsic_dimension_against_the_eigenvalues_of_the_second_moment():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 20)) * np.arange(1, 21) ** -0.8 + 0.5
    shares = np.flip(np.linalg.eigvalsh(X.T @ X))
    shares /= shares.sum()
    for energy in (0.5, 0.9, 0.99, 0.999):
        d = intrinsic_dimension(X, energy)
        assert shares[:d].sum() >= energy > shares[: d - 1].sum()


def test_intrinsic_dimension_of_exact_cases():
    assert intrinsic_dimension(np.eye(100), 0.99) == 99
    assert intrinsic_dimension(np.eye(7), 1.0) == 7
    assert intrinsic_dimension(np.ones((50, 4))) == 1
    assert intrinsic_dimension([[3.0]]) == 1


def test_intrinsic_dimension_ignores_scale_rotation_and_order():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 9)) * np.arange(1, 10) ** -1.0
    rotation = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    assert intrinsic_dimension(1e-3 * X[::-1] @ rotation) == intrinsic_dimension(X)


def test_top_eigenspace_is_white_and_spans_the_leading_directions():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((80, 6)) @ np.diag([9, 5, 3, 1, 0.5, 0.1])
    top = top_eigenspace(X, 3)
    np.testing.assert_allclose(top.T @ top / 80, np.eye(3), atol=1e-12)
    _, vectors = np.linalg.eigh(X.T @ X)
    leading = np.linalg.qr(X @ vectors[:, ::-1][:, :3])[0]
    np.testing.assert_allclose(leading @ (leading.T @ top), top, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intrinsic_dimension(np.zeros((3, 2))), "not all be zero"),
        (lambda: intrinsic_dimension(np.ones((3, 2)), 0.0), "energy must lie in"),
        (lambda: intrinsic_dimension(np.ones((3, 2)), 1.1), "energy must lie in"),
        (lambda: intrinsic_dimension(np.full((3, 2), np.nan)), "6 NaN"),
        (lambda: top_eigenspace(np.ones((9, 4)), 2), "between 1 and the rank 1, got 2"),
        (lambda: top_eigenspace(np.eye(4), 0), "between 1 and the rank 4, got 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
