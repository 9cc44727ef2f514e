import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from tests.known import generic_pair
from w2s_utils.metrics import MODELS, mean
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge
from w2s_utils.simulation import simulate_ridge
from w2s_utils.subspaces import random_basis
from w2s_utils.theory import exact, ridge
from w2s_utils.theory.joint_ridges import joint_ridges

TERMS = ("inherited", "reduced", "missed", "leaked", "unseen")


def power_law(d, exponent):
    return np.arange(1.0, d + 1) ** -exponent


def z_scores(drawn, expected):
    """Deviations of measured means from the theory, in standard errors: (models, ridges)."""
    return np.array(
        [
            [mean(x).z_score(value) for x, value in zip(samples.T, values, strict=True)]
            for samples, values in zip(drawn, expected, strict=True)
        ]
    )


# n from d/3 to 5 d of either model and spectra from flat to i^-1.5; d_w = 100, d_s = 75.
@pytest.mark.parametrize(
    ("n", "N", "exponent"),
    [(33, 375, 0.0), (50, 30, 0.75), (135, 100, 1.5), (140, 250, 0.0), (500, 50, 0.75)],
)
def test_all_four_models_against_simulation(n, N, exponent):
    """At D = 400, with 200 training sets, nothing but Monte Carlo error is left."""
    pair = generic_pair(seed=6, d_w=100, d_s=75, dimension=400)
    ridges = np.array([0.0, 1e-3, 0.03, 1.0])
    directions = pair.along(power_law(100, exponent), power_law(75, exponent))
    drawn = simulate_ridge(directions, n, N, 200, 7, ridges, ridges)
    expected = ridge.expected_risks(directions, n, N, ridges, ridges)
    assert np.abs(z_scores(drawn, expected)).max() < 4


@pytest.mark.parametrize(
    ("n", "N", "exponent"), [(10, 60, 0.0), (10, 40, 1.0), (32, 8, 1.0), (30, 100, 0.0)]
)
def test_finite_size_correction(n, N, exponent):
    """Twenty dimensions, 2000 training sets; without the correction the same test fails by far."""
    pair = generic_pair(seed=8, d_w=20, d_s=15, dimension=60)
    ridges = np.array([0.0, 0.02, 0.3])
    directions = pair.along(power_law(20, exponent), power_law(15, exponent))
    drawn = simulate_ridge(directions, n, N, 2000, 9, ridges, ridges)
    expected, plain = (
        ridge.expected_risks(directions, n, N, ridges, ridges, finite) for finite in (True, False)
    )
    assert np.abs(z_scores(drawn, expected)).max() < 4
    assert np.abs(z_scores(drawn, plain)).max() > 6


@pytest.mark.parametrize(
    ("m", "alpha", "exponent"),
    [(20, 3e-3, 0.0), (19, 3e-4, 1.0), (21, 1e-6, 3.0), (17, 0.0, 1.0)],
)
def test_least_accepted_distance_from_the_threshold(m, alpha, exponent):
    """With 2 to 3 samples to spare, bias and variance are right to a fifth; 8000 teachers."""
    d, rng, var = 20, np.random.default_rng(13), power_law(20, exponent)
    spare = m - ridge.shrinkage(var, m, alpha).df2
    assert 2 <= spare < 3
    Z = rng.standard_normal((8000, m, d))
    X = Z * np.sqrt(var)
    labels = np.stack([rng.standard_normal((len(X), m)), Z.sum(axis=2) / np.sqrt(d)], axis=2)
    dual = np.linalg.solve(X @ X.swapaxes(1, 2) + m * alpha * np.eye(m), labels)
    fits = (X.swapaxes(1, 2) @ dual) * np.sqrt(var)[:, None]
    drawn = np.sum((fits - [0, 1 / np.sqrt(d)]) ** 2, axis=1).mean(axis=0)
    pairs = (
        GaussianPair(np.eye(d), np.eye(d), beta, noise)
        for beta, noise in ((np.zeros(d), 1.0), (np.ones(d) / np.sqrt(d), 0.0))
    )
    expected = [ridge.expected_risks(p.along(var, var), m, 400, alpha, 1.0).weak for p in pairs]
    assert np.abs(np.log(drawn / expected)).max() < 0.2


