import numpy as np
import pytest
from scipy import special

from w2s_utils.diagnosis import class_gain_from_misfit, gain_from_misfit
from w2s_utils.directions import Radii
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge
from w2s_utils.theory import misfit

TRIALS = 400


def read_often(pair, n, N, rows, where, seed):
    """Meters of drawn students, and the gains that students of their teachers have on average."""
    rng = np.random.default_rng(seed)
    W, S, beta, D = pair.weak_basis, pair.strong_basis, pair.target, len(pair.target)
    k = pair.d_s / (N - pair.d_s - 1)
    found = []
    for _ in range(TRIALS):
        X, U = rng.standard_normal((n, D)), rng.standard_normal((N, D))
        y = X @ beta + np.sqrt(pair.noise_variance) * rng.standard_normal(n)
        weak = W @ fit_ridge(X @ W, y)
        student = S @ fit_ridge(U @ S, U @ weak)
        at = rng.standard_normal((rows, D)) if where == "population" else U
        meter = gain_from_misfit(at @ weak, at @ student, pair.d_s, N, where)
        rest = weak - S @ (S.T @ weak)
        found.append((meter, rest @ rest * (1 - k), 2 * rest @ beta))
    return found


@pytest.mark.parametrize("where", ["population", "training"])
def test_meter_reads_the_gain_within_its_error(where):
    """No approximation error: nothing is overlooked. 400 students, each with its own teacher."""
    rng = np.random.default_rng(1)
    W, S = np.linalg.qr(rng.standard_normal((40, 20)))[0], np.eye(40)[:, :15]
    pair = GaussianPair(W, S, np.r_[np.ones(15), np.zeros(25)] / 4, 1.0)
    found = read_often(pair, 60, 150, 800, where, 2)
    off = np.array([meter.gain.value - gain for meter, gain, _ in found])
    errors = np.array([meter.gain.standard_error for meter, _, _ in found])
    assert abs(mean(off).z_score(0.0)) < 4
    held = np.mean(np.abs(off) < 1.645 * errors)  # 0.9 +- 0.015
    assert 0.84 < held < 0.95
    readings = mean([meter.misfit.value for meter, _, _ in found])
    expected = misfit.expected_misfit(pair, 60, 150, where)
    assert abs(readings.z_score(float(expected))) < 4


def test_what_the_meter_overlooks_is_within_its_bound():
    rng = np.random.default_rng(3)
    W, S = (np.linalg.qr(rng.standard_normal((40, d)))[0] for d in (20, 15))
    pair = GaussianPair(W, S, rng.standard_normal(40) / 4, 1.0)
    found = read_often(pair, 60, 150, 800, "population", 4)
    overlooked = np.array([each for *_, each in found])
    bounds = np.array([meter.most_overlooked(pair.rho_s) for meter, *_ in found])
    assert (np.abs(overlooked) < bounds).all()
    assert mean(overlooked).z_score(float(misfit.expected_gain(pair, 60, 150).overlooked)) < 4
    assert mean(overlooked).value > 10 * mean(overlooked).standard_error  # the meter alone errs
    with pytest.raises(ValueError, match="rho_s must be finite and >= 0, got -1"):
        found[0][0].most_overlooked(-1)


def test_meter_allows_for_inputs_of_unequal_size():
    """Two sizes of inputs, which enlarge k; without them the reading is too high."""
    rng = np.random.default_rng(8)
    D, n, N, rows, d_s = 40, 120, 150, 3000, 30
    W, S = np.linalg.qr(rng.standard_normal((D, 25)))[0], np.eye(D)[:, :d_s]
    beta = np.r_[np.ones(d_s), np.zeros(D - d_s)] / 6
    radii = Radii([0.3, 1.7])

    def inputs(rows):
        sizes = np.sqrt(rng.choice(radii.squared, rows))
        return sizes[:, None] * rng.standard_normal((rows, D))

    off, plain = [], []
    for _ in range(300):
        X, U, at = inputs(n), inputs(N), inputs(rows)
        weak = W @ fit_ridge(X @ W, X @ beta + rng.standard_normal(n))
        student = S @ fit_ridge(U @ S, U @ weak)
        true = np.sum((weak - beta) ** 2) - np.sum((student - beta) ** 2)
        both = at @ weak, at @ student, d_s, N
        off.append(gain_from_misfit(*both, radii=radii).gain.value - true)
        plain.append(gain_from_misfit(*both).gain.value - true)
    gap, unaware = mean(off), mean(plain)
    assert abs(gap.value) < 3 * gap.standard_error + 0.1 * unaware.value
    assert unaware.value > 6 * unaware.standard_error
    with pytest.raises(ValueError, match="Sizes of inputs are allowed for on fresh inputs only"):
        gain_from_misfit(np.ones(N), np.zeros(N), d_s, N, "training", radii)


def test_units_and_columns_add_up():
    rng = np.random.default_rng(5)
    f_w, f_s = rng.standard_normal((2, 50, 3))
    one = gain_from_misfit(f_w, f_s, 4, 30)
    scaled = gain_from_misfit(3 * f_w, 3 * f_s, 4, 30)
    assert scaled.gain.value == pytest.approx(9 * one.gain.value)
    assert scaled.gain.standard_error == pytest.approx(9 * one.gain.standard_error)
    columns = [gain_from_misfit(f_w[:, c], f_s[:, c], 4, 30).misfit.value for c in range(3)]
    assert one.misfit.value == pytest.approx(sum(columns))


def test_classes_by_one_column_and_by_all_are_the_same():
    rng = np.random.default_rng(6)
    p, q = special.expit(rng.standard_normal((2, 200)))
    one = class_gain_from_misfit(p, q)
    both = class_gain_from_misfit(np.column_stack([1 - p, p]), np.column_stack([1 - q, q]))
    assert both.value == pytest.approx(one.value)
    assert one.value == pytest.approx(
        np.mean(q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)))
    )


@pytest.mark.parametrize(
    ("teacher", "student", "d_s", "N", "where", "said"),
    [
        (np.ones(5), np.ones(4), 2, 9, "population", r"shapes \(5,\) and \(4,\)"),
        (np.ones(5), np.ones(5), 2, 9, "population", "predict the same"),
        (np.ones(5), np.zeros(5), 8, 9, "population", r"N must exceed d_s \+ 1 = 9, got 9"),
        (np.ones(5), np.zeros(5), 2, 9, "training", "all N = 9 training inputs, got 5 rows"),
        (np.ones(1), np.zeros(1), 2, 9, "population", "At least 2 inputs"),
        ([1.0, np.nan], np.zeros(2), 2, 9, "population", "teacher must be finite, got 1 NaN"),
        (np.ones(9), np.zeros(9), 2, 9, "here", "where must be 'population' or 'training'"),
    ],
)
def test_bad_predictions_are_refused(teacher, student, d_s, N, where, said):
    with pytest.raises(ValueError, match=said):
        gain_from_misfit(teacher, student, d_s, N, where)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="student must hold probabilities between 0 and 1"):
        class_gain_from_misfit([0.2, 0.3], [0.2, 1.0])
    with pytest.raises(ValueError, match="teacher must hold probabilities between 0 and 1, of all"):
        class_gain_from_misfit([[0.2, 0.3], [0.2, 0.8]], [[0.2, 0.8], [0.2, 0.8]])
