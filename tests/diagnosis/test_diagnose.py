from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from tests.known import overlapping_pair, sample
from w2s_utils import diagnosis
from w2s_utils._progress import Watched
from w2s_utils.metrics import MODELS
from w2s_utils.pair import GaussianPair
from w2s_utils.theory import exact
from w2s_utils.theory.phases import winning_N

SIZES = {"n": [20, 60, 200], "N": [30, 400], "energy": 1.0}
# The paper's setting, whose truth is known exactly: no ridge, and features as they are given.
diagnose = partial(diagnosis.diagnose, ridge=0.0, energy=0.99, as_given=True)


@pytest.mark.parametrize("noise", ["given", "replicates"])
def test_bands_cover_the_truth_in_nine_of_ten_samples(noise):
    pair = overlapping_pair()
    truth = exact.expected_risks(pair, np.array(SIZES["n"])[:, None], SIZES["N"])
    covered = {name: [] for name in (*MODELS, "pgr", "opr")}
    for seed in range(200):
        W, S, y = sample(pair, 600, seed)
        if noise == "given":
            known = {"noise_variance": pair.noise_variance}
        else:
            sigma = np.sqrt(pair.noise_variance)
            f = sample(replace(pair, noise_variance=0.0), 600, seed)[2]
            again = f + sigma * np.random.default_rng(10**6 + seed).standard_normal(600)
            known = {"replicates": again}
        d = diagnose(W, S, y, **SIZES, **known)
        for name, hits in covered.items():
            band = d.risk[name] if name in MODELS else getattr(d, name)
            value = truth[name]
            hits.append((band.low <= value) & (value <= band.high))
    for name, hits in covered.items():
        assert 0.85 <= np.mean(hits) <= 0.95, name


def test_label_noise_splits_rho_and_shifts_errors_and_nothing_else():
    W, S, y = sample(overlapping_pair(), 600, 0)
    unknown, known = (diagnose(W, S, y, **SIZES, noise_variance=v) for v in (None, 0.4))
    for model in MODELS:
        np.testing.assert_allclose(unknown.risk[model].value - 0.4, known.risk[model].value)
    for part in ("value", "low", "high"):
        np.testing.assert_allclose(getattr(unknown.pgr, part), getattr(known.pgr, part))
    np.testing.assert_array_equal(unknown.beats_teacher, known.beats_teacher)
    np.testing.assert_array_equal(unknown.beats_baseline, known.beats_baseline)
    assert (unknown.noise_variance, unknown.rho_w, unknown.rho_s) == (None, None, None)
    assert known.rho_w == pytest.approx(unknown.residual_w.value - 0.4)
    assert known.residual_w == unknown.residual_w
    assert known.noise_variance.standard_error == 0
    np.testing.assert_array_equal(unknown.opr.value > 1, known.opr.value > 1)


def test_opr_without_the_label_noise_is_nearer_to_one_and_its_band_holds_every_noise():
    W, S, y = sample(overlapping_pair(), 600, 0)
    unknown = diagnose(W, S, y, **SIZES)
    most = min(unknown.residual_w.value, unknown.residual_s.value)
    for noise in np.linspace(0, most, 5):
        opr = diagnose(W, S, y, **SIZES, noise_variance=noise).opr.value
        assert np.all((unknown.opr.low <= opr) & (opr <= unknown.opr.high))
        assert np.all(np.abs(np.log(opr)) >= np.abs(np.log(unknown.opr.value)) - 1e-12)


def test_terms_add_up_to_the_students_risk():
    W, S, y = sample(overlapping_pair(), 600, 1)
    heavy = np.random.default_rng(1).gamma(4.0, size=(600, 1)) / 4
    for X, Z in ((W, S), (W * heavy, S * heavy)):
        for noise in (None, 0.4):
            d = diagnose(X, Z, y, **SIZES, noise_variance=noise)
            np.testing.assert_allclose(d.terms.total, d.risk["student"].value)
            assert d.exact.all()


def test_gaussian_inputs_leave_the_exact_theory_as_it_is():
    d = diagnose(*sample(overlapping_pair(), 20_000, 1), **SIZES)
    expected = exact.expected_risks(d.geometry, d.n[:, None], d.N)
    for model in MODELS:
        np.testing.assert_allclose(d.risk[model].value, expected[model], rtol=0.02)
    np.testing.assert_allclose(d.prediction.whole["d_sw"], d.correlation.estimate, rtol=0.01)