def test_exact_identity_of_the_resolvent():
    """I = E[(P + T - 1) G] + E[G P G] with T = m - d + tr PG, entry by entry, 4000 draws."""
    m, d, rng = 9, 5, np.random.default_rng(12)
    P = np.diag([0.5, 1.0, 2.0, 4.0, 8.0])
    U = rng.standard_normal((4000, m, d))
    G = np.linalg.inv(U.swapaxes(1, 2) @ U + P)
    T = m - d + np.trace(P @ G, axis1=1, axis2=2)[:, None, None]
    for lost, holds in ((1, True), (0, False)):  # without the -1 it is seen to fail
        drawn = (P + (T - lost) * np.eye(d)) @ G + G @ P @ G - np.eye(d)
        z = drawn.mean(axis=0) / (drawn.std(axis=0, ddof=1) / np.sqrt(len(U)))
        assert (np.abs(z).max() < 4) == holds


def test_the_threshold_itself_with_ridge():
    """At n = d_w = N = d_s the risk is finite with ridge, and the theory holds."""
    pair = generic_pair(seed=10, d_w=60, d_s=60, dimension=130)
    ridges = np.array([1e-2, 0.1])
    directions = pair.along(np.ones(60), np.ones(60))
    drawn = simulate_ridge(directions, 60, 60, 500, 11, ridges, ridges)
    expected = ridge.expected_risks(directions, 60, 60, ridges, ridges)
    assert np.abs(z_scores(drawn, expected)).max() < 4


@given(st.integers(0, 2**32 - 1))
def test_ridgeless_is_exact(seed):
    rng = np.random.default_rng(seed)
    pair = generic_pair(seed=seed % 97)
    directions = pair.along(*(np.exp(rng.uniform(-9, 0, d)) for d in (pair.d_w, pair.d_s)))
    n, N = np.array([22, 60]), np.array([[14], [20], [500]])
    ours, theirs = (
        ridge.student_terms(directions, n, N, 0, 0),
        exact.student_terms(pair, n, N),
    )
    for term in TERMS:
        np.testing.assert_allclose(getattr(ours, term), getattr(theirs, term), rtol=1e-9)
    ours, theirs = (
        ridge.expected_risks(directions, n, N, 0, 0),
        exact.expected_risks(pair, n, N),
    )
    for model in MODELS:
        np.testing.assert_allclose(ours[model], theirs[model], rtol=1e-9)


def test_ridgeless_leading_order_has_m_minus_d():
    pair = generic_pair()
    directions = pair.along(np.ones(20), np.ones(12))
    risks = ridge.expected_risks(directions, 50, 40, 0, 0, finite_size=False)
    scale_w, scale_s = (pair.noise_variance + rho for rho in (pair.rho_w, pair.rho_s))
    assert risks.weak == pytest.approx(pair.rho_w + scale_w * 20 / (50 - 20))
    assert risks.baseline == pytest.approx(pair.rho_s + scale_s * 12 / (50 - 12))
    assert risks.ceiling == pytest.approx(pair.rho_s + scale_s * 12 / (90 - 12))


@pytest.mark.parametrize(("m", "d"), [(5, 20), (17, 20), (3, 12)])
def test_interpolation_of_equal_variances_is_a_random_projection(m, d):
    """Least norm with l = 1: bias (1 - m/d)|beta|^2; noise times m/(d - m - 1), an exact mean."""
    basis = np.eye(d + 2)[:, :d]
    beta, flat = np.append(np.ones(d), [0, 0]), np.ones(d)
    still, loud = (GaussianPair(basis, basis, beta, s2).along(flat, flat) for s2 in (0.0, 2.0))
    quiet, noisy = (ridge.expected_risks(at, m, 4 * d, 0, 0).weak for at in (still, loud))
    assert noisy - quiet == pytest.approx(2 * m / (d - m - 1))
    plain = ridge.expected_risks(still, m, 4 * d, 0, 0, finite_size=False)
    assert plain.weak == pytest.approx(d - m)
    if m > 1:
        assert quiet == pytest.approx(d - m, rel=3 / (m * (1 - m / d)) ** 2)


