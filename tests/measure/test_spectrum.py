import numpy as np
import pytest

from w2s_utils.measure import (
    energy_dimension,
    intrinsic_dimension,
    leading_directions,
    soft_dimension,
    spectrum,
    top_eigenspace,
)
from w2s_utils.metrics import mean
from w2s_utils.probes import fit_ridge


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


def test_spectrum_is_that_of_the_singular_values():
    X = np.random.default_rng(3).standard_normal((40, 12)) + 2
    np.testing.assert_allclose(
        spectrum(X), np.linalg.svd(X, compute_uv=False) ** 2 / 40, rtol=1e-10
    )
    wide = spectrum(X.T)
    np.testing.assert_allclose(wide[12:], 0, atol=1e-12 * wide[0])


@pytest.mark.parametrize("d", [1, 3, 7])
def test_leading_directions_diagonalise_the_second_moment(d):
    X = np.random.default_rng(4).standard_normal((90, 7)) * np.arange(7, 0, -1)
    directions = leading_directions(X, d)
    moment = directions.T @ (X.T @ X / 90) @ directions
    np.testing.assert_allclose(moment, np.diag(spectrum(X)[:d]), atol=1e-9)


def test_soft_dimension_is_the_variance_of_a_ridge_fit_in_units_of_noise_over_samples():
    """With many samples a fit to pure noise has the risk df2 / m; a sharp cut would say 9 / m."""
    rng, m, ridge = np.random.default_rng(5), 4000, 0.05
    variances = np.geomspace(1, 1e-3, 9)
    risks = []
    for _ in range(200):
        X = rng.standard_normal((m, 9)) * np.sqrt(variances)
        risks.append(variances @ fit_ridge(X, rng.standard_normal(m), ridge) ** 2)
    assert abs(mean(np.array(risks) * m).z_score(soft_dimension(variances, ridge))) < 3
    assert soft_dimension(variances, 0.0) == 9
    assert energy_dimension(variances, 1.0) == 9


def test_soft_dimension_falls_with_the_ridge():
    dimensions = [soft_dimension([4.0, 1.0, 0.0], ridge) for ridge in (0, 1e-6, 0.1, 1, 1e6)]
    assert dimensions[0] == 2
    assert all(np.diff(dimensions) < 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intrinsic_dimension(np.zeros((3, 2))), "not all be zero"),
        (lambda: intrinsic_dimension(np.ones((3, 2)), 0.0), "energy must lie in"),
        (lambda: intrinsic_dimension(np.ones((3, 2)), 1.1), "energy must lie in"),
        (lambda: intrinsic_dimension(np.full((3, 2), np.nan)), "6 NaN"),
        (lambda: energy_dimension([1.0, 2.0]), "in falling order"),
        (lambda: energy_dimension([0.0, 0.0]), "in falling order"),
        (lambda: energy_dimension([]), "must not be empty"),
        (lambda: soft_dimension([2.0, -1.0], 0.1), "in falling order"),
        (lambda: soft_dimension([2.0, 1.0], -0.1), "ridge must be finite and >= 0, got -0.1"),
        (lambda: leading_directions(np.eye(4), 5), "between 1 and the width 4, got 5"),
        (lambda: top_eigenspace(np.ones((9, 4)), 2), "between 1 and the rank 1, got 2"),
        (lambda: top_eigenspace(np.eye(4), 0), "between 1 and the rank 4, got 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