def test_the_students_crossings_are_where_the_predictions_cross():
    d = diagnose(*sample(overlapping_pair(), 20_000, 2), **SIZES)
    for opponent, found in (("weak", d.beats_teacher), ("baseline", d.beats_baseline)):
        low, high = winning_N(d.geometry, d.n, opponent)
        assert np.array_equal(np.isfinite(found), np.isfinite(low))
        won = np.isfinite(low)
        assert won.any() or opponent == "baseline"
        np.testing.assert_allclose(found[won], low[won], rtol=0.05)
        assert np.isinf(high[won]).all()


@pytest.mark.parametrize("noise", [(1, 1, 1), (0.4, 0.8, 1.8)])
def test_inputs_of_unequal_size_and_noise_are_allowed_for(noise):
    """Measured on fresh samples, with no formula: the Gaussian one is far off."""
    rng = np.random.default_rng(0)
    rows, n, N = 20_000, 80, 200
    group = rng.integers(3, size=rows)
    sizes = np.sqrt(np.array([0.4, 0.8, 1.8]))[group, None]
    Z = sizes * rng.standard_normal((rows, 60))
    W, S, f = Z[:, :40], Z[:, 30:], Z[:, 30:40] @ np.full(10, 0.2)
    y = f + np.sqrt(np.array(noise))[group] * rng.standard_normal(rows)
    d = diagnose(W, S, y, n=n, N=N, noise_variance=1.0, energy=1.0)
    plain = exact.expected_risks(d.geometry, n, N)
    draws = []
    for _ in range(400):
        rows_n, rows_N = rng.integers(rows, size=n), rng.integers(rows, size=N)
        teacher = np.linalg.lstsq(W[rows_n], y[rows_n])[0]
        student = np.linalg.lstsq(S[rows_N], W[rows_N] @ teacher)[0]
        baseline = np.linalg.lstsq(S[rows_n], y[rows_n])[0]
        models = (W, teacher), (S, student), (S, baseline)
        draws.append([np.mean((X[:4000] @ w - f[:4000]) ** 2) for X, w in models])
    for model, measured in zip(
        ("weak", "student", "baseline"), np.mean(draws, axis=0), strict=True
    ):
        predicted = float(d.risk[model].value[0, 0])
        assert abs(predicted / measured - 1) < 0.15
        assert abs(predicted - measured) < 0.6 * abs(float(plain[model]) - measured)


def test_ridge_and_few_samples_are_left_to_the_theory_of_ridge():
    W, S, y = sample(overlapping_pair(), 600, 3)
    few = diagnose(W, S, y, n=[7, 60], N=[5, 400], energy=1.0)
    assert few.exact.tolist() == [[False, False], [False, True]]
    assert np.isfinite(few.risk["student"].value).all()
    tiny = diagnose(W, S, y, n=[7, 60], N=[5, 400], energy=1.0, ridge=1e-9)
    assert not tiny.exact.any()
    for model in MODELS:
        np.testing.assert_allclose(tiny.risk[model].value, few.risk[model].value, rtol=0.01)
    np.testing.assert_allclose(tiny.soft_s, [[few.soft_s[0, 0], 10]] * 2, rtol=1e-4)
    np.testing.assert_allclose(tiny.beats_teacher, few.beats_teacher, rtol=0.05)


def test_classes():
    rng = np.random.default_rng(4)
    W, S, y = sample(overlapping_pair(), 600, 4)
    signs = diagnose(W, S, np.where(y > 0, 1.0, -1.0), **SIZES)
    names = diagnose(W, S, np.where(y > 0, "yes", "no"), **SIZES)
    assert names.classes == ("no", "yes")
    np.testing.assert_allclose(names.pgr.value, signs.pgr.value)
    three = rng.permuted(np.digitize(y, [-0.5, 0.5]))
    together = diagnose(W, S, three, classes=True, **SIZES)
    apart = [diagnose(W, S, 1.0 * (three == k), classes=False, **SIZES) for k in range(3)]
    total = sum(d.risk["baseline"].value for d in apart)
    np.testing.assert_allclose(together.risk["baseline"].value, total)


