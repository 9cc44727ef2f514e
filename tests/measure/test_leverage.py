import numpy as np
import pytest

from w2s_utils.measure import leverage_excess, noise_inflation
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import inputs, simulate_inputs


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: leverage_excess(np.ones((2, 3))), "more rows than columns, got shape \\(2, 3\\)"),
        (lambda: leverage_excess(np.ones((5, 2))), "linearly independent"),
        (lambda: noise_inflation(np.ones((3, 1)), np.ones(2)), "features has 3, residual has 2"),
        (lambda: noise_inflation(np.ones((3, 1)), np.zeros(3)), "not be all zero"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