def dense_moments(features, variances, m, alpha, target, noise, finite_size):
    """Mean and covariance of a fit's coefficients, with D x D matrices, in the book's notation."""
    kappa = ridge.effective_ridge(variances, m, alpha)
    Sigma = features @ np.diag(variances) @ features.T
    P = features @ features.T
    S = Sigma @ np.linalg.pinv(Sigma + kappa * P, rcond=1e-12, hermitian=True)
    power = [None, *(np.linalg.matrix_power(S, k) for k in (1, 2, 3, 4))]
    df1, df2, df3, df4 = (np.trace(P) for P in power[1:])
    assert m * alpha == pytest.approx(kappa * (m - df1), abs=1e-9)
    f = P @ (target - S @ target)
    noise = noise + np.sum((target - P @ target) ** 2)
    D = m - df2
    if not finite_size:
        return S @ target, (f @ f + noise) / D * power[2]
    delta, epsilon = (df2 - df3) / D, (df3 - df4) / D
    xi = ((2 + 4 * delta) * df3 - 3 * df4) / df2
    c = (f @ f + noise) / (D + 3 * epsilon - 3 * delta - 4 * delta**2 + xi)
    covariance = c * ((1 + xi / D) * power[2] - ((2 + 4 * delta) * power[3] - 3 * power[4]) / D)
    first, second = f @ S @ f, f @ power[2] @ f
    covariance += (3 * second - (2 + 4 * delta) * first) / D**2 * power[2]
    covariance += 2 * first / D**2 * power[3] + np.outer(S @ f, S @ f) / D
    return S @ target - (power[2] - delta * S) @ f / D, covariance


@pytest.mark.parametrize("finite_size", [True, False])
@pytest.mark.parametrize(
    ("n", "N", "alpha_w", "alpha_s"),
    [(40, 50, 0.1, 0.02), (9, 30, 0.01, 0.3), (60, 6, 0.0, 0.0), (12, 7, 0.0, 0.1)],
)
def test_against_a_dense_transcription(n, N, alpha_w, alpha_s, finite_size):
    pair = generic_pair(seed=3)
    l_w, l_s = power_law(20, 0.8), power_law(12, 1.3)
    beta = pair.target

    def risk(basis, spectrum, m, alpha, target, noise):
        mu, C = dense_moments(basis, spectrum, m, alpha, target, noise, finite_size)
        return np.sum((mu - beta) ** 2) + np.trace(C)

    weak_fit = (pair.weak_basis, l_w, n, alpha_w, beta, pair.noise_variance)
    mu, C = dense_moments(*weak_fit, finite_size)

    # For a given teacher the risk is quadratic in its coefficients.
    def student(b):
        return risk(pair.strong_basis, l_s, N, alpha_s, b, 0.0)

    values, vectors = np.linalg.eigh(C)
    spread = np.sqrt(np.maximum(values, 0)) * vectors
    student_risk = student(mu) + sum(
        (student(mu + v) + student(mu - v)) / 2 - student(mu) for v in spread.T
    )
    strong = pair.strong_basis, l_s
    expected = (
        risk(*weak_fit),
        student_risk,
        risk(*strong, n, alpha_s, beta, pair.noise_variance),
        risk(*strong, n + N, alpha_s, beta, pair.noise_variance),
    )
    found = ridge.expected_risks(pair.along(l_w, l_s), n, N, alpha_w, alpha_s, finite_size)
    np.testing.assert_allclose([*found], expected, rtol=1e-8)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_invariance_to_rotation_and_equivariance_to_scale(seed, scale):
    pair = generic_pair(noise_variance=0.2)
    l_w, l_s = power_law(20, 1), power_law(12, 0.5)
    rng = np.random.default_rng(seed)
    rotation = random_basis(60, 60, rng)
    signs, order = rng.choice([-1, 1], 20), rng.permutation(20)
    moved = GaussianPair(
        rotation @ (pair.weak_basis * signs)[:, order],
        rotation @ pair.strong_basis,
        scale * rotation @ pair.target,
        scale**2 * pair.noise_variance,
    )
    one = ridge.expected_risks(pair.along(l_w, l_s), [10, 45], [[7], [80]], 0.1, 0.02)
    moved = moved.along(3 * l_w[order], 5 * l_s)
    two = ridge.expected_risks(moved, [10, 45], [[7], [80]], 0.3, 0.1)
    for model in MODELS:
        np.testing.assert_allclose(two[model], scale**2 * one[model], rtol=1e-8)