def test_table_holds_the_bands_point_by_point():
    W, S, y = sample(overlapping_pair(), 600, 5)
    d = diagnose(W, S, y, **SIZES)
    table = d.table().set_index(["n", "N"])
    assert isinstance(table, pd.DataFrame)
    assert len(table) == 6
    assert table.loc[(60, 400), "student_high"] == d.risk["student"].high[1, 1]
    assert table.loc[(200, 30), "pgr"] == d.pgr.value[2, 0]


def test_default_sizes_suit_the_dimensions():
    W, S, y = sample(overlapping_pair(), 600, 6)
    d = diagnose(W, S, y)
    assert d.exact.all()
    assert d.n[-1] < 600
    assert d.n[0] > 1.25 * max(d.d_w, d.d_s)
    assert not any("near d_" in warning for warning in d.warnings)


# --- Verdict --------------------------------------------------------------------------------------


def apart(noise_variance, rows=4000, d_sw=0, seed=0):
    """Teacher and student both nearly know the target of 8 + 8 directions, 6 of its own each."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((rows, 30))
    common = Z[:, :8]
    f = common @ np.full(8, 0.5)
    return (
        np.hstack([common, Z[:, 8:22]]),
        np.hstack([common, Z[:, 22 - d_sw : 30 - d_sw]]),
        f + np.sqrt(noise_variance) * rng.standard_normal(rows),
    )


def test_a_student_that_drops_its_teachers_noise_helps():
    d = diagnose(*apart(1.0), n=[30, 60], N=[1000])
    assert d.verdict.outcome == "helps"
    assert "Variance dominated" in d.verdict.reasons[0]
    assert "beats its teacher and the strong baseline at n = 30" in d.verdict.headline


def test_a_teacher_of_another_task_does_not_help():
    W, S, y = apart(0.01)
    S = np.column_stack([S[:, 8:], S[:, :8].sum(axis=1) + 8 * S[:, 8]])  # it knows a little
    d = diagnose(W, S, y, n=[300], N=[1000])
    assert d.verdict.outcome == "does not help"
    assert "Bias dominated" in d.verdict.reasons[0]


def test_a_teacher_inside_the_students_features_is_only_copied():
    rng = np.random.default_rng(1)
    Z = rng.standard_normal((4000, 30))
    y = Z[:, :6] @ np.full(6, 0.5) + rng.standard_normal(4000)
    same = diagnose(Z[:, :6], Z, y, n=[60], N=[2000], energy=1.0)
    assert same.verdict.outcome == "undecided"
    assert "only 0 % of its variance" in " ".join(same.verdict.reasons)


def test_a_student_with_few_pseudo_labels_is_told_so():
    W, S, y = apart(1.0)
    few = diagnose(W, S, y, n=[60], N=[60], energy=1.0)
    assert "N is too small: with 60 pseudo-labels for 16" in " ".join(few.verdict.reasons)


# --- Warnings -------------------------------------------------------------------------------------


def heavy(rows=2000):
    """Inputs whose size varies, all directions at once."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((rows, 30)) * rng.standard_t(5, (rows, 1))
    return Z[:, :15], Z[:, 10:], Z @ rng.standard_normal(30) / 5 + rng.standard_normal(rows)


def warned(*arguments, **settings):
    return " ".join(diagnose(*arguments, **settings).warnings)


def test_a_benign_pair_is_not_warned_of():
    assert not warned(*sample(overlapping_pair(), 4000, 0), n=[100, 200], N=[1000])


def test_what_makes_a_prediction_doubtful_is_said():
    W, S, y = heavy()
    said = warned(W, S, y, n=[30], N=[100])
    assert "Heavy tails: the weak features" in said

    W, S, y = sample(overlapping_pair(), 130, 1)
    said = warned(W, S, y, n=[60], N=[100], energy=1.0)
    assert "Too few rows: 130 for 14 weak directions, below 10 a direction" in said
    assert "Bands are wide" in said

    W, S, y = sample(overlapping_pair(), 600, 1)
    said = warned(W, S, y, n=[14, 15], N=[8, 100], energy=1.0)
    assert "n = 14, 15 is near d_w = 14" in said
    assert "N = 8 is near d_s = 10" not in said
    assert "3 of 4 points" not in said
    assert "Below the interpolation threshold" in said
    assert "have no prediction" in said
    assert "exceeds what the strong features leave" in warned(W, S, y, noise_variance=9.0)

    Z = np.random.default_rng(2).standard_normal((2000, 30))
    said = warned(Z[:, :10], Z[:, 10:20], Z[:, 0] + Z[:, 10])
    assert "cannot be told from chance" in said

    wide = np.column_stack([W, np.full(len(W), 50.0), np.zeros(len(W))])
    assert "2 column(s) of weak are constant and carry" in warned(wide, S, y, energy=0.99999)


