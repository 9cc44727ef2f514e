import numpy as np
import pytest
from scipy import stats

from tests.known import as_matrix, generic_pair
from w2s_utils.metrics import MODELS
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge
from w2s_utils.simulation import simulate, simulate_ridge

SPECTRA = {"spectrum_w": np.arange(1, 11.0) ** -1, "spectrum_s": np.arange(1, 10.0) ** -0.5}


def small_pair():
    return generic_pair(seed=4, d_w=10, d_s=9, dimension=24)


def small_directions():
    return small_pair().along(**SPECTRA)


def direct(pair, n, N, trials, seed, alpha_w, alpha_s, spectrum_w, spectrum_s):
    """All inputs drawn, all four models fitted by `probes.fit_ridge`."""
    rng = np.random.default_rng(seed)
    weak_features = pair.weak_basis * np.sqrt(spectrum_w)
    strong_features = pair.strong_basis * np.sqrt(spectrum_s)
    risks = []
    for _ in range(trials):
        Z = rng.standard_normal((n + N, len(pair.target)))
        noise = rng.standard_normal(n + N)
        y = Z @ pair.target + np.sqrt(pair.noise_variance) * noise
        weak = weak_features @ fit_ridge(Z[:n] @ weak_features, y[:n], alpha_w)
        models = [weak]
        for rows, labels in ((slice(n, None), Z @ weak), (slice(n), y), (slice(None), y)):
            X = Z[rows] @ strong_features
            models.append(strong_features @ fit_ridge(X, labels[rows], alpha_s))
        risks.append([np.sum((b - pair.target) ** 2) for b in models])
    return np.array(risks)


@pytest.mark.parametrize(
    ("n", "N", "alpha_w", "alpha_s"),
    [(30, 25, 0.05, 0.2), (6, 30, 0.1, 0.01), (40, 5, 0.0, 0.3), (7, 6, 0.0, 0.0)],
)
def test_against_direct_draws(n, N, alpha_w, alpha_s):
    """Means by z-scores, whole laws by Kolmogorov and Smirnov; 1000 trials each."""
    oracle = direct(small_pair(), n, N, 1000, 1, alpha_w, alpha_s, **SPECTRA)
    drawn = as_matrix(simulate_ridge(small_directions(), n, N, 1000, 2, alpha_w, alpha_s))
    for a, b in zip(np.log(oracle.T), np.log(drawn.T), strict=True):
        assert abs(a.mean() - b.mean()) < 4 * np.sqrt((a.var() + b.var()) / len(a))
        assert stats.ks_2samp(a, b).pvalue > 1e-3


def test_a_penalty_on_the_factors_rows_would_be_noticed():
    """The number of samples counts, not the rows of the triangular factor (here 25 of 200)."""
    pair, alpha = small_pair(), 1.0
    oracle = direct(pair, 200, 200, 400, 3, alpha, alpha, **SPECTRA)
    right, wrong = (
        as_matrix(simulate_ridge(small_directions(), 200, 200, 400, 4, a, a))
        for a in (alpha, alpha * 25 / 200)
    )
    for a, b, c in zip(oracle.T, right.T, wrong.T, strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-3
        assert stats.ks_2samp(a, c).pvalue < 1e-6


@pytest.mark.parametrize(("n", "N"), [(30, 40), (40, 5)])
def test_ridgeless_is_the_ridgeless_sampler(n, N):
    pair = small_pair()
    plain = as_matrix(simulate(pair, n, N, 2000, 5))
    flat = pair.along(np.ones(10), np.ones(9))
    ridge = as_matrix(simulate_ridge(flat, n, N, 2000, 6, 0, 0))
    for a, b in zip(plain.T, ridge.T, strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-3


def test_ridges_share_their_training_sets():
    directions = small_directions()
    ridges = np.array([[0.0, 0.1], [0.5, 2.0]])
    together = simulate_ridge(directions, 30, 20, 3, 7, ridges, 0.1)
    for model in MODELS:
        assert together[model].shape == (3, 2, 2)
    for place in np.ndindex(2, 2):
        alone = simulate_ridge(directions, 30, 20, 3, 7, ridges[place], 0.1)
        for model in MODELS:
            np.testing.assert_allclose(alone[model], together[model][:, *place], rtol=1e-10)


def test_scaling_a_spectrum_and_its_ridge_together_changes_nothing():
    scaled = small_pair().along(3 * SPECTRA["spectrum_w"], 7 * SPECTRA["spectrum_s"])
    one = simulate_ridge(small_directions(), 12, 8, 4, 8, 0.1, 0.2)
    two = simulate_ridge(scaled, 12, 8, 4, 8, 0.3, 1.4)
    np.testing.assert_allclose(as_matrix(one), as_matrix(two), rtol=1e-9)


def test_a_large_ridge_leaves_the_target_unlearned():
    pair = small_pair()
    risks = as_matrix(simulate_ridge(small_directions(), 30, 30, 2, 9, 1e9, 1e9))
    np.testing.assert_allclose(risks, np.sum(pair.target**2), rtol=1e-6)


def test_subspaces_that_fill_the_space():
    pair = GaussianPair(np.eye(3), np.eye(3)[:, :2], np.array([1.0, 1.0, 0.0]), 0.0)
    risks = as_matrix(simulate_ridge(pair.along(np.ones(3), np.ones(2)), 9, 8, 2, 10, 0, 0))
    np.testing.assert_allclose(risks, 0, atol=1e-20)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 0}, "n must exceed zero, got 0"),
        ({"N": 2.5}, "whole numbers"),
        ({"trials": 0}, "trials must exceed zero"),
        ({"trials": np.nan}, "trials must be finite"),
        ({"trials": [2, 3]}, "trials must be one whole number"),
        ({"seed": 0.5}, "seed must be a whole number >= 0, got 0.5"),
        ({"alpha_w": -0.1}, "alpha_w must be >= 0, got -0.1"),
        ({"alpha_s": [0.1, np.nan]}, "alpha_s must be finite"),
        ({"spectrum_w": np.ones(9)}, "spectrum_w must hold one variance for each of the 10"),
        ({"spectrum_s": np.zeros(9)}, "spectrum_s must hold variances above zero, got 0"),
    ],
)
def test_bad_arguments_are_refused(changed, message):
    arguments = {"n": 20, "N": 20, "trials": 2, "seed": 0, "alpha_w": 0.1, "alpha_s": 0.1}

    def draw(spectrum_w, spectrum_s, **rest):
        simulate_ridge(small_pair().along(spectrum_w, spectrum_s), **rest)

    with pytest.raises(ValueError, match=message):
        draw(**(arguments | SPECTRA | changed))
