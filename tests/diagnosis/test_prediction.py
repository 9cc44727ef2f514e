import numpy as np
import pytest

from tests.known import overlapping_pair, sample
from w2s_utils.diagnosis.labels import read_labels
from w2s_utils.diagnosis.moments import read_moments
from w2s_utils.diagnosis.prediction import Case, chance_correlation, predict
from w2s_utils.diagnosis.sample import Grid
from w2s_utils.geometry import Geometry
from w2s_utils.measure import top_eigenspace
from w2s_utils.metrics import MODELS, mean
from w2s_utils.subspaces import canonical_angles
from w2s_utils.theory import exact, ridge


def grid(n, N, penalty=0.0):
    return Grid(np.array(n), np.array(N), (penalty,) * 4, intercept=False)


def found(W, S, y, points, energy=1.0):
    moments = read_moments(W, S, read_labels(y, None), None, energy, standard=False)
    return predict(moments, [Case(moments.every, points, points)], None)[0]


def prediction(*arguments):
    return found(*arguments).prediction


def test_geometry_is_that_of_the_whitened_features():
    W, S, y = sample(overlapping_pair(), 500, 0)
    found = prediction(W, S, y, grid([40], [60])).whole
    expected = Geometry.from_features(top_eigenspace(W, 14), top_eigenspace(S, 10), y, 0.0)
    for name in ("d_sw", "rho_w", "rho_s", "missed", "leaked"):
        assert found[name] == pytest.approx(getattr(expected, name))
    risks = exact.expected_risks(expected, 40, 60)
    for model in MODELS:
        assert found[model][0, 0] == pytest.approx(float(risks[model]), rel=0.02)


def test_leaving_a_block_out_is_measuring_the_other_rows():
    W, S, y = sample(overlapping_pair(), 500, 0)
    points = grid([12, 40], [8, 60])
    found = prediction(W, S, y, points)
    kept = np.arange(500) % 20 != 7
    without = Geometry.from_features(W[kept], S[kept], y[kept], 0.0)
    assert found.left_out["missed"][7] == pytest.approx(without.missed)
    assert found.left_out["student"][7, 1, 1] == pytest.approx(
        exact.expected_risks(without, 40, 60).student, rel=0.02
    )


@pytest.mark.parametrize("penalty", [0.0, 0.02])
def test_theory_of_ridge_at_the_measured_spectra(penalty):
    """Among very many rows the prediction is that of the population."""
    pair = overlapping_pair()
    scales = np.arange(1.0, 15) ** -0.1, np.arange(1.0, 11) ** -0.1
    points = grid([7, 30], [6, 40], penalty)
    found = prediction(*sample(pair, 40_000, 1, scales), points).whole
    truth = ridge.expected_risks(
        pair.along(*(s**2 for s in scales)), points.n[:, None], points.N, penalty, penalty
    )
    for model in MODELS:
        np.testing.assert_allclose(found[model], truth[model] + pair.noise_variance, rtol=0.03)


def test_the_jackknife_removes_the_bias_of_the_theory_of_ridge():
    pair = overlapping_pair()
    scales = np.arange(1.0, 15) ** -0.5, np.arange(1.0, 11) ** -0.5
    points = grid([7], [40], 1e-3)
    truth = float(
        ridge.expected_risks(pair.along(*(s**2 for s in scales)), 7, 40, 1e-3, 1e-3).student
        + pair.noise_variance
    )
    corrected, left_out = np.array(
        [
            [float(found.whole["student"][0, 0]), float(found.left_out["student"].mean())]
            for seed in range(200)
            for found in [prediction(*sample(pair, 200, 100 + seed, scales), points)]
        ]
    ).T
    plug_in = (corrected + 19 * left_out) / 20
    assert abs(mean(corrected).z_score(truth)) < 3
    assert mean(plug_in).z_score(truth) < -3


def test_columns_of_labels_are_added():
    pair = overlapping_pair()
    W, S, one = sample(pair, 400, 2)
    two = sample(pair, 400, 2)[2] * 0.5 + W[:, 0] - S[:, 1]
    points = grid([7, 40], [6, 60])
    together = prediction(W, S, np.column_stack([one, two]), points)
    apart = [prediction(W, S, y[:, None], points) for y in (one, two)]
    for model in MODELS:
        for part in ("whole", "left_out"):
            np.testing.assert_allclose(
                getattr(together, part)[model],
                sum(getattr(each, part)[model] for each in apart),
                rtol=1e-8,
            )


def test_ridgeless_predictions_ignore_the_bases_of_the_features():
    W, S, y = sample(overlapping_pair(), 400, 3)
    T = np.random.default_rng(0).standard_normal((14, 14))
    one, two = (prediction(X, S, y, grid([40], [60])) for X in (W, W @ T))
    for name, values in one.whole.items():
        np.testing.assert_allclose(values, two.whole[name], rtol=1e-7)


def test_points_at_a_threshold_have_no_prediction_and_others_have():
    W, S, y = sample(overlapping_pair(), 400, 4)
    found = prediction(W, S, y, grid([14, 40], [10, 60])).whole
    assert np.isnan(found["weak"]).tolist() == [[True, True], [False, False]]
    assert np.isnan(found["student"]).tolist() == [[True, True], [True, False]]
    assert np.isfinite(found["baseline"]).all()


def test_canonical_correlations_and_what_chance_makes_of_them():
    pair = overlapping_pair()
    one = found(*sample(pair, 20_000, 5), grid([40], [60])).canonical_correlations
    cosines = np.sort(np.cos(canonical_angles(pair.weak_basis, pair.strong_basis)))[::-1]
    np.testing.assert_allclose(one, cosines, atol=0.03)

    X = np.random.default_rng(6).standard_normal((2000, 500))
    sets = X[:, :300], X[:, 300:], X[:, 0]
    largest = found(*sets, grid([400], [400])).canonical_correlations[0]
    assert largest == pytest.approx(chance_correlation(300, 200, 2000), rel=0.02)
    assert chance_correlation(30, 20, 40) == 1
