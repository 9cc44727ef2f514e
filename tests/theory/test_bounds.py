import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from tests.known import scanned_pair
from w2s_utils.metrics import MODELS
from w2s_utils.pair import GaussianPair
from w2s_utils.subspaces import random_basis
from w2s_utils.theory.bounds import (
    bounds_hold,
    opr_lower_bound,
    optimal_n,
    paper_risks,
    pgr_lower_bound,
    required_N,
)
from w2s_utils.theory.exact import expected_risks, student_terms


def grid(pair):
    """All small sample sizes and some large ones, as a row of n and a column of N."""
    steps = np.unique(np.geomspace(1, 1e5, 40).astype(int))
    return max(pair.d_w, pair.d_s) + 1 + steps, (pair.d_s + 1 + steps)[:, None]


def test_a_hand_computed_point():
    pair = GaussianPair.aligned(
        d_w=4, d_s=2, d_sw=1, target=[1.0, 0, 0, 0, 0, 2.0], noise_variance=3.0
    )
    risks = paper_risks(pair, n=10, N=20)
    # Weak coordinates 2..5, strong 1..2: rho_w = 1 + 4, rho_s = 4; d_sw(20) = 1 + 3 * 2 / 20.
    assert risks.weak == pytest.approx(3 * 4 / 10 + 5)
    assert risks.student == pytest.approx(3 * 1.3 / 5 + 5 + 4)
    assert risks.baseline == pytest.approx(3 * 2 / 10 + 4)
    assert risks.ceiling == pytest.approx(3 * 2 / 30 + 4)


def test_the_curves_approach_the_exact_risks_when_well_specified():
    """Large samples, no approximation error: the formulas differ by d/n only."""
    target = np.r_[np.zeros(3), 1.0, 0, 0, 0]
    pair = GaussianPair.aligned(d_w=4, d_s=4, d_sw=1, target=target, noise_variance=1.0)
    assert pair.rho_w == pair.rho_s == 0
    for size in (10**3, 10**5):
        paper, exact = paper_risks(pair, size, size), expected_risks(pair, size, size)
        for model in MODELS:
            assert paper[model] == pytest.approx(exact[model], rel=20 / size)


def test_broadcasting_and_bad_sizes():
    pair = GaussianPair.paper()
    assert paper_risks(pair, [400, 800], [[500], [900], [1300]]).weak.shape == (3, 2)
    assert paper_risks(pair, 202, 1).student > paper_risks(pair, 202, 2).student
    with pytest.raises(ValueError, match="n must exceed d_w \\+ 1 = 201"):
        paper_risks(pair, 201, 500)
    for function in (paper_risks, pgr_lower_bound, opr_lower_bound):
        with pytest.raises(ValueError, match="n must exceed d_w \\+ 1 = 201"):
            function(pair, 201, 500)
        with pytest.raises(ValueError, match="N must exceed zero"):
            function(pair, 400, 0)
    with pytest.raises(ValueError, match="N must exceed zero"):
        optimal_n(pair, 0)
    for delta in (0, [0.1, -1.0]):
        with pytest.raises(ValueError, match="delta must be above zero"):
            required_N(pair, delta)
    with pytest.raises(ValueError, match="delta must be finite"):
        required_N(pair, np.nan)
    for call in (lambda r: required_N(pair, 0.1, r), lambda r: bounds_hold(pair, 400, 500, r)):
        with pytest.raises(ValueError, match="'population' or 'transductive'"):
            call("training")
    with pytest.raises(ValueError, match="N must exceed d_s \\+ 1 = 101"):
        bounds_hold(pair, 400, 101)


def test_lower_bounds_against_a_transcription():
    n, N = np.array([300, 900, 4000]), np.array([[150], [4000]])
    for pair in (GaussianPair.paper(50), scanned_pair(1)):
        d_sw_N = pair.d_sw + (pair.d_w - pair.d_sw) * pair.d_s / N
        r = (pair.rho_s + pair.rho_w) / pair.noise_variance
        factor = n / (n - pair.d_w - 1)
        np.testing.assert_allclose(
            pgr_lower_bound(pair, n, N),
            1 - factor * d_sw_N / pair.d_w - n / pair.d_w * r,
            rtol=1e-12,
            atol=1e-12,
        )
        np.testing.assert_allclose(
            opr_lower_bound(pair, n, N), 1 / (factor * d_sw_N / pair.d_s + n / pair.d_s * r)
        )


