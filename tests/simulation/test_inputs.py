import numpy as np
import pytest
from scipy import stats

from tests.known import generic_pair
from w2s_utils.metrics import MODELS
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import inputs, simulate, simulate_inputs
from w2s_utils.subspaces import random_basis

LAWS = {
    "gaussian": (inputs.gaussian, 3.0),
    "rademacher": (inputs.rademacher, 1.0),
    "uniform": (inputs.uniform, 1.8),
    "sparse": (inputs.sparse(0.1), 10.0),
    "student_t": (inputs.student_t(12), 3 + 6 / 8),
    "elliptical_t": (inputs.elliptical_t(12), 3 + 6 / 8),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_are_centred_and_white_with_the_stated_kurtosis(name):
    law, kurtosis = LAWS[name]
    z = law(200_000, 4, np.random.default_rng(0))
    assert z.shape == (200_000, 4)

    def zscore(samples, expected):
        return (samples.mean() - expected) / (samples.std() / np.sqrt(len(samples)))

    for i in range(4):
        assert abs(zscore(z[:, i], 0)) < 4
        for j in range(i + 1):
            if i == j and name == "rademacher":
                assert (z[:, i] ** 2 == 1).all()
            else:
                assert abs(zscore(z[:, i] * z[:, j], i == j)) < 4
    assert np.mean(z**4) == pytest.approx(kurtosis, rel=0.05)


def test_coordinates_are_independent_except_in_the_elliptical_law():
    """Correlation of squares: that of s^2 for one scale s a row, zero for independent ones."""
    for name, (law, kurtosis) in LAWS.items():
        z = law(200_000, 2, np.random.default_rng(1))
        product = np.mean(z[:, 0] ** 2 * z[:, 1] ** 2)
        expected = kurtosis / 3 if name == "elliptical_t" else 1.0
        assert product == pytest.approx(expected, abs=0.04), name


def test_three_degrees_of_freedom_have_the_law_of_students_t():
    for law in (inputs.student_t(3), inputs.elliptical_t(3)):
        z = law(20_000, 1, np.random.default_rng(2))[:, 0]
        assert stats.kstest(z, stats.t(3, scale=3**-0.5).cdf).pvalue > 1e-3


def real_looking_features(rows=400):
    rng = np.random.default_rng(3)
    weak, strong = rng.exponential(size=(rows, 3)), rng.exponential(size=(rows, 2)) ** 2
    return weak, strong, weak[:, 0] * strong[:, 1]


def test_resampled_rows_have_second_moment_one_and_keep_their_mean():
    weak, strong, target = real_looking_features()
    features = np.column_stack([weak, strong, target])
    law = inputs.resampled(features)
    z = law(300_000, 6, np.random.default_rng(4))
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(6), atol=0.12)
    assert len(np.unique(z, axis=0)) == 400
    # Not centred: the first coordinate is the first feature, scaled.
    expected = weak[:, 0].mean() / np.sqrt(np.mean(weak[:, 0] ** 2))
    assert abs(z[:, 0].mean()) == pytest.approx(expected, rel=0.01)


def test_resampled_rows_are_in_the_coordinates_of_the_pair_from_features():
    """Z V is a map of the features, Z beta is the target: row by row, not only in moments."""
    weak, strong, target = real_looking_features()
    pair = GaussianPair.from_features(weak, strong, target, 0.5)
    z = inputs.resampled(np.column_stack([weak, strong, target]))(5000, 6, np.random.default_rng(5))
    rows = np.random.default_rng(5).integers(400, size=5000)
    np.testing.assert_allclose(z @ pair.target, target[rows], rtol=1e-9)
    for features, basis in ((weak, pair.weak_basis), (strong, pair.strong_basis)):
        solved = np.linalg.lstsq(features[rows], z @ basis, rcond=None)[0]
        np.testing.assert_allclose(features[rows] @ solved, z @ basis, atol=1e-9)


def test_gaussian_inputs_give_the_risks_of_simulate():
    pair = generic_pair()
    for risk in ("population", "transductive"):
        plain = simulate(pair, 30, 25, 4, 6, "direct", risk)
        given = simulate_inputs(pair, 30, 25, 4, 6, inputs.gaussian, risk)
        for model in MODELS:
            np.testing.assert_array_equal(plain[model], given[model])


def test_label_noise_stays_gaussian_and_full():
    """On a single sign input the ridgeless teacher is y z: its error is the label noise itself."""
    pair = GaussianPair(np.eye(1), np.eye(1), np.zeros(1), 4.0)
    risks = simulate_inputs(pair, 1, 1, 4000, 7, inputs.rademacher)
    assert stats.kstest(risks.weak / 4, stats.chi2(1).cdf).pvalue > 1e-3


def test_heavy_tails_move_the_teachers_risk_unless_the_coordinates_are_mixed():
    """Sparse inputs: far off the Gaussian value along the axes, near it in rotated coordinates."""
    plain = GaussianPair.aligned(d_w=4, d_s=3, d_sw=1, target=np.zeros(40), noise_variance=1.0)
    frame = random_basis(40, 40, np.random.default_rng(8))
    rotated = GaussianPair(frame @ plain.weak_basis, frame @ plain.strong_basis, plain.target, 1.0)
    means = {}
    for name, pair in (("plain", plain), ("rotated", rotated)):
        risks = simulate_inputs(pair, 40, 20, 3000, 9, inputs.sparse(0.1))
        means[name] = risks.weak.mean() / (4 / (40 - 4 - 1))
    assert means["plain"] > 1.2
    assert means["rotated"] == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inputs.student_t(2), "above 2 for a variance, got 2"),
        (lambda: inputs.elliptical_t(np.inf), "finite and above 2"),
        (lambda: inputs.sparse(1.5), "share must lie in"),
        (lambda: inputs.sparse(0), "share must lie in \\(0, 1\\], got 0"),
        (lambda: inputs.resampled(np.eye(3)), "more rows than columns, got shape \\(3, 3\\)"),
        (lambda: inputs.resampled(np.ones((9, 2))), "linearly independent"),
        (
            lambda: inputs.resampled(np.eye(5)[:, :2] + 1)(3, 4, np.random.default_rng(0)),
            "have 2 columns, but 4 are needed",
        ),
        (
            lambda: simulate_inputs(generic_pair(), 0, 9, 2, 0, inputs.gaussian),
            "n must exceed zero",
        ),
        (
            lambda: simulate_inputs(generic_pair(), 9, 9, 2, -1, inputs.gaussian),
            "seed must be a whole number >= 0, got -1",
        ),
        (
            lambda: simulate_inputs(generic_pair(), 9, 9, 2, 0, inputs.gaussian, "train"),
            "'population' or 'transductive', got 'train'",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
