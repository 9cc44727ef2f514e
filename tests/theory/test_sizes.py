import numpy as np
import pytest
from scipy.optimize import brentq

from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge
from w2s_utils.theory import ridge
from w2s_utils.theory.sizes import effective_ridge, effective_samples

SPECTRUM = np.arange(1.0, 61) ** -1.0
UNEQUAL = np.array([0.25, 0.25, 0.5, 1.0, 3.0])


@pytest.mark.parametrize(("m", "alpha"), [(20, 0.0), (20, 0.01), (60, 0.0), (100, 0.0), (100, 0.1)])
def test_equal_sizes_are_the_gaussian_case(m, alpha):
    for sizes in ([1.0], [1 - 1e-9, 1 + 1e-9]):
        found = effective_samples(SPECTRUM, m, alpha, sizes)
        assert float(found.kappa) == pytest.approx(float(effective_ridge(SPECTRUM, m, alpha)))
        assert float(found.samples) == pytest.approx(m)
        assert float(found.noise) == pytest.approx(1)


@pytest.mark.parametrize("m", [20, 59, 61, 100, 10_000])
@pytest.mark.parametrize("alpha", [1e-8, 1e-3, 0.1, 10.0])
def test_against_bisection(m, alpha):
    def used(kappa):
        return np.sum(SPECTRUM / (SPECTRUM + kappa))

    def gap(x):
        gamma = np.mean(UNEQUAL / (1 + UNEQUAL * np.exp(x)))
        return m * gamma * np.exp(x) - used(alpha / gamma)

    delta = np.exp(brentq(gap, -30, 30, xtol=1e-13))
    gamma = np.mean(UNEQUAL / (1 + UNEQUAL * delta))
    q = np.mean((UNEQUAL / (1 + UNEQUAL * delta)) ** 2) / gamma**2
    found = effective_samples(SPECTRUM, m, alpha, UNEQUAL)
    assert float(found.kappa) == pytest.approx(alpha / gamma, rel=1e-6)
    assert float(found.samples) == pytest.approx(m / q, rel=1e-6)


def test_interpolation_amplifies_the_noise_of_small_inputs():
    found = effective_samples(SPECTRUM, 20, 0.0, UNEQUAL)
    assert float(found.noise) == pytest.approx(np.mean(1 / UNEQUAL))
    assert float(found.samples) == 20
    near = effective_samples(SPECTRUM, 20, 1e-12, UNEQUAL)
    assert float(near.noise) == pytest.approx(np.mean(1 / UNEQUAL), rel=1e-6)


@pytest.mark.parametrize(("m", "alpha"), [(25, 0.0), (40, 1e-3), (150, 0.0), (60, 0.05)])
def test_risk_of_a_fit_against_simulation(m, alpha):
    d, trials = len(SPECTRUM), 600
    rng = np.random.default_rng(m)
    beta = rng.standard_normal(d) / np.sqrt(d)
    pair = GaussianPair(np.eye(d), np.eye(d), beta, 0.5)
    risks = []
    for _ in range(trials):
        X = np.sqrt(rng.choice(UNEQUAL, m))[:, None] * rng.standard_normal((m, d))
        y = X @ beta + np.sqrt(0.5) * rng.standard_normal(m)
        weights = fit_ridge(X * np.sqrt(SPECTRUM), y, alpha)
        risks.append(np.sum((np.sqrt(SPECTRUM) * weights - beta) ** 2))
    measured = mean(risks)
    fit = (m, 10 * d, alpha, 0.0, SPECTRUM, SPECTRUM)
    expected = float(ridge.expected_risks(pair, *fit, sizes_w=UNEQUAL, strict=False).weak)
    gaussian = float(ridge.expected_risks(pair, *fit, strict=False).weak)
    # Leading order in 1/d: a few per cent here, against the tens that the sizes change.
    assert measured.value == pytest.approx(expected, rel=0.04, abs=3 * measured.standard_error)
    assert abs(measured.value - expected) < abs(measured.value - gaussian) / 3


@pytest.mark.parametrize("sizes", [[1.0, 2.0], [0.0, 2.0], [-1.0, 3.0], [np.nan]])
def test_sizes_that_are_none_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes must"):
        effective_samples(SPECTRUM, 20, 0.0, sizes)
