import numpy as np
import pytest

from tests.known import scanned_pair
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import simulate
from w2s_utils.subspaces import random_basis
from w2s_utils.theory import exact
from w2s_utils.theory.phases import opr_optimal_n, winning_N

OPPONENTS = ("weak", "baseline", "ceiling")


@pytest.mark.parametrize("risk", ["population", "transductive"])
@pytest.mark.parametrize("opponent", OPPONENTS)
def test_winning_N_against_brute_force(opponent, risk):
    mixed = 0  # pairs that win at some sizes and lose at others
    for seed in range(200):
        pair = scanned_pair(seed)
        edge = max(pair.d_w, pair.d_s) + 1
        n = edge + np.array([1, 4, 30, 1000])
        N = pair.d_s + 1 + np.r_[np.arange(1, 400), np.geomspace(400, 1e6, 300).astype(int)]
        risks = exact.expected_risks(pair, n, N[:, None], risk)
        margin = risks[opponent] - risks.student
        low, high = winning_N(pair, n, opponent, risk)
        claimed = (low < N[:, None]) & (N[:, None] < high)
        clear = np.abs(margin) > 1e-10 * risks.student
        np.testing.assert_array_equal(claimed[clear], (margin > 0)[clear])
        mixed += claimed.any() and not claimed.all()
    assert mixed > 30


def test_variance_alone_needs_twice_the_dimension():
    """Without bias the student beats its teacher iff N > 2 d_s + 1; transductive: N > d_s."""
    pair = GaussianPair.aligned(d_w=7, d_s=4, d_sw=2, target=np.zeros(9), noise_variance=1.0)
    low, high = winning_N(pair, [9, 50, 10**4], "weak")
    np.testing.assert_allclose(low, 9)
    assert np.all(np.isinf(high))
    low, high = winning_N(pair, [9, 50, 10**4], "weak", "transductive")
    np.testing.assert_array_equal(low, 5)  # d_s + 1, the least that the theory covers
    assert np.all(np.isinf(high))


def test_bias_can_move_the_rule_both_ways():
    # Right angles: leaked signal asks for more pseudo-labels, never for fewer.
    for seed in range(0, 40, 2):
        pair = scanned_pair(seed)
        low, _ = winning_N(pair, max(pair.d_w, pair.d_s) + 9, "weak")
        assert np.isnan(low) or low >= 2 * pair.d_s + 1 - 1e-9
    # At other angles the student may take a teacher's mistake back: fewer are enough.
    weak = np.array([[1.0], [0.0]])
    strong = np.array([[1.0], [1.0]]) / np.sqrt(2)
    pair = GaussianPair(weak, strong, np.array([1.0, 2.0]), 1e-6)
    assert float(winning_N(pair, 1000, "weak")[0]) == pytest.approx(2 + 1 / 3, abs=1e-2)


def test_the_window_on_the_ceiling():
    """Some N wins iff sqrt(A) > sqrt(n Q) + sqrt(d_s S)."""
    found = []
    for seed in range(200):
        pair = scanned_pair(seed)
        n = max(pair.d_w, pair.d_s) + 1 + np.array([1, 10, 100, 10**4])
        N = 2 * pair.d_s + 2
        terms = exact.student_terms(pair, n, N)
        Q, k = terms.inherited + terms.missed, exact.noise_factor(pair, N)
        S = (terms.reduced + terms.leaked) / k
        A = (pair.noise_variance + pair.rho_s) * pair.d_s
        wins = np.sqrt(A) > np.sqrt(n * Q) + np.sqrt(pair.d_s * S)
        np.testing.assert_array_equal(wins, np.isfinite(winning_N(pair, n, "ceiling")[0]))
        found.extend(wins)
    assert 10 < sum(found) < len(found) - 10


def test_the_window_on_the_ceiling_in_simulation():
    """The student beats the ceiling inside its window and loses on both sides of it."""
    target = np.r_[np.zeros(9), 1.0, np.zeros(11)]
    pair = GaussianPair.aligned(d_w=12, d_s=10, d_sw=1, target=target, noise_variance=1.0)
    n = 100
    low, high = (float(end) for end in winning_N(pair, n, "ceiling"))
    for N, sign in ((int(low) - 8, -1), (int(np.sqrt(low * high)), 1), (int(4 * high), -1)):
        risks = simulate(pair, n, N, trials=1000, seed=N)
        assert sign * mean(risks.ceiling - risks.student).z_score(0) > 4


