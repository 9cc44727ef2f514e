import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.known import generic_pair
from w2s_utils.metrics import MODELS, mean
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import simulate
from w2s_utils.subspaces import random_basis
from w2s_utils.theory import exact


@pytest.mark.parametrize("risk", ["population", "transductive"])
@pytest.mark.parametrize(
    ("pair", "n", "N"),
    [
        (generic_pair(), 40, 50),
        (generic_pair(seed=1, d_w=9, d_s=14, dimension=40), 31, 37),
    ],
    ids=["d_w > d_s", "d_w < d_s"],
)
def test_expected_risks_against_20000_direct_trials(pair, n, N, risk):
    measured = simulate(pair, n, N, trials=20_000, seed=11, method="direct", risk=risk)
    expected = exact.expected_risks(pair, n, N, risk)
    for model in MODELS:
        z = mean(measured[model]).z_score(expected[model])
        assert abs(z) < 4, (model, z)


def test_each_bias_term_alone():
    """Targets for which only one of the three bias terms is not zero."""
    identity = np.eye(6)
    weak, strong = identity[:, :3], identity[:, 2:5]

    def terms(coordinate):
        pair = GaussianPair(weak, strong, identity[coordinate], 0.0)
        # As n grows the teacher's variance vanishes and the bias remains.
        return exact.student_terms(pair, n=10**9, N=10)

    k = 3 / (10 - 3 - 1)
    for coordinate, expected in (
        (0, (0, k, 1)),  # seen by the teacher alone: leaks, and is unseen by the student
        (2, (0, 0, 0)),  # seen by both
        (3, (1, 0, 0)),  # seen by the student alone: the teacher misses it
        (5, (0, 0, 1)),  # seen by neither
    ):
        found = terms(coordinate)
        np.testing.assert_allclose([found.missed, found.leaked, found.unseen], expected, atol=1e-12)


def test_student_variance_at_the_extremes_of_overlap():
    for d_sw, share in ((0, 0.0), (3, 1.0)):
        pair = GaussianPair.aligned(d_w=3, d_s=3, d_sw=d_sw, target=np.ones(6), noise_variance=1.0)
        terms = exact.student_terms(pair, n=20, N=30)
        assert terms.inherited / (3 * exact.coefficient_variance(pair, 20)) == pytest.approx(share)
        assert terms.reduced == pytest.approx(
            (1 - share) * 3 * exact.coefficient_variance(pair, 20) * 3 / 26
        )


def test_identical_subspaces_leave_the_student_at_its_teacher():
    basis = random_basis(15, 4, np.random.default_rng(3))
    pair = GaussianPair(basis, basis, np.ones(15), 0.3)
    risks = exact.expected_risks(pair, n=12, N=9)
    assert risks.student == pytest.approx(risks.weak)


def test_student_equals_the_sum_of_its_terms_and_tends_to_its_limits():
    pair = generic_pair()
    terms = exact.student_terms(pair, [30, 60], [[20], [40]])
    assert terms.total.shape == (2, 2)
    np.testing.assert_allclose(
        terms.total, exact.expected_risks(pair, [30, 60], [[20], [40]]).student
    )
    population = exact.student_terms(pair, 30, 10**12)
    transductive = exact.student_terms(pair, 30, 10**12, "transductive")
    assert population.total == pytest.approx(transductive.total, rel=1e-9)
    assert population.variance == pytest.approx(
        exact.coefficient_variance(pair, 30) * pair.d_sw, rel=1e-9
    )


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_invariance_to_rotation_and_equivariance_to_scale(seed, scale):
    pair = generic_pair(noise_variance=0.2)
    rng = np.random.default_rng(seed)
    rotation = random_basis(60, 60, rng)
    moved = GaussianPair(
        rotation @ pair.weak_basis @ random_basis(20, 20, rng),
        rotation @ pair.strong_basis,
        scale * rotation @ pair.target,
        scale**2 * pair.noise_variance,
    )
    for risk in ("population", "transductive"):
        one, two = (exact.expected_risks(p, 45, [25, 80], risk) for p in (pair, moved))
        for model in MODELS:
            np.testing.assert_allclose(two[model], scale**2 * one[model], rtol=1e-8)


