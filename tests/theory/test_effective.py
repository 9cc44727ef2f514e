import numpy as np
import pytest
from scipy.optimize import brentq

from w2s_utils.directions import Radii
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge
from w2s_utils.theory import ridge
from w2s_utils.theory.effective import effective_ridge, effective_samples

SPECTRUM = np.arange(1.0, 61) ** -1.0
UNEQUAL = np.array([0.25, 0.25, 0.5, 1.0, 3.0])
NOISE = np.array([2.0, 1.5, 1.0, 0.5, 0.0])  # more of it on small inputs


@pytest.mark.parametrize(("m", "alpha"), [(20, 0.0), (20, 0.01), (60, 0.0), (100, 0.0), (100, 0.1)])
def test_equal_radii_are_the_gaussian_case(m, alpha):
    for radii in ([1.0], [1 - 1e-9, 1 + 1e-9]):
        found = effective_samples(SPECTRUM, m, alpha, Radii(radii))
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
    found = effective_samples(SPECTRUM, m, alpha, Radii(UNEQUAL, NOISE))
    assert float(found.kappa) == pytest.approx(alpha / gamma, rel=1e-6)
    assert float(found.samples) == pytest.approx(m / q, rel=1e-6)
    eta = np.mean(NOISE * UNEQUAL / (1 + UNEQUAL * delta) ** 2) / gamma**2
    assert float(found.noise) == pytest.approx(eta / q, rel=1e-6)


def test_interpolation_amplifies_the_noise_of_small_inputs():
    found = effective_samples(SPECTRUM, 20, 0.0, Radii(UNEQUAL, NOISE))
    assert float(found.noise) == pytest.approx(np.mean(NOISE / UNEQUAL))
    assert float(found.samples) == 20
    near = effective_samples(SPECTRUM, 20, 1e-12, Radii(UNEQUAL, NOISE))
    assert float(near.noise) == pytest.approx(np.mean(NOISE / UNEQUAL), rel=1e-6)


def test_many_samples_multiply_noise_by_its_inflation():
    found = effective_samples(SPECTRUM, 10**7, 0.0, Radii(UNEQUAL, NOISE))
    q = 10**7 / float(found.samples)
    assert float(found.noise) * q == pytest.approx(np.mean(NOISE * UNEQUAL), rel=1e-4)


@pytest.mark.parametrize("noise", [np.ones(5), NOISE, NOISE[::-1]], ids=["equal", "small", "large"])
@pytest.mark.parametrize(("m", "alpha"), [(25, 0.0), (40, 1e-3), (150, 0.0), (60, 0.05)])
def test_risk_of_a_fit_against_simulation(m, alpha, noise):
    d, trials = len(SPECTRUM), 600
    rng = np.random.default_rng(m)
    beta = rng.standard_normal(d) / np.sqrt(d)
    pair = GaussianPair(np.eye(d), np.eye(d), beta, 0.5)
    risks = []
    for _ in range(trials):
        group = rng.integers(len(UNEQUAL), size=m)
        X = np.sqrt(UNEQUAL[group])[:, None] * rng.standard_normal((m, d))
        y = X @ beta + np.sqrt(0.5 * noise[group]) * rng.standard_normal(m)
        weights = fit_ridge(X * np.sqrt(SPECTRUM), y, alpha)
        risks.append(np.sum((np.sqrt(SPECTRUM) * weights - beta) ** 2))
    measured = mean(risks)

    def risk(*radii):
        directions = pair.along(SPECTRUM, SPECTRUM, Radii(*radii))
        found = ridge.expected_risks(directions, m, 10 * d, alpha, 0.0, strict=False)
        return float(found.weak)

    expected, gaussian, independent = risk(UNEQUAL, noise), risk([1.0]), risk(UNEQUAL)
    # Leading order in 1/d: a few per cent here, against the tens that the radii change.
    assert measured.value == pytest.approx(expected, rel=0.04, abs=3 * measured.standard_error)
    missed = max(abs(measured.value - simpler) for simpler in (gaussian, independent))
    assert abs(measured.value - expected) < missed / 3


@pytest.mark.parametrize("radii", [[1.0, 2.0], [0.0, 2.0], [-1.0, 3.0], [np.nan]])
def test_radii_that_are_none_are_refused(radii):
    with pytest.raises(ValueError, match="radii must"):
        Radii(radii)


@pytest.mark.parametrize("noise", [[1.0], [1.0, 2.0], [-1.0, 3.0], [np.nan, 1.0]])
def test_noise_that_does_not_fit_the_radii_is_refused(noise):
    with pytest.raises(ValueError, match="noise must"):
        Radii([0.5, 1.5], noise)
