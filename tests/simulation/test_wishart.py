import tracemalloc

import numpy as np
import pytest
from scipy import stats

from tests.known import PAIRS, as_matrix, pair_at
from w2s_utils.metrics import MODELS, mean
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import simulate
from w2s_utils.simulation.wishart import triangular_factor
from w2s_utils.theory.exact import expected_risks

PANELS = [
    (d_sw, noise_variance)
    for d_sw, noise_variance in (
        (10, 1e-2), (90, 1e-2), (90, 4e-4),  # excess risks
        (10, 1e-2), (50, 1e-2), (90, 1e-2), (10, 1e-1), (50, 1e-1), (90, 1e-1),  # PGR and OPR
    )
]  # fmt: skip


@pytest.mark.parametrize(("rows", "columns"), [(9, 4), (4, 4), (3, 5)])
def test_triangular_factor_has_the_law_of_a_qr_factor(rows, columns):
    rng = np.random.default_rng(0)
    drawn = np.array([triangular_factor(rows, columns, rng) for _ in range(3000)])
    factored = np.linalg.qr(rng.standard_normal((3000, rows, columns)), mode="r")
    factored *= np.sign(np.diagonal(factored, axis1=1, axis2=2))[..., None]
    assert drawn.shape == factored.shape
    assert np.all(drawn[:, *np.tril_indices(drawn.shape[1], -1)] == 0)
    for i, j in zip(*np.triu_indices(drawn.shape[1], m=columns), strict=True):
        assert stats.ks_2samp(drawn[:, i, j], factored[:, i, j]).pvalue > 1e-4


@pytest.mark.parametrize("risk", ["population", "transductive"])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_means_of_every_kind_of_pair_are_exact(pair, risk):
    n, N = max(pair.d_w, pair.d_s) + 20, pair.d_s + 25
    trials = 200 if pair.d_w > 100 else 3000
    drawn = simulate(pair, n, N, trials, seed=5, risk=risk)
    expected = expected_risks(pair, n, N, risk)
    for model in MODELS:
        z = mean(drawn[model]).z_score(float(expected[model]))
        assert abs(z) < 4, (model, z)


@pytest.mark.parametrize(("d_w", "d_s"), [(30, 2), (9, 14)])  # 27 silent directions, and none
def test_weak_risk_has_the_law_of_hotellings_t_squared(d_w, d_s):
    """Not only its mean: the excess over rho_w is a multiple of an F variable."""
    pair = pair_at(np.linspace(0.3, np.pi / 2, min(d_w, d_s)), d_w, d_s)
    spare = max(d_w, d_s) + 3 - d_w
    drawn = simulate(pair, d_w + spare - 1, d_s + 20, 3000, seed=6).weak
    ratio = (drawn - pair.rho_w) / (pair.noise_variance + pair.rho_w) * spare / d_w
    assert stats.kstest(ratio, stats.f(d_w, spare).cdf).pvalue > 1e-4


@pytest.mark.parametrize("risk", ["population", "transductive"])
@pytest.mark.parametrize("name", ["0, small, large and 90 degrees", "the same with d_w < d_s"])
def test_joint_law_against_all_the_data(name, risk):
    """Means and covariances of the log risks against the oracle's, each by its z-score."""
    pair, n, N, trials = PAIRS[name], 14, 13, 4000
    fast, plain = (
        np.log(as_matrix(simulate(pair, n, N, trials, seed, method, risk)))
        for seed, method in ((1, "wishart"), (2, "direct"))
    )
    centre = plain.mean(axis=0)
    moments = [(1.0 * (x - centre)[:, :, None] * (x - centre)[:, None, :]) for x in (fast, plain)]
    for a, b in ((fast, plain), moments):
        z = (a.mean(0) - b.mean(0)) / np.sqrt((a.var(0) + b.var(0)) / trials)
        assert np.abs(z).max() < 4


def test_the_joint_law_test_can_fail():
    """Fits of independent data sets have the same means and another covariance."""
    pair = PAIRS["the same with d_w < d_s"]
    paired, other = (np.log(as_matrix(simulate(pair, 14, 13, 4000, seed))) for seed in (1, 3))
    broken = np.column_stack([paired[:, :1], other[:, 1:]])
    correlation = [np.corrcoef(x.T)[0, 1] for x in (paired, broken)]
    assert correlation[0] > 0.2
    assert abs(correlation[1]) < 4 / np.sqrt(4000)


def test_every_cell_of_the_published_panels():
    """14,400 trials: all means within 4 standard errors, and no more extremes than chance.

    With 40 trials a z-score is a Student t variable with 39 degrees of freedom. The 360 cells are
    independent; the four risks of a cell are not, so each model is tested alone.
    """
    sizes = np.linspace(400, 4000, 20).round().astype(int)
    cells = [(int(n), 4000) for n in sizes] + [(2000, int(N)) for N in sizes]
    seeds = iter(np.random.SeedSequence(20250209).spawn(len(PANELS) * len(cells)))
    z = []
    for d_sw, noise_variance in PANELS:
        pair = GaussianPair.paper(d_sw, noise_variance)
        for n, N in cells:
            drawn, expected = simulate(pair, n, N, 40, next(seeds)), expected_risks(pair, n, N)
            z.append([mean(drawn[model]).z_score(float(expected[model])) for model in MODELS])
    z = np.array(z)
    assert z.shape == (360, 4)
    assert np.abs(z).max() < 4
    law = stats.t(39)
    for scores in z.T:
        assert stats.kstest(scores, law.cdf).pvalue > 1e-3
        beyond = int(np.sum(np.abs(scores) > law.isf(0.025)))
        assert stats.binomtest(beyond, len(scores), 0.05).pvalue > 1e-3
        # The test can fail: a bias of half a standard error is seen.
        assert stats.kstest(scores + 0.5, law.cdf).pvalue < 1e-3


def test_memory_does_not_grow_with_the_number_of_samples():
    pair = GaussianPair.paper()
    simulate(pair, 4000, 4000, 2, seed=0)

    def peak(n, N, trials):
        tracemalloc.start()
        simulate(pair, n, N, trials, seed=0)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    small = peak(4000, 4000, 20)
    assert peak(10**8, 10**8, 20) < 1.05 * small
    assert small < 20e6
    assert peak(4000, 4000, 80) < 1.05 * small  # nor with the trials, but for their results


def test_a_hundred_million_samples_give_the_limit():
    pair = GaussianPair.paper(d_sw=90)
    drawn = simulate(pair, 10**8, 10**8, 20, seed=0)
    for found, limit in zip(drawn, expected_risks(pair, 10**8, 10**8), strict=True):
        assert found.mean() == pytest.approx(limit, rel=1e-4)