@pytest.mark.parametrize(("d", "m"), [(1, 6), (5, 12), (12, 40)])
def test_mean_and_law_of_an_inverse_wishart(d, m):
    rng = np.random.default_rng(7)
    inverses = []
    for _ in range(6000):
        X = rng.standard_normal((m, d))
        inverses.append(np.linalg.inv(X.T @ X))
    inverses = np.array(inverses)
    diagonal = mean(np.trace(inverses, axis1=1, axis2=2) / d)
    assert abs(diagonal.z_score(1 / (m - d - 1))) < 4
    if d > 1:
        assert abs(mean(inverses[:, 0, 1]).z_score(0)) < 4
    # Along any fixed direction, one over a chi-square with m - d + 1 degrees of freedom.
    u = rng.standard_normal(d)
    along = np.einsum("i,tij,j->t", u, inverses, u) / (u @ u)
    assert stats.kstest(1 / along, stats.chi2(m - d + 1).cdf).pvalue > 1e-3
    assert stats.kstest(1 / along, stats.chi2(m - d + 2).cdf).pvalue < 1e-3


def test_risk_law_of_teacher_baseline_and_ceiling_against_direct_trials():
    pair, n, N = generic_pair(seed=6), 28, 16
    risks = simulate(pair, n, N, trials=4000, seed=8, method="direct")
    for model, d, rho, samples in (
        ("weak", pair.d_w, pair.rho_w, n),
        ("baseline", pair.d_s, pair.rho_s, n),
        ("ceiling", pair.d_s, pair.rho_s, n + N),
    ):
        law = exact.risk_law(d, rho, pair.noise_variance, samples)
        drawn = risks[model]
        assert stats.kstest(drawn, law.cdf).pvalue > 1e-3, model
        # The test can fail: one label more is rejected.
        more = exact.risk_law(d, rho, pair.noise_variance, samples + 1)
        assert stats.kstest(drawn, more.cdf).pvalue < 1e-3, model


@given(st.integers(1, 30), st.integers(4, 60), st.floats(0, 3), st.floats(0.01, 3))
def test_moments_of_the_risk_law(d, extra, rho, noise_variance):
    m = d + extra
    law = exact.risk_law(d, rho, noise_variance, m)
    s2 = rho + noise_variance
    assert law.mean() == pytest.approx(rho + s2 * d / (m - d - 1))
    assert law.var() == pytest.approx(
        s2**2 * 2 * d * (m - 1) / ((m - d - 1) ** 2 * (m - d - 3)), rel=1e-6
    )


def test_weak_risk_law_against_direct_trials():
    pair = generic_pair(seed=5)
    law = exact.weak_risk_law(pair, 30)
    risks = simulate(pair, 30, 20, trials=4000, seed=6, method="direct").weak
    assert stats.kstest(risks, law.cdf).pvalue > 1e-3
    # The test can fail: one degree of freedom off is rejected.
    wrong = stats.betaprime(
        pair.d_w / 2, (30 - pair.d_w) / 2, *(law.kwds["loc"], law.kwds["scale"])
    )
    assert stats.kstest(risks, wrong.cdf).pvalue < 1e-3


def test_weak_risk_law_has_the_exact_mean_and_an_infinite_one_at_the_edge():
    pair = generic_pair()
    assert exact.weak_risk_law(pair, 22).mean() == pytest.approx(
        exact.expected_risks(pair, 22, 50).weak
    )
    assert np.isinf(exact.weak_risk_law(pair, 21).mean())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: exact.expected_risks(p, 21, 50), "n must exceed max\\(d_w, d_s\\) \\+ 1 = 21"),
        (lambda p: exact.expected_risks(p, 50, 13), "N must exceed d_s \\+ 1 = 13, got 13"),
        (lambda p: exact.expected_risks(p, 40.5, 50), "whole numbers"),
        (lambda p: exact.expected_risks(p, np.nan, 50), "1 NaN"),
        (lambda p: exact.expected_risks(p, 40, 50, "training"), "'population' or 'transductive'"),
        (lambda p: exact.student_terms(p, 21, 50), "n must exceed d_w \\+ 1 = 21"),
        (lambda p: exact.risk_law(0, 0.1, 1.0, 5), "d must exceed zero, got 0"),
        (lambda p: exact.risk_law(3, -0.1, 1.0, 5), "must be >= 0, got -0.1 and 1.0"),
        (lambda p: exact.weak_risk_law(p, 19), "samples must exceed d - 1 = 19, got 19"),
    ],
)
def test_bad_sizes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(generic_pair())


def test_a_noiseless_well_specified_teacher_has_no_law():
    pair = GaussianPair(np.eye(3), np.eye(3)[:, :1], np.ones(3), 0.0)
    with pytest.raises(ValueError, match="exactly 0"):
        exact.weak_risk_law(pair, 10)
    assert exact.expected_risks(pair, 10, 10).weak == 0


def test_smallest_sizes_are_finite():
    pair = GaussianPair.aligned(d_w=4, d_s=2, d_sw=0, target=np.ones(7), noise_variance=1.0)
    risks = exact.expected_risks(pair, n=6, N=4)
    assert all(np.isfinite(risks[model]) for model in MODELS)
