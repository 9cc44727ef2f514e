import numpy as np
import pytest

from w2s_utils.metrics import (
    MODELS,
    Estimate,
    Risks,
    change,
    jackknife,
    mean,
    opr,
    pgr,
    power_law,
    rank_correlation,
    ratio_of_means,
)


def test_pgr_and_opr_of_known_risks():
    risks = Risks(np.array([4.0, 4.0]), np.array([2.0, 1.0]), np.array([3.0, 3.0]), np.array(0.0))
    np.testing.assert_allclose(risks.pgr, [0.5, 0.75])
    np.testing.assert_allclose(risks.opr, [1.5, 3.0])


def test_undefined_ratios_are_nan_not_numbers():
    risks = Risks(
        np.array([1.0, 1.0]), np.array([0.5, 0.0]), np.array([1.0, 1.0]), np.array([1.0, 2.0])
    )
    assert np.isnan(risks.pgr).all()
    assert risks.opr[0] == 2
    assert np.isnan(risks.opr[1])


def test_risks_broadcast_to_arrays_of_their_own_and_name_their_models():
    weak = np.array([[4.0], [5.0]])
    risks = Risks.of(weak, [2.0, 1.0, 0.5], 3, 0.0)
    assert [values.shape for values in risks] == [(2, 3)] * 4
    risks.weak[:] = 0
    assert weak[0, 0] == 4
    assert [risks[model] is values for model, values in zip(MODELS, risks, strict=True)] == [
        True
    ] * 4
    np.testing.assert_array_equal(risks["opr"], risks.opr)
    with pytest.raises(KeyError, match="'strong' is none of weak, student"):
        risks["strong"]


def test_risks_are_sliced_stacked_and_mapped_together():
    risks = Risks(*np.arange(24.0).reshape(4, 2, 3))
    assert [*risks[1, 2]] == [5, 11, 17, 23]
    np.testing.assert_array_equal([*risks[:, 1:]], [values[:, 1:] for values in risks])
    np.testing.assert_array_equal([*Risks.stack([risks[0], risks[1]])], [*risks])
    assert [*risks.map(np.sum)] == [15, 51, 87, 123]
    assert [*risks.map(lambda a, b: (a - b).max(), risks[0])] == [3, 3, 3, 3]


def test_differences_and_ratios_of_independent_estimates_are_calibrated():
    rng = np.random.default_rng(7)
    a, b = -2 + 0.05 * rng.standard_normal(20_000), -5 + 0.1 * rng.standard_normal(20_000)
    one, two = Estimate(-2.0, 0.05), Estimate(-5.0, 0.1)
    for found, drawn in (
        (one - two, a - b),
        (one / two, a / b),
        (one - 3, a - 3),
        (one / -4, a / -4),
    ):
        assert found.value == pytest.approx(drawn.mean(), abs=0.01)
        assert found.standard_error == pytest.approx(drawn.std(), rel=0.02)


def test_standard_error_of_a_ratio_is_calibrated():
    rng = np.random.default_rng(0)
    a_true, b_true, trials = 2.0, 5.0, 40
    z = []
    for _ in range(3000):
        shared = rng.standard_normal(trials)
        a = a_true + shared + 0.5 * rng.standard_normal(trials)
        b = b_true + 0.7 * shared + 0.5 * rng.standard_normal(trials)
        z.append(ratio_of_means(a, b).z_score(a_true / b_true))
    # A t statistic with 39 degrees of freedom has standard deviation 1.027.
    assert np.std(z) == pytest.approx(1.027, abs=0.04)
    assert abs(np.mean(z)) < 0.1


def test_ratio_with_an_insignificant_denominator_is_nan():
    rng = np.random.default_rng(1)
    estimate = ratio_of_means(np.ones(20), rng.standard_normal(20))
    assert np.isnan(estimate.value)
    assert np.isnan(ratio_of_means(np.ones(3), -np.ones(3)).value)


def test_ratios_are_scale_free():
    rng = np.random.default_rng(2)
    arrays = [rng.uniform(1, 2, 10) + shift for shift in (3, 1, 2, 0)]
    one, two = Risks(*arrays), Risks(*(1e-6 * a for a in arrays))
    for measure in (pgr, opr):
        assert measure(one).value == pytest.approx(measure(two).value)
        assert measure(one).standard_error == pytest.approx(measure(two).standard_error)


def test_mean_against_numpy():
    values = np.array([1.0, 2.0, 4.0])
    estimate = mean(values)
    assert estimate.value == pytest.approx(7 / 3)
    assert estimate.standard_error == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
    assert estimate.z_score(7 / 3 - 2 * estimate.standard_error) == pytest.approx(2)


def test_exponent_of_a_power_law_is_found_with_a_calibrated_error():
    rng = np.random.default_rng(3)
    x = np.array([10.0, 100, 1000, 3000])
    z = []
    for _ in range(500):
        noise = rng.gamma([[4.0], [9], [25], [100]], size=(4, 200)) / [[4.0], [9], [25], [100]]
        z.append(power_law(x, 5 * x[:, None] ** -0.7 * noise).z_score(-0.7))
    assert np.std(z) == pytest.approx(1, abs=0.1)
    assert abs(np.mean(z)) < 0.2