def test_identical_and_nested_subspaces_never_win_against_the_teacher():
    basis = random_basis(20, 9, np.random.default_rng(0))
    target = np.random.default_rng(1).standard_normal(20)
    for weak, strong in ((basis, basis), (basis[:, :4], basis)):
        pair = GaussianPair(weak, strong, target, 0.3)
        for risk in ("population", "transductive"):
            low, high = winning_N(pair, [15, 400], "weak", risk)
            assert np.all(np.isnan(low))
            assert np.all(np.isnan(high))


def test_no_noise_and_no_approximation_error_leave_nothing_to_win():
    pair = GaussianPair.aligned(d_w=3, d_s=3, d_sw=1, target=[0, 0, 1.0, 0, 0], noise_variance=0.0)
    for opponent in OPPONENTS:
        assert np.isnan(winning_N(pair, 10, opponent)[0])


def test_winning_N_is_free_of_scale_and_refuses_bad_input():
    pair = scanned_pair(5)
    scaled = GaussianPair(
        pair.weak_basis, pair.strong_basis, 1e3 * pair.target, 1e6 * pair.noise_variance
    )
    for opponent in OPPONENTS:
        np.testing.assert_allclose(
            winning_N(scaled, [30, 300], opponent), winning_N(pair, [30, 300], opponent)
        )
    with pytest.raises(ValueError, match="'weak', 'baseline' or 'ceiling', got 'student'"):
        winning_N(pair, 40, "student")
    with pytest.raises(ValueError, match="'population' or 'transductive'"):
        winning_N(pair, 40, "weak", "training")
    with pytest.raises(ValueError, match="n must exceed max"):
        winning_N(pair, 2, "weak")
    with pytest.raises(ValueError, match="N must exceed d_s"):
        opr_optimal_n(pair, pair.d_s + 1)


@pytest.mark.parametrize("risk", ["population", "transductive"])
def test_opr_optimal_n_against_a_grid(risk):
    inner = 0
    for seed in range(200):
        pair = scanned_pair(seed)
        N = 4 * pair.d_s + 3
        edge = max(pair.d_w, pair.d_s) + 1
        n = edge + np.unique(np.geomspace(1, 1e6, 4000).astype(int))
        best = float(opr_optimal_n(pair, N, risk))
        opr = exact.expected_risks(pair, n, N, risk).opr
        if np.isinf(best):
            assert np.all(np.diff(opr) >= -1e-9 * opr[1:])
        elif best == edge:
            assert opr[0] == pytest.approx(opr.max(), rel=1e-9)
        else:
            inner += 1
            near = edge + np.maximum(1, np.round(best - edge + np.array([-1, 0, 1])))
            assert exact.expected_risks(pair, near, N, risk).opr.max() >= opr.max() * (1 - 1e-9)
    assert inner > 10


def test_degenerate_optima():
    def pair(d_w, d_s, target, noise_variance=1.0):
        return GaussianPair.aligned(
            d_w=d_w, d_s=d_s, d_sw=1, target=target, noise_variance=noise_variance
        )

    assert np.isinf(opr_optimal_n(pair(4, 2, np.zeros(5)), 10))  # OPR rises for ever
    assert opr_optimal_n(pair(2, 4, np.ones(5)), 10) == 5  # the baseline fails at the edge
    assert np.isnan(opr_optimal_n(pair(4, 2, [0, 1.0, 0, 0, 0], 0.0), 10))  # a perfect baseline