def test_what_is_cut_off_is_asked_for_labels_and_for_what_the_teacher_says():
    """Two small columns: they hold label, or what the teacher says, or neither."""
    rng = np.random.default_rng(5)
    Z = rng.standard_normal((3000, 12))
    S = np.column_stack([Z[:, :8], 0.05 * Z[:, 8:10]])
    pairs = {
        "labels": (Z[:, :6], Z[:, 0] + Z[:, 8] + rng.standard_normal(3000)),
        "answers": (np.column_stack([Z[:, :6], Z[:, 8]]), Z[:, 0] + Z[:, 8] / 4 - Z[:, 11]),
        "neither": (Z[:, :6], Z[:, 0] + Z[:, 11]),
    }
    said = {
        name: " ".join(diagnose(W, S, y, n=[60], N=[300], energy=0.99).warnings)
        for name, (W, y) in pairs.items()
    }
    assert "2 strong directions that are cut off explain" in said["labels"]
    assert "2 strong directions that are cut off hold" in said["answers"]
    assert "cut off" not in said["neither"]
    W, y = pairs["labels"]
    assert "cut off" not in " ".join(diagnosis.diagnose(W, S, y, n=[60], N=[300]).warnings)


def test_models_that_know_everything_cannot_be_told_apart():
    W, _, _ = sample(overlapping_pair(), 600, 3)
    d = diagnosis.diagnose(W, W, W[:, 0] - W[:, 3], n=[30, 200], N=[100, 1000])
    assert d.verdict.outcome == "undecided"
    assert "cannot be told from its teacher" in d.verdict.headline


def test_sizes_at_the_edge_have_no_prediction_or_a_sentence():
    W, S, y = sample(overlapping_pair(), 600, 3)
    d = diagnosis.diagnose(W, S, y, n=[2, 3, 60], N=[2, 300])
    assert np.isnan(d.risk["student"].value[:, 0]).all()
    assert np.isfinite(d.risk["student"].value[2, 1])
    assert d.joint.n == 60
    assert diagnosis.diagnose(W, S, y, n=2, N=2).joint is None
    for sizes in ({"n": 1, "N": 50}, {"n": 50, "N": 1}):
        with pytest.raises(ValueError, match="must be at least 2 for models with an intercept"):
            diagnosis.diagnose(W, S, y, **sizes)


