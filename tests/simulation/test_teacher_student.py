import numpy as np
import pytest
from scipy import stats

from tests.known import PAIRS
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import simulate, simulate_teacher_student
from w2s_utils.theory.exact import expected_risks, weak_risk_law


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_means_of_every_kind_of_pair_are_exact(pair):
    n, N = max(pair.d_w, pair.d_s) + 20, pair.d_s + 25
    weak, student = simulate_teacher_student(pair, n, N, trials=20_000, seed=1)
    expected = expected_risks(pair, n, N)
    assert abs(mean(weak).z_score(float(expected.weak))) < 4
    assert abs(mean(student).z_score(float(expected.student))) < 4


@pytest.mark.parametrize(("n", "N"), [(30, 40), (9, 9)])
@pytest.mark.parametrize("name", ["0, small, large and 90 degrees", "the same with d_w < d_s"])
def test_joint_law_against_all_the_data(name, n, N):
    """Down to as many samples as dimensions, where the means are infinite."""
    pair, trials = PAIRS[name], 4000
    drawn = np.log(simulate_teacher_student(pair, n, N, trials, seed=2))
    risks = simulate(pair, n, N, trials, seed=3, method="direct")
    plain = np.log([risks.weak, risks.student])
    # Two margins, and two more projections that see their dependence.
    for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
        p = stats.ks_2samp(direction @ drawn, direction @ plain).pvalue
        assert p > 1e-4, (direction, p)
    apart = stats.ks_2samp(drawn[0] - np.roll(drawn[1], 1), plain[0] - plain[1]).pvalue
    assert apart < 1e-4  # the test can fail: independent risks are seen


def test_teacher_has_its_closed_law_at_a_million_labels():
    pair = GaussianPair.paper(d_sw=10)
    weak, _ = simulate_teacher_student(pair, 10**6, 10**6, trials=5000, seed=4)
    assert stats.kstest(weak, weak_risk_law(pair, 10**6).cdf).pvalue > 1e-3


def test_same_seed_same_risks():
    pair = PAIRS["generic, d_w > d_s"]
    one, two, other = (simulate_teacher_student(pair, 40, 40, 50, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 19}, "n must exceed d_w - 1 = 19, got 19"),
        ({"N": 11}, "N must exceed d_s - 1 = 11, got 11"),
        ({"trials": 0}, "trials must exceed zero"),
        ({"trials": np.nan}, "trials must be finite"),
        ({"trials": [2, 3]}, "trials must be one whole number"),
        ({"seed": 0.5}, "seed must be a whole number >= 0, got 0.5"),
    ],
)
def test_bad_arguments_are_refused(changed, message):
    arguments = {"n": 40, "N": 40, "trials": 2, "seed": 0} | changed
    with pytest.raises(ValueError, match=message):
        simulate_teacher_student(PAIRS["generic, d_w > d_s"], **arguments)