def test_the_share_of_the_teachers_risk_is_monotone():
    """Both act through v alone: the share falls in v iff E / d_w < B / rho_w."""
    directions = []
    for seed in range(100):
        pair = scanned_pair(seed)
        N = 3 * pair.d_s + 3

        def share(pair, n, N=N):
            weak = pair.rho_w + pair.d_w * exact.coefficient_variance(pair, n)
            return exact.student_terms(pair, n, N).total / weak

        n = pair.d_w + 1 + np.unique(np.geomspace(1, 1e6, 200).astype(int))
        noisy = [
            GaussianPair(pair.weak_basis, pair.strong_basis, pair.target, noise)
            for noise in np.geomspace(1e-6, 1e6, 12)
        ]
        terms = exact.student_terms(pair, n[0], N)
        E = terms.variance / exact.coefficient_variance(pair, n[0])
        cross = E * pair.rho_w - terms.bias * pair.d_w
        if abs(cross) < 1e-9:
            continue
        directions.append(np.sign(cross))
        rounding = 1e-12
        assert np.all(np.sign(cross) * np.diff(share(pair, n)) <= rounding)
        more_noise = np.array([float(share(p, n[0])) for p in noisy])
        assert np.all(np.sign(cross) * np.diff(more_noise) >= -rounding)
    assert min(directions) < 0 < max(directions)


def test_pgr_falls_to_its_limit():
    """PGR reaches its limit in N from above iff (sigma^2 + rho_s) G > S W."""
    found = []
    for seed in range(200):
        pair = scanned_pair(seed)
        n = np.array([1, 10, 100, 10**4]) + max(pair.d_w, pair.d_s) + 1
        some_N = 2 * pair.d_s + 2
        terms = exact.student_terms(pair, n, some_N)
        weak = exact.expected_risks(pair, n, some_N).weak
        Q, k = terms.inherited + terms.missed, exact.noise_factor(pair, some_N)
        S = (terms.reduced + terms.leaked) / k
        G, W = weak - pair.rho_s - Q, weak - pair.rho_s
        criterion = (pair.noise_variance + pair.rho_s) * G - S * W
        far = exact.expected_risks(pair, n, np.array([[10**7], [10**8]])).pgr
        clear = (np.abs(far[0] - far[1]) > 1e-13 * np.abs(far[1])) & (1e-2 * weak < W)
        clear &= np.abs(criterion) > 1e-2 * S * W
        np.testing.assert_array_equal((far[0] > far[1])[clear], (criterion > 0)[clear])
        found.extend((criterion > 0)[clear])
    assert 50 < sum(found) < len(found) - 50


def test_pgr_falls_to_its_limit_without_bias():
    """Iff n exceeds 2 d_w + 1."""
    pair = GaussianPair.aligned(d_w=7, d_s=5, d_sw=2, target=np.zeros(10), noise_variance=1.0)
    n = np.array([10, 15, 20])  # 2 d_w + 1 = 15
    near, far = exact.expected_risks(pair, n, [[10**4], [10**8]]).pgr
    np.testing.assert_array_equal(np.round((near - far) * 1e4, 2) > 0, [False, False, True])
    assert near[0] < far[0]
    assert near[1] == pytest.approx(far[1], abs=1e-6)


def test_pgr_overshoots_in_N_where_the_student_beats_the_ceiling():
    pair = GaussianPair.paper(d_sw=10, noise_variance=1e-1)
    low, high = winning_N(pair, 2000, "ceiling")
    pgr = exact.expected_risks(pair, 2000, [120, int(np.sqrt(low * high)), 10**9]).pgr
    assert pgr[0] < pgr[2] < 1 < pgr[1]


def test_the_effect_of_noise_on_opr():
    """OPR is a ratio of two functions that are affine in sigma^2."""
    found = []
    for seed in range(200):
        pair = scanned_pair(seed)
        n, N = max(pair.d_w, pair.d_s) + 1 + 4 ** (seed % 6), 3 * pair.d_s + 3
        noisy = [
            GaussianPair(pair.weak_basis, pair.strong_basis, pair.target, noise)
            for noise in np.geomspace(1e-6, 1e6, 12)
        ]
        terms = exact.student_terms(pair, n, N)
        y = terms.variance / (pair.noise_variance + pair.rho_w)
        x = pair.d_s / (n - pair.d_s - 1)
        cross = x * (terms.bias + pair.rho_w * y) - pair.rho_s * (1 + x) * y
        if abs(cross) < 1e-9:
            continue
        opr = np.array([float(exact.expected_risks(p, n, N).opr) for p in noisy])
        assert np.all(np.sign(cross) * np.diff(opr) >= -1e-9 * opr[1:])
        found.append(cross > 0)
    assert 5 < sum(found) < len(found) - 5