def test_the_grid_broadcasts_as_single_points_do():
    directions = generic_pair().along(power_law(20, 1), power_law(12, 0.5))
    n, N = np.array([9, 60])[:, None, None, None], np.array([7, 30, 90])[:, None, None]
    alpha_w, alpha_s = np.array([0.01, 0.2])[:, None], np.array([0.0, 0.5])
    grid = ridge.expected_risks(directions, n, N, alpha_w, alpha_s)
    for i, j, k, q in np.ndindex(2, 3, 2, 2):
        point = ridge.expected_risks(
            directions, int(n.flat[i]), int(N.flat[j]), alpha_w.flat[k], alpha_s[q]
        )
        for model in MODELS:
            assert grid[model][i, j, k, q] == pytest.approx(point[model])


@pytest.mark.parametrize(("n", "N", "alpha_s"), [(12, 60, 0.0), (40, 30, 0.05), (10, 8, 0.2)])
def test_the_misfit_of_the_student_against_simulation(n, N, alpha_s):
    """Twenty dimensions, 4000 training sets, the models fitted as written."""
    pair = generic_pair(seed=8, d_w=20, d_s=15, dimension=60)
    spectrum_w, spectrum_s, rng = power_law(20, 0.5), power_law(15, 0.5), np.random.default_rng(3)
    to_w, to_s = pair.weak_basis * np.sqrt(spectrum_w), pair.strong_basis * np.sqrt(spectrum_s)
    misfits = []
    for _ in range(4000):
        z, u = rng.standard_normal((n, 60)), rng.standard_normal((N, 60))
        y = z @ pair.target + np.sqrt(pair.noise_variance) * rng.standard_normal(n)
        teacher = to_w @ fit_ridge(z @ to_w, y, 0.1)
        misfits.append(np.sum((to_s @ fit_ridge(u @ to_s, u @ teacher, alpha_s) - teacher) ** 2))
    expected = ridge.student_misfit(pair.along(spectrum_w, spectrum_s), n, N, 0.1, alpha_s)
    assert abs(mean(misfits).z_score(float(expected))) < 4


def test_tuned_risks_are_the_least_on_a_fine_path():
    pair = generic_pair(seed=4, d_w=20, d_s=15, dimension=60)
    directions = pair.along(power_law(20, 1.0), power_law(15, 1.0))
    fine, n, N = np.geomspace(1e-8, 10, 4001), np.array([12, 60]), 80
    tuned = ridge.tuned_risks(directions, n, N)
    for i in range(2):
        weak, strong = (fine * part.spectrum.sum() for part in (directions.weak, directions.strong))
        every = ridge.expected_risks(directions, n[i], N, weak, strong, strict=False)
        for model in ("weak", "baseline", "ceiling"):
            assert tuned[model][i] == pytest.approx(np.nanmin(every[model]), rel=1e-4)
        alpha_w = weak[np.nanargmin(every.weak)]
        misfit = ridge.student_misfit(directions, n[i], N, alpha_w, strong)
        student = ridge.student_terms(directions, n[i], N, alpha_w, strong).total
        assert tuned.student[i] == pytest.approx(student[misfit.argmin()], rel=1e-3)


def test_tuned_risks_move_smoothly_with_the_samples():
    """The student's risk follows its teacher's ridge: on a grid it would move in steps."""
    pair = generic_pair(seed=4, d_w=20, d_s=15, dimension=60)
    directions = pair.along(power_law(20, 1.0), power_law(15, 1.0))
    student = ridge.tuned_risks(directions, np.arange(200, 400, 5), 300).student
    steps = np.diff(student)
    assert np.abs(np.diff(steps)).max() < 0.5 * np.abs(steps).mean()


def test_a_large_ridge_learns_nothing():
    pair = generic_pair()
    risks = ridge.expected_risks(pair.along(np.ones(20), np.ones(12)), 30, 30, 1e9, 1e9)
    for model in MODELS:
        assert risks[model] == pytest.approx(np.sum(pair.target**2), rel=1e-6)


@given(
    st.lists(st.floats(1e-12, 1e3), min_size=1, max_size=30),
    st.integers(1, 60),
    st.one_of(st.just(0.0), st.floats(1e-12, 1e6)),
)
def test_effective_ridge_against_bisection(spectrum, m, alpha):
    var = np.array(spectrum)
    kappa = float(ridge.effective_ridge(var, m, alpha))
    if alpha == 0 and m >= len(var):
        assert kappa == 0
        return
    low = alpha or var.min() / (2 * m)
    reference = brentq(
        lambda t: m * alpha * np.exp(-t) + np.sum(var / (var + np.exp(t))) - m,
        np.log(low) - 1,
        np.log(alpha + var.sum() / m) + 1,
        xtol=1e-13,
    )
    spare = m - float(ridge.shrinkage(var, m, alpha).df2)
    # The root is as well determined as m - df2 is away from zero.
    assert kappa == pytest.approx(np.exp(reference), rel=1e-9 + 1e-12 * m / spare)
    assert kappa >= alpha * (1 - 1e-12)