# --- What is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weak": np.ones(600)}, r"weak must be a matrix .* got shape \(600,\)"),
        ({"strong": np.ones((600, 0))}, r"strong must be a matrix"),
        ({"weak": np.ones((599, 2))}, "weak has 599, strong has 600, labels has 600"),
        ({"strong": np.full((600, 2), np.nan)}, r"strong\[0:600\] must be finite, got 1200 NaN"),
        ({"weak": np.full((600, 2), "a")}, "must hold real numbers"),
        ({"weak": np.ones((600, 2))}, "All columns of weak are constant"),
        ({"strong": np.zeros((600, 2))}, "All columns of strong are constant"),
        ({"labels": np.ones(600)}, "more than one value, got 1.0 only"),
        ({"labels": np.full(600, np.inf)}, "labels must be finite"),
        ({"n": 600}, "n must be below the number of rows 600, got 600"),
        ({"n": 0}, "n must exceed zero"),
        ({"N": [1.5]}, "N must hold whole numbers"),
        ({"N": []}, "N must hold at least one size"),
        ({"ridge": -1.0}, "ridge must be >= 0"),
        ({"energy": 0.0}, "energy must lie in"),
        ({"noise_variance": -1.0}, "noise_variance must be finite and >= 0"),
        ({"noise_variance": 1.0, "replicates": np.ones(600)}, "not both"),
        ({"replicates": np.full(600, np.nan)}, "replicates hold no label"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(change, message):
    W, S, y = sample(overlapping_pair(), 600, 0)
    arguments = {"weak": W, "strong": S, "labels": y} | change
    with pytest.raises(ValueError, match=message) as raised:
        diagnose(arguments.pop("weak"), arguments.pop("strong"), arguments.pop("labels"),
                 **arguments)  # fmt: skip
    assert "\n" not in str(raised.value)


def test_too_few_rows_are_refused():
    W, S, y = sample(overlapping_pair(), 41, 0)
    with pytest.raises(ValueError, match="At least 42 rows are needed for 14 weak and 10 strong"):
        diagnose(W, S, y, energy=1.0)


def test_one_intercept_is_legal_and_changes_no_other_direction():
    """It is a direction like any other: with it, a label's mean is no longer an error."""
    W, S, y = sample(overlapping_pair(), 600, 0)
    one = np.ones((600, 1))
    plain, shifted = (
        diagnose(W, S, y, **SIZES),
        diagnose(np.hstack([W, one]), np.hstack([S, one]), y + 7, **SIZES),
    )
    assert (shifted.d_w, shifted.d_s) == (15, 11)
    assert shifted.correlation.estimate == pytest.approx(plain.correlation.estimate + 1, abs=0.1)
    assert shifted.residual_s.value == pytest.approx(plain.residual_s.value, rel=0.01)


def test_the_paper_pair_is_predicted():
    pair = GaussianPair.paper(d_w=40, d_s=30, d_sw=5, noise_variance=1e-2)
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((20_000, len(pair.target)))
    y = Z @ pair.target + 0.1 * rng.standard_normal(20_000)
    sizes = {"n": [60, 400], "N": [100, 1000]}
    d = diagnose(Z @ pair.weak_basis, Z @ pair.strong_basis, y, energy=1.0, **sizes)
    truth = exact.expected_risks(pair, np.array([60, 400])[:, None], [100, 1000])
    np.testing.assert_allclose(d.pgr.value, truth.pgr, atol=0.05)
    assert d.correlation.estimate == pytest.approx(5, abs=0.1)


def test_all_directions_are_kept_whatever_the_units_of_the_columns():
    W, S, y = sample(overlapping_pair(), 600, 0)
    expected = diagnose(W, S, y, **SIZES)
    units = np.ones(14)
    units[[3, 5]] = 1e7, 1e-4
    dependent = np.column_stack([W * units, 3 * W[:, 0], np.zeros(600)])
    for weak in (W * units, dependent):
        found = diagnose(weak, S * 1e7, y, **SIZES)
        assert (found.d_w, found.d_s) == (14, 10)
        for model in MODELS:
            np.testing.assert_allclose(found.risk[model].value, expected.risk[model].value)
            np.testing.assert_allclose(found.risk[model].high, expected.risk[model].high)
        assert found.verdict.outcome == expected.verdict.outcome


def test_labels_far_from_zero_need_an_intercept_and_the_warning_says_so():
    W, S, y = sample(overlapping_pair(), 600, 0)
    ones = np.ones((600, 1))

    def warned(weak, strong, labels):
        found = diagnose(weak, strong, labels, **SIZES).warnings
        return [warning for warning in found if "constant" in warning]

    assert warned(W, S, y) == []
    weak, strong = warned(W, S, y + 100)
    assert weak.startswith("The weak features hold no constant, and one would explain 100 %")
    assert "column of ones" in strong
    assert len(warned(np.hstack([W, ones]), S, y + 100)) == 1
    assert warned(np.hstack([W, ones]), np.hstack([S, ones]), y + 100) == []


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_mapped_array_keeps_the_callers_changes(tmp_path, mode):
    W, S, y = sample(overlapping_pair(), 600, 0)
    np.save(tmp_path / "weak.npy", W)
    mapped = np.load(tmp_path / "weak.npy", mmap_mode=mode)
    if mode != "r":
        mapped *= 2  # with mode "c" in memory only
    changed = np.array(mapped)
    expected = diagnose(changed, S, y, **SIZES).risk["weak"].value
    for weak in (mapped, Watched(mapped, lambda rows: None)):
        found = diagnose(weak, S, y, **SIZES).risk["weak"].value
        np.testing.assert_array_equal(mapped, changed)
        np.testing.assert_array_equal(found, expected)