def test_a_power_law_needs_different_positive_places():
    for x in ([1.0, 1.0], [0.0, 1.0]):
        with pytest.raises(ValueError, match="two different positive values"):
            power_law(x, np.ones((2, 3)))
    with pytest.raises(ValueError, match="x has 3, samples has 2"):
        power_law([1.0, 2.0, 3.0], np.ones((2, 3)))


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(1.23456, 0.0123), "1.235\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.012"),
        (Estimate(1234.5, 250.0), "1234\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}250"),
        (Estimate(0.12345, 0.01), "0.123\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.010"),
        (Estimate(2e-150, 1.23e-151), "2e-150\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.2e-151"),
        (Estimate(2e150, 1.23e149), "2e+150\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.2e+149"),
        (Estimate(0.5, 0.0), "0.5"),
        (Estimate(np.nan, np.nan), "nan"),
    ],
)
def test_an_estimate_reads_well(estimate, text):
    assert str(estimate) == text


def test_too_few_or_unpaired_samples_are_refused():
    with pytest.raises(ValueError, match="at least 2 trials"):
        mean([1.0])
    with pytest.raises(ValueError, match="numerator has 3, denominator has 2"):
        ratio_of_means([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="1 NaN"):
        mean([1.0, np.nan])


def paired_risks(rng, trials):
    """Two settings that share most of their variation from trial to trial."""
    split = 0.2 * rng.standard_normal(trials)
    return tuple(
        Risks(*(level + split + 0.01 * rng.standard_normal(trials) for level in levels))
        for levels in ((3.0, 2.0, 2.5, 1.0), (3.2, 2.0, 2.6, 1.1))
    )


@pytest.mark.parametrize(("ratio", "true"), [(pgr, 1.2 / 2.1 - 0.5), (opr, 2.6 / 2 - 2.5 / 2)])
def test_standard_error_of_a_paired_change(ratio, true):
    rng = np.random.default_rng(4)
    found = [change(ratio, *paired_risks(rng, 10)) for _ in range(500)]
    values = np.array([f.value for f in found])
    assert abs(mean(values).z_score(true)) < 4
    stated = np.sqrt(np.mean([f.standard_error**2 for f in found]))
    assert stated == pytest.approx(values.std(), rel=0.15)
    first, second = paired_risks(rng, 10)
    if ratio is opr:  # as if unpaired, the error would be more than twice as large
        apart = np.hypot(ratio(first).standard_error, ratio(second).standard_error)
        assert apart > 2 * found[0].standard_error


def test_standard_error_of_a_change_of_means_is_that_of_paired_differences():
    first, second = paired_risks(np.random.default_rng(1), 6)
    found = change(lambda risks: mean(risks.weak), first, second)
    paired = mean(second.weak - first.weak)
    assert found.value == pytest.approx(paired.value)
    assert found.standard_error == pytest.approx(paired.standard_error)


def test_change_of_an_undefined_ratio_is_undefined_and_few_trials_are_refused():
    first, second = paired_risks(np.random.default_rng(5), 4)
    level = Risks(second.ceiling, second.student, second.baseline, second.ceiling)
    assert np.isnan(change(pgr, first, level).value)
    short = first[:2]
    with pytest.raises(ValueError, match="at least 3 trials, got 2"):
        change(pgr, short, short)
    with pytest.raises(ValueError, match="after has 2"):
        change(pgr, first, short)


def test_estimates_know_their_degrees_of_freedom():
    one, other = mean([1.0, 2.0, 4.0]), mean([1.0, 2.0, 4.0, 9.0, 3.0])
    assert (one.degrees, other.degrees) == (2, 4)
    assert (other - one).degrees == (other / one).degrees == 2
    assert (other - 1.0).degrees == 4
    risks = Risks(*(np.array([4.0, 4.2, 4.1, 4.4]) - shift for shift in (0, 1, 1.5, 2)))
    assert pgr(risks).degrees == opr(risks).degrees == change(pgr, risks, risks[::-1]).degrees == 3


def test_rank_correlations_hold_the_truth_in_99_of_100_samples():
    """Of normal pairs: Spearman's is 6/pi asin(r/2) of Pearson's r."""
    rng, runs, r = np.random.default_rng(3), 2000, 0.7
    truth, inside = 6 / np.pi * np.arcsin(r / 2), 0
    for _ in range(runs):
        x, e = rng.standard_normal((2, 30))
        found = rank_correlation(x, r * x + np.sqrt(1 - r**2) * e)
        inside += found.low < truth < found.high
    assert abs(inside / runs - 0.99) < 4 * np.sqrt(0.01 * 0.99 / runs) + 0.005
    same = rank_correlation([1, 2, 3, 4], [1, 4, 9, 16])
    assert same.value == pytest.approx(1)
    assert -1 < same.low < 0 < same.high < 1  # four cases tell nothing
    assert rank_correlation(range(10), range(10)).low > 0.9
    with pytest.raises(ValueError, match="At least 4 cases are needed, got 3"):
        rank_correlation([1, 2, 3], [1, 2, 3])


def test_jackknife_of_a_mean_over_trials_and_teachers_is_the_error_of_the_trials_means():
    first, second = paired_risks(np.random.default_rng(4), 12)
    several = Risks.stack([first, second]).map(np.transpose)  # (trials, teachers)
    found = jackknife(lambda risks: float(risks.weak.mean()), several)
    expected = mean(several.weak.mean(axis=1))
    assert found.value == pytest.approx(expected.value)
    assert found.standard_error == pytest.approx(expected.standard_error)
    assert found.degrees == 11
