import numpy as np
import pytest
from scipy import stats

from tests.known import as_matrix, generic_pair
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import simulate


@pytest.fixture(scope="module", params=["population", "transductive"])
def both_methods(request):
    pair, n, N, trials = generic_pair(seed=2), 34, 30, 6000
    return [
        as_matrix(simulate(pair, n, N, trials, seed, method, request.param))
        for seed, method in ((1, "wishart"), (2, "direct"))
    ]


def test_methods_agree_in_mean_and_variance(both_methods):
    wishart, direct = (np.log(samples) for samples in both_methods)
    for power in (1, 2):
        a, b = ((x - direct.mean(0)) ** power for x in (wishart, direct))
        z = (a.mean(0) - b.mean(0)) / np.sqrt((a.var(0) + b.var(0)) / len(a))
        assert np.abs(z).max() < 4


def test_methods_agree_in_distribution(both_methods):
    for a, b in zip(both_methods[0].T, both_methods[1].T, strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-3


def test_methods_agree_jointly(both_methods):
    """Correlations of the four risks, compared by Fisher's z; the risks share their data."""
    ranks = [stats.spearmanr(samples).statistic for samples in both_methods]
    upper = np.triu_indices(4, 1)
    fisher = [np.arctanh(r[upper]) for r in ranks]
    error = np.sqrt(2 * 1.06 / (len(both_methods[0]) - 3))
    assert np.abs(fisher[0] - fisher[1]).max() < 4 * error
    assert ranks[1][0, 1] > 0.5  # teacher and student are far from independent


@pytest.mark.parametrize(("n", "N"), [(8, 30), (30, 7), (2, 2)])
def test_methods_agree_below_interpolation(n, N):
    pair = generic_pair(seed=4, d_w=10, d_s=9, dimension=24)
    a, b = (
        as_matrix(simulate(pair, n, N, 3000, seed, method))
        for seed, method in ((3, "wishart"), (4, "direct"))
    )
    for x, y in zip(a.T, b.T, strict=True):
        assert stats.ks_2samp(x, y).pvalue > 1e-3


def test_same_seed_same_risks_and_more_trials_extend_them():
    pair = GaussianPair.aligned(d_w=3, d_s=2, d_sw=1, target=np.ones(5), noise_variance=1.0)
    five, three = (as_matrix(simulate(pair, 9, 8, trials, seed=7)) for trials in (5, 3))
    np.testing.assert_array_equal(five[:3], three)
    assert not np.array_equal(five, as_matrix(simulate(pair, 9, 8, 5, seed=8)))


def test_a_noiseless_target_inside_both_subspaces_is_learned():
    identity = np.eye(6)
    pair = GaussianPair(identity[:, :3], identity[:, 1:5], identity[2], 0.0)
    for method in ("wishart", "direct"):
        np.testing.assert_allclose(as_matrix(simulate(pair, 12, 12, 5, 0, method)), 0, atol=1e-20)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 0}, "n must exceed zero, got 0"),
        ({"N": -3}, "N must exceed zero"),
        ({"trials": 0}, "trials must exceed zero"),
        ({"trials": np.nan}, "trials must be finite"),
        ({"trials": [2, 3]}, "trials must be one whole number"),
        ({"seed": 0.5}, "seed must be a whole number >= 0, got 0.5"),
        ({"n": 3.5}, "whole numbers"),
        ({"method": "exact"}, "'wishart' or 'direct', got 'exact'"),
        ({"risk": "train"}, "'population' or 'transductive', got 'train'"),
    ],
)
def test_bad_arguments_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        simulate(**({"pair": generic_pair(), "n": 40, "N": 40, "trials": 2, "seed": 0} | changed))