def test_effective_ridge_of_equal_variances_in_closed_form():
    m, alpha = np.array([5, 20, 80])[:, None], np.array([1e-300, 1e-6, 0.1, 1.0, 1e12])
    b = alpha + 20 / m - 1  # kappa^2 - b kappa - alpha = 0
    larger = (np.abs(b) + np.sqrt(b**2 + 4 * alpha)) / 2  # of the two roots' sizes
    expected = np.where(b > 0, larger, alpha / larger)
    np.testing.assert_allclose(ridge.effective_ridge(np.ones(20), m, alpha), expected, rtol=1e-9)


def test_soft_dimensions_count_the_directions_in_use():
    var = power_law(40, 1.0)
    above, below = ridge.shrinkage(var, 90, 0), ridge.shrinkage(var, 25, 0)
    assert above.kappa == 0
    assert above.df1 == above.df2 == 40
    assert below.df1 == pytest.approx(25)
    assert 0 < below.df2 < below.df1
    falling = ridge.shrinkage(var, 90, np.geomspace(1e-4, 10, 20))
    assert np.all(np.diff(falling.df1) < 0)
    assert np.all(np.diff(falling.df2) < 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 20, "alpha_w": 0}, "n is too near the interpolation threshold of 20 features"),
        ({"n": 21, "alpha_w": 0}, "n is too near"),
        ({"n": 19, "alpha_w": 0}, "n is too near"),
        ({"n": 20, "alpha_w": 1e-9}, "for so small an alpha_w"),
        # Here the terms of the correction cancel, and the bias would be off by a half.
        ({"n": 20, "alpha_w": 3e-4}, "for so small an alpha_w"),
        ({"n": 20, "alpha_w": 3e-6, "spectrum_w": power_law(20, 2)}, "for so small an alpha_w"),
        ({"N": [12, 40], "alpha_s": 0}, "N is too near the interpolation threshold of 12"),
        ({"n": 12, "alpha_s": 0}, "n is too near the interpolation threshold of 12"),
        ({"n": 5, "N": 7, "alpha_s": 0}, r"n \+ N is too near"),
        ({"n": 20, "alpha_w": 0, "finite_size": False}, "n is too near"),
        ({"n": 0}, "n must exceed zero"),
        ({"N": 3.5}, "whole numbers"),
        ({"alpha_w": -1.0}, "alpha_w must be >= 0, got -1"),
        ({"alpha_s": np.inf}, "alpha_s must be finite"),
        ({"spectrum_w": np.ones(3)}, "spectrum_w must hold one variance for each of the 20"),
        ({"spectrum_s": np.zeros(12)}, "spectrum_s must hold variances above zero, got 0"),
    ],
)
def test_what_has_no_answer_is_refused(changed, message):
    arguments = {"n": 30, "N": 40, "alpha_w": 0.1, "alpha_s": 0.1}
    spectra = {"spectrum_w": np.ones(20), "spectrum_s": np.ones(12)}

    def risks(spectrum_w, spectrum_s, **rest):
        ridge.expected_risks(generic_pair().along(spectrum_w, spectrum_s), **rest)

    with pytest.raises(ValueError, match=message):
        risks(**(arguments | spectra | changed))


def test_joint_ridges_are_the_least_of_a_grid():
    """And a teacher at its own best ridge is not the best teacher."""
    pair = generic_pair(d_w=20, d_s=12)
    directions = pair.along(np.arange(1.0, 21) ** -1, np.arange(1.0, 13) ** -1)
    joint = joint_ridges(directions, 40, 60)
    path = np.geomspace(1e-7, 30, 60)
    every = ridge.student_terms(directions, 40, 60, path[:, None], path, strict=False).total
    assert np.nanmin(every) == pytest.approx(joint.risk, rel=0.005)
    tuned = ridge.tuned_risks(directions, 40, 60).student
    own = ridge.best_ridges(directions, 40, 60)
    assert joint.risk < tuned
    assert joint.weak != pytest.approx(float(own.weak), rel=0.3)