def test_the_two_bounds_are_one():
    pair = scanned_pair(3)
    n, N = grid(pair)
    product = (1 - pgr_lower_bound(pair, n, N)) * opr_lower_bound(pair, n, N)
    np.testing.assert_allclose(product, pair.d_s / pair.d_w)


@pytest.mark.parametrize("seed", range(6))
def test_optimal_n_maximises_both_bounds(seed):
    pair = scanned_pair(seed)
    N = 7 * pair.d_s
    best = float(optimal_n(pair, N))
    d_sw_N = pair.d_sw + (pair.d_w - pair.d_sw) * pair.d_s / N
    r = (pair.rho_s + pair.rho_w) / pair.noise_variance
    p = pair.d_w + 1
    share = minimize_scalar(
        lambda t: (m := np.exp(t)) and (m + p) * (d_sw_N / m + r),
        bounds=(np.log(best - p) - 3, np.log(best - p) + 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert p + np.exp(share.x) == pytest.approx(best, rel=1e-6)
    assert share.fun == pytest.approx((np.sqrt(d_sw_N) + np.sqrt(r * p)) ** 2)
    # On whole numbers the best is a neighbour of the real optimum, for both bounds.
    whole = p + np.arange(1, int(3 * best) + 3)
    for bound in (pgr_lower_bound, opr_lower_bound):
        assert abs(whole[np.argmax(bound(pair, whole, N))] - max(best, p + 1)) <= 1


def test_degenerate_bounds():
    def pair(target, noise_variance):
        return GaussianPair.aligned(
            d_w=3, d_s=2, d_sw=1, target=target, noise_variance=noise_variance
        )

    well_specified = pair([0, 1.0, 0, 0], 0.5)
    assert np.isinf(optimal_n(well_specified, 10))
    assert np.all(np.diff(pgr_lower_bound(well_specified, np.arange(5, 100), 10)) > 0)
    assert np.all(np.diff(opr_lower_bound(well_specified, np.arange(5, 100), 10)) > 0)
    noiseless = pair([1.0, 1, 1, 1], 0.0)
    assert optimal_n(noiseless, 10) == 4
    assert pgr_lower_bound(noiseless, 10, 10) == -np.inf
    assert opr_lower_bound(noiseless, 10, 10) == 0
    neither = pair([0, 1.0, 0, 0], 0.0)
    for value in (
        optimal_n(neither, 10),
        pgr_lower_bound(neither, 9, 9),
        opr_lower_bound(neither, 9, 9),
    ):
        assert np.isnan(value)


PAIRS = [scanned_pair(seed) for seed in range(400)]


@pytest.mark.parametrize("risk", ["population", "transductive"])
def test_pgr_bound_holds_where_proved(risk):
    checked = 0
    for pair in PAIRS:
        n, N = grid(pair)
        proved, _ = bounds_hold(pair, n, N, risk)
        pgr = expected_risks(pair, n, N, risk).pgr
        proved &= np.isfinite(pgr)
        assert np.all(pgr[proved] >= pgr_lower_bound(pair, n, N)[proved] - 1e-9)
        checked += proved.sum()
    assert checked > 10_000


@pytest.mark.parametrize("risk", ["population", "transductive"])
def test_opr_bound_holds_where_proved(risk):
    checked = 0
    for pair in PAIRS:
        n, N = grid(pair)
        _, proved = bounds_hold(pair, n, N, risk)
        opr, bound = expected_risks(pair, n, N, risk).opr, opr_lower_bound(pair, n, N)
        assert np.all(opr[proved] >= bound[proved] * (1 - 1e-9))
        checked += proved.sum()
    assert checked > 10_000


def test_the_proved_regions_are_those_of_the_theorems():
    for pair in PAIRS[:40]:
        n, N = grid(pair)
        pgr, opr = pgr_lower_bound(pair, n, N), opr_lower_bound(pair, n, N)
        proved_pgr, proved_opr = bounds_hold(pair, n, N)
        enough = N / (pair.d_s + 1) - 1 - n / (pair.d_w + 1)
        clear = np.abs(enough) > 1e-9
        np.testing.assert_array_equal(proved_pgr[clear], ((pgr >= 0) & (enough > 0))[clear])
        above = np.maximum(opr, 0.25 + 1e-12)
        needed = pair.d_s + 1 + n / (1 - 1 / (4 * above))
        np.testing.assert_array_equal(proved_opr, (opr > 0.25) & (needed <= N))
        np.testing.assert_array_equal(bounds_hold(pair, n, N, "transductive")[0], pgr >= 0)


def test_counterexamples_to_the_pgr_bound():
    # Population, few pseudo-labels a strong dimension, many labels a weak one. Even the sign fails.
    pair = GaussianPair.paper(d_sw=10, noise_variance=1e-1)
    bound = pgr_lower_bound(pair, 4000, 150)
    assert bound > 0 > expected_risks(pair, 4000, 150).pgr
    assert bound < expected_risks(pair, 4000, 150, "transductive").pgr
    # No approximation error is needed for that.
    pair = GaussianPair.aligned(d_w=200, d_s=5, d_sw=1, target=np.zeros(204), noise_variance=1.0)
    bound = pgr_lower_bound(pair, 10**5, 13)
    assert 0 < expected_risks(pair, 10**5, 13).pgr < bound - 0.2
    # Negative values are no bounds: the gap to the ceiling divides a loss.
    target = np.sqrt(np.r_[np.zeros(9), 0.009])
    pair = GaussianPair.aligned(d_w=10, d_s=9, d_sw=9, target=target, noise_variance=1.0)
    bound = pgr_lower_bound(pair, 1000, 10_000)
    assert expected_risks(pair, 1000, 10_000, "transductive").pgr < bound - 20 < bound < 0


def test_counterexamples_to_the_opr_bound():
    # Population: fewer pseudo-labels than labels.
    pair = GaussianPair.paper(d_sw=10, noise_variance=1e-1)
    bound = opr_lower_bound(pair, 4000, 300)
    assert expected_risks(pair, 4000, 300).opr < 1 < bound
    assert bound < expected_risks(pair, 4000, 300, "transductive").opr
    # Transductive, below 1/4: what the teacher misses inside V_s makes its variance larger.
    target = np.r_[5.0, np.zeros(13)]
    pair = GaussianPair.aligned(d_w=10, d_s=4, d_sw=0, target=target, noise_variance=5.0)
    bound = opr_lower_bound(pair, 12, 6)
    assert expected_risks(pair, 12, 6, "transductive").opr < bound < 0.25


@pytest.mark.parametrize("risk", ["population", "transductive"])
@pytest.mark.parametrize("delta", [0.01, 0.3, 5.0])
def test_required_N_against_brute_force(delta, risk):
    for pair in (PAIRS[1], PAIRS[7], GaussianPair.paper(50)):
        n = pair.d_w + 5
        limit = float(student_terms(pair, n, 10**9).inherited)
        needed = float(required_N(pair, delta, risk))
        N = np.arange(pair.d_s + 2, max(pair.d_s + 3, int(needed) + 3))
        within = student_terms(pair, n, N, risk).variance <= (1 + delta) * limit
        np.testing.assert_array_equal(within, needed <= N)


def test_required_N_at_the_extremes_of_overlap():
    def pair(d_sw):
        return GaussianPair.aligned(d_w=3, d_s=5, d_sw=d_sw, target=np.ones(8), noise_variance=1.0)

    for risk in ("population", "transductive"):
        np.testing.assert_array_equal(required_N(pair(0), [0.1, 9.0], risk), np.inf)
        np.testing.assert_array_equal(required_N(pair(3), [0.1, 9.0], risk), 6)
    np.testing.assert_allclose(
        required_N(pair(2), 0.1) - 6, required_N(pair(2), 0.1, "transductive")
    )


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_invariance_to_rotation_and_scale(seed, scale):
    pair = PAIRS[5]
    rng = np.random.default_rng(seed)
    D = len(pair.target)
    rotation = random_basis(D, D, rng)
    moved = GaussianPair(
        rotation @ pair.weak_basis @ random_basis(pair.d_w, pair.d_w, rng),
        rotation @ pair.strong_basis,
        scale * rotation @ pair.target,
        scale**2 * pair.noise_variance,
    )
    for quantity in (
        lambda p: pgr_lower_bound(p, 40, 90),
        lambda p: opr_lower_bound(p, 40, 90),
        lambda p: optimal_n(p, 90),
        lambda p: required_N(p, 0.1),
    ):
        assert quantity(moved) == pytest.approx(float(quantity(pair)), rel=1e-8)
