import numpy as np
import pytest

from w2s_utils.measure import (
    intrinsic_dimension,
    leverage_excess,
    noise_inflation,
    top_eigenspace,
)
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import inputs, simulate_inputs


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
        (lambda: leverage_excess(np.ones((2, 3))), "more rows than columns, got shape \\(2, 3\\)"),
        (lambda: leverage_excess(np.ones((5, 2))), "linearly independent"),
        (lambda: noise_inflation(np.ones((3, 1)), np.ones(2)), "features has 3, residual has 2"),
        (lambda: noise_inflation(np.ones((3, 1)), np.zeros(3)), "not be all zero"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("law", "excess"),
    [
        (inputs.gaussian, 0.0),
        (inputs.rademacher, -2.0),
        (inputs.uniform, 1.8 - 3),
        (inputs.sparse(0.2), 5.0 - 3),
        # E s^4 - 1 = (nu - 2)/(nu - 4) - 1, times d + 2.
        (inputs.elliptical_t(20), (18 / 16 - 1) * 5),
    ],
    ids=["gaussian", "rademacher", "uniform", "sparse", "elliptical"],
)
def test_leverage_excess_is_the_second_order_of_the_noise(law, excess):
    """m [ m E tr(X'X)^-1 / d (m-d-1)/m - 1 ] tends to the excess, for m well above d."""
    rng = np.random.default_rng(7)
    d, m, trials = 3, 400, 12_000
    assert leverage_excess(law(400_000, d, rng)) == pytest.approx(excess, abs=0.06)
    values = np.empty(trials)
    for t in range(trials):
        X = law(m, d, rng)
        moment = X.T @ X / m
        # The first order, tr(moment) - d, has mean zero: a control variate.
        values[t] = (np.trace(np.linalg.inv(moment)) + np.trace(moment) - d) / d
    measured = mean(m * (values * (m - d - 1) / m - 1))
    assert measured.standard_error < 0.06
    # The next order is about excess * (d + 1)/m, below 0.03 here.
    assert measured.value == pytest.approx(excess, abs=4 * measured.standard_error + 0.03)


def test_noise_inflation_of_exact_cases():
    # x = (z1 + z2)/sqrt2 and xi = (z1 - z2)/sqrt2 of random signs: one of the two is always zero.
    z = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    assert noise_inflation(z.sum(axis=1, keepdims=True), z[:, 0] - z[:, 1]) == 0
    # Noise of one size does not care for leverage, nor do the features' coordinates matter.
    rng = np.random.default_rng(8)
    X, xi = rng.standard_normal((50, 4)), rng.standard_normal((50, 2))
    assert noise_inflation(X, np.ones(50)) == pytest.approx(1)
    mixed = noise_inflation(X @ rng.standard_normal((4, 4)), -3 * xi)
    assert mixed == pytest.approx(noise_inflation(X, xi))
    # Columns are pooled with their power as weight.
    power = np.sum(xi**2, axis=0)
    apart = [noise_inflation(X, column) for column in xi.T]
    assert noise_inflation(X, xi) == pytest.approx(np.average(apart, weights=power))


def test_noise_inflation_is_the_first_order_of_the_teachers_risk():
    """ER = rho + (sigma^2 + h rho) d/n for large n; multivariate t has h = (nu-2)/(nu-4)."""
    law, n, d = inputs.elliptical_t(12), 800, 6
    pair = GaussianPair.aligned(d_w=d, d_s=2, d_sw=1, target=np.ones(10) / 2, noise_variance=0.1)
    risks = simulate_inputs(pair, n, 10, trials=3000, seed=9, inputs=law)
    variance = mean((risks.weak - pair.rho_w) * (n - d - 1) / d)
    assert abs(variance.z_score(pair.noise_variance + 10 / 8 * pair.rho_w)) < 4
    assert abs(variance.z_score(pair.noise_variance + pair.rho_w)) > 6
    z = law(200_000, 10, np.random.default_rng(10))
    residual = z @ (pair.target - pair.weak_basis @ (pair.weak_basis.T @ pair.target))
    assert noise_inflation(z @ pair.weak_basis, residual) == pytest.approx(10 / 8, rel=0.03)
