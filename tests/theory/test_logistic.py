from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, log_expit

from tests.known import generic_pair, pair_at
from w2s_utils.metrics import MODELS, mean
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import simulate_classes
from w2s_utils.theory import ridge
from w2s_utils.theory.classes import (
    Classes,
    Logistic,
    Sign,
    accuracy,
    cross_entropy,
    separable_from,
)
from w2s_utils.theory.fixed_point import CrossEntropy, SquaredLoss
from w2s_utils.theory.logistic import Probes, expected_scores, score
from w2s_utils.theory.logistic_ridges import best_ridges

PARTS = ("offset", "slope", "spread")


def scaled(directions, power):
    """The same directions with a target of this variance."""
    features = directions.weak, directions.strong
    c = np.sqrt(power / (features[0].target @ features[0].target + features[0].rho))
    weak, strong = (replace(x, target=c * x.target, rho=c**2 * x.rho) for x in features)
    columns = directions.columns.copy()
    columns[:, -1] *= c
    return replace(directions, weak=weak, strong=strong, columns=columns)


def seen_in_features(pair, share=0.9):
    """The pair with a target that lies in the features to this share, in the first ones most."""
    inside = sum(
        basis @ (1 / (1 + 20 * np.arange(d) / d))
        for basis, d in ((pair.weak_basis, pair.d_w), (pair.strong_basis, pair.d_s))
    )
    outside = np.random.default_rng(0).standard_normal(len(inside))
    target = sum(
        np.sqrt(part) * x / np.linalg.norm(x) for part, x in ((share, inside), (1 - share, outside))
    )
    return GaussianPair(pair.weak_basis, pair.strong_basis, target, 0.0)


def directions_of(labels, D=400, exponent=0.75, seed=6, widths=(0.25, 0.2)):
    d_w, d_s = (round(width * D) for width in widths)
    pair = seen_in_features(generic_pair(seed=seed, d_w=d_w, d_s=d_s, dimension=D))
    # The same shape at all dimensions.
    spectra = ((np.arange(1.0, d + 1) * 20 / d) ** -exponent for d in (d_w, d_s))
    power = labels.power * (0.6 if isinstance(labels, Classes) else 1.0)
    return scaled(pair.along(*spectra), power)


LOGISTIC, SIGN, CLASSES = Logistic(6.0, 0.5), Sign(1.0, 0.05), Classes(0.4)
LAWS = (LOGISTIC, SIGN, CLASSES)
every_law = pytest.mark.parametrize("labels", LAWS, ids=repr)


# The squared loss, for which everything is known.


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_squared_loss_is_the_theory_of_ridge(exponent):
    labels = Classes(0.5)
    pair = generic_pair(d_w=20, d_s=12, dimension=60)
    spectra = (np.arange(1.0, d + 1) ** -exponent for d in (20, 12))
    directions = scaled(pair.along(*spectra), 0.7)
    regression = replace(directions, noise_variance=0.3)
    n, N = np.array([15, 60])[:, None, None], np.array([10, 200])[:, None]
    alphas = np.array([1e-3, 0.1, 2.0])
    probes = Probes(directions, labels, "squared", intercept=False)
    scores = expected_scores(probes, n, N, alphas, alphas / 2)
    risks = ridge.expected_risks(regression, n, N, alphas, alphas / 2, finite_size=False)
    for model, found in zip(MODELS, scores, strict=True):
        # The target's variance is 0.7, and the slope is on the label, so E f f_* = 0.7 slope.
        power = np.square(found.slope) + np.square(found.spread)
        assert np.all(np.asarray(found.offset) == 0)
        of_label = 1 - 2 * np.asarray(found.slope) + power
        np.testing.assert_allclose(of_label - 0.3, risks[model], rtol=1e-8, err_msg=model)


# All label laws, losses and pseudo-labels against draws.

POINTS = [  # labels, n, N, ridge, exponent, pseudo-labels
    (LOGISTIC, 140, 250, 0.03, 0.75, "soft"),
    (LOGISTIC, 60, 400, 0.003, 0.0, "hard"),
    (LOGISTIC, 400, 100, 0.3, 1.5, "soft"),
    (SIGN, 200, 300, 0.01, 0.75, "soft"),
    (SIGN, 90, 200, 0.1, 0.0, "hard"),
    (CLASSES, 150, 300, 0.03, 0.75, "soft"),
    (CLASSES, 300, 90, 0.001, 0.0, "hard"),
    (Classes(0.15), 300, 300, 0.01, 1.0, "hard"),
]


def measured(probes, n, N, alpha_w, alpha_s, trials, seed):
    """Theory's scores, and those of trials."""
    options = {
        "loss": probes.loss,
        "pseudo_labels": probes.pseudo_labels,
        "temperature": probes.temperature,
    }
    sizes = probes.directions, probes.labels, n, N, trials, seed
    return (
        expected_scores(probes, n, N, alpha_w, alpha_s),
        simulate_classes(*sizes, alpha_w, alpha_s, **options),
    )


def assert_agree(labels, expected, found, points=0.003, share=0.01):
    """Accuracies to `points` and losses to `share`, beyond three standard errors."""
    for model, one, many in zip(MODELS, expected, found, strict=True):
        drawn = mean(accuracy(labels, many))
        off = abs(drawn.value - accuracy(labels, one))
        assert off < points + 3 * drawn.standard_error, model
        drawn, of_theory = mean(cross_entropy(labels, many)), cross_entropy(labels, one)
        off = abs(drawn.value - of_theory)
        assert off < share * of_theory + 3 * drawn.standard_error, model


@pytest.mark.parametrize(("labels", "n", "N", "alpha", "exponent", "pseudo_labels"), POINTS)
def test_all_four_models_against_simulation(labels, n, N, alpha, exponent, pseudo_labels):
    """D = 400, 100 weak and 80 strong features, 40 training sets."""
    probes = Probes(directions_of(labels, exponent=exponent), labels, pseudo_labels=pseudo_labels)
    assert_agree(labels, *measured(probes, n, N, alpha, alpha, 40, 1))


def test_temperature_against_simulation():
    probes = Probes(directions_of(LOGISTIC), LOGISTIC, temperature=0.3)
    expected, found = measured(probes, 140, 250, 0.03, 0.03, 12, 2)
    assert_agree(LOGISTIC, expected, found)
    plain = expected_scores(replace(probes, temperature=1.0), 140, 250, 0.03, 0.03)
    assert expected.student.slope > 1.2 * plain.student.slope


def test_the_error_falls_as_dimensions_grow():
    """As 1/D; of the baseline's loss where labels are separable, which is the largest error."""
    labels, off = Logistic(6.0), []
    for D, trials in ((20, 400), (40, 300), (80, 150)):
        probes = Probes(directions_of(labels, D=D, widths=(0.5, 0.4)), labels)
        expected, found = measured(probes, D, D, 3e-4, 3e-4, trials, 3)
        of_theory = float(cross_entropy(labels, expected.baseline))
        off.append(mean(1 - cross_entropy(labels, found.baseline) / of_theory))
    assert off[0].value > 0.1
    for larger in off[1:]:
        assert (off[0] - larger).z_score(0) > 4
        assert abs(larger.value) < 0.6 * off[0].value
    assert abs(off[2].value) < 0.3 * off[0].value + 2 * off[2].standard_error


# The equations.


@given(
    st.floats(1e-6, 1e9),
    st.floats(-50, 50),
    st.one_of(st.floats(-30, 30), st.sampled_from([np.inf, -np.inf])),
)
def test_the_prox_solves_its_equation(V, omega, told):
    """u = omega + V (p - sigma(u)), by bisection in a bracket."""
    f, slope = CrossEntropy().answer(np.array([omega]), np.array([told]), V)
    p, q = expit(told), expit(-told)

    def gap(u):
        return omega - u + V * (p * expit(-u) - q * expit(u))

    u = brentq(gap, omega - V * q - 1, omega + V * p + 1, xtol=1e-13, rtol=1e-15)
    expected = (u - omega) / V if V > 1 else p * expit(-u) - q * expit(u)
    # The residual is as well determined as the probability is.
    assert f[0] == pytest.approx(expected, rel=1e-6, abs=1e-9 * (1 + abs(u)) / (1 + V) + 1e-15)
    curvature = expit(u) * expit(-u)
    assert slope[0] == pytest.approx(curvature / (1 + V * curvature), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("loss", [CrossEntropy(), SquaredLoss()])
@pytest.mark.parametrize("V", [0.1, 10.0])
def test_the_decrease_of_the_residual_is_its_derivative(loss, V):
    omega, told = np.linspace(-5, 5, 11), np.full(11, 0.7)
    (low, _), (high, _) = (loss.answer(omega + step, told, V) for step in (-1e-5, 1e-5))
    _, slope = loss.answer(omega, told, V)
    np.testing.assert_allclose(slope, (low - high) / 2e-5, rtol=1e-5)


def naive_prox(omega, told, V):
    """By bisection."""
    p = expit(told)
    low, high = omega - V - 1, omega + V + 1
    for _ in range(45):
        u = (low + high) / 2
        above = u > omega + V * (p - expit(u))
        low, high = np.where(above, low, u), np.where(above, u, high)
    return p - expit(u), (expit(u) * expit(-u)) / (1 + V * expit(u) * expit(-u))


def naive_single(directions, labels, features, m, alpha):
    """Slope, spread and offset of a probe on drawn labels, as chapter 16 writes them; damped."""
    t, zeta = np.meshgrid(np.linspace(-6, 6, 61), np.linspace(-6, 6, 61), indexing="ij")
    weight = np.exp(-(t**2 + zeta**2) / 2)
    weight /= weight.sum()
    chance = expit(labels.offset + np.sqrt(labels.power) * t)
    e, c = features.spectrum, features.target / np.sqrt(labels.power)
    V, q, slope, offset = e.sum() / m, 0.1, 0.0, 0.0
    for _ in range(120):
        omega = offset + slope * t + np.sqrt(q) * zeta
        (f_1, s_1), (f_0, s_0) = (naive_prox(omega, y, V) for y in (np.inf, -np.inf))
        mean_f = np.sum(weight * (chance * f_1 + (1 - chance) * f_0))
        square = np.sum(weight * (chance * f_1**2 + (1 - chance) * f_0**2))
        with_t = np.sum(weight * t * (chance * f_1 + (1 - chance) * f_0))
        curvature = np.sum(weight * (chance * s_1 + (1 - chance) * s_0))
        kappa = with_t + curvature * slope
        R = 1 / (alpha + curvature * e)
        # Weights on whitened directions: e R kappa c of mean, and noise; the constant's beside it.
        new_slope = kappa * np.sum(c**2 * e * R)
        noise = square / m * (np.sum((e * R) ** 2) + 1 / curvature**2)
        power = kappa**2 * np.sum((e * R * c) ** 2) + noise
        new = np.sum(e * R) / m + 1 / (m * curvature), power - new_slope**2, new_slope
        V, q, slope = ((x + y) / 2 for x, y in zip((V, q, slope), new, strict=True))
        offset += mean_f / curvature / 2
    return offset, slope, np.sqrt(q)


def naive_student(directions, labels, teacher, student_of, N, alpha, alpha_w):
    """The same of a student: three latent Gaussians and what a teacher says of them."""
    weak, strong = directions.weak, directions.strong
    c_w, c = (x.target / np.sqrt(labels.power) for x in (weak, strong))
    e = strong.spectrum
    b, g, s, kappa, curvature_w, noise_w = teacher
    R = 1 / (alpha_w + curvature_w * weak.spectrum)
    mean_w, var_w = weak.spectrum * R * kappa * c_w, noise_w * (weak.spectrum * R) ** 2
    # Covariances of the strong directions with the teacher's score beside its slope on t.
    covariance = (directions.cross @ mean_w - g * c) / s
    variance = directions.cross**2 @ var_w / s**2
    z, weights = np.polynomial.hermite_e.hermegauss(18)
    weights /= weights.sum()
    t, v, zeta = (x.ravel() for x in np.meshgrid(z, z, z, indexing="ij"))
    weight = np.prod(np.meshgrid(weights, weights, weights, indexing="ij"), axis=0).ravel()
    told = b + g * t + s * v
    # An intercept's error: the constant carries the variance of the teacher's own intercept.
    of_constant = noise_w / curvature_w**2 / s**2
    V, q, on_t, on_v, offset = e.sum() / N, 0.1, 0.0, 0.0, 0.0
    for _ in range(60):
        omega = offset + on_t * t + on_v * v + np.sqrt(q) * zeta
        f, slope = naive_prox(omega, told, V)
        curvature = weight @ slope
        k_t, k_v = weight @ (f * t) + curvature * on_t, weight @ (f * v) + curvature * on_v
        R = 1 / (alpha + curvature * e)
        new_t = np.sum(e * R * (k_t * c**2 + k_v * c * covariance))
        new_v = np.sum(e * R * (k_t * c * covariance + k_v * (covariance**2 + variance)))
        new_v += of_constant * k_v / curvature
        power = np.sum((e * R) ** 2 * ((k_t * c + k_v * covariance) ** 2 + k_v**2 * variance))
        noise = weight @ f**2 / N
        power += noise * (np.sum((e * R) ** 2) + 1 / curvature**2)
        power += of_constant * (k_v / curvature) ** 2
        new = np.sum(e * R) / N + 1 / (N * curvature), power - new_t**2 - new_v**2, new_t, new_v
        V, q, on_t, on_v = ((x + y) / 2 for x, y in zip((V, q, on_t, on_v), new, strict=True))
        offset += weight @ f / curvature / 2
    return offset, on_t, np.hypot(on_v, np.sqrt(q))


def test_against_a_naive_transcription():
    """Plain damped iteration on grids, from the equations as they are written."""
    directions, n, N, alpha_w, alpha_s = directions_of(LOGISTIC, D=60), 40, 50, 0.2, 0.1
    probes = Probes(directions, LOGISTIC)
    found = expected_scores(probes, n, N, alpha_w, alpha_s)
    sets = directions.weak, directions.strong, directions.strong
    models = zip((found.weak, found.baseline, found.ceiling), sets, (n, n, n + N), strict=True)
    for (one, features, m), alpha in zip(models, (alpha_w, alpha_s, alpha_s), strict=True):
        expected = naive_single(directions, LOGISTIC, features, m, alpha)
        np.testing.assert_allclose([one.offset, one.slope, one.spread], expected, rtol=1e-6)
    teacher = probes.single("weak", n, alpha_w)
    numbers = *(getattr(found.weak, part) for part in PARTS), teacher.pull[0]
    numbers += teacher.curvature, teacher.noise
    expected = naive_student(directions, LOGISTIC, numbers, "strong", N, alpha_s, alpha_w)
    one = found.student
    np.testing.assert_allclose([one.offset, one.slope, one.spread], expected, rtol=1e-5)


# Solutions exist, are unique and move smoothly.


@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize("pseudo_labels", ["soft", "hard"])
@pytest.mark.parametrize("labels", [*LAWS, Sign(1.0)], ids=repr)
def test_every_ridge_has_its_solution_and_neighbours_are_near(labels, n, pseudo_labels):
    """Ridges from 1e-8 to 10; 50 and 40 features, so that 20 labels are separable."""
    probes = Probes(directions_of(labels, D=200), labels, pseudo_labels=pseudo_labels)
    alphas = np.geomspace(1e-8, 10, 19) if pseudo_labels == "soft" else np.geomspace(1e-8, 0.1, 15)
    teacher = probes.single("weak", n, 0.01)
    losses = []

    def student(alpha, near=None):
        return probes.student(teacher, 0.01, n, alpha, near)

    def single(alpha, near=None):
        return probes.single("weak", n, alpha, near)

    for fitted in (student, single)[: 1 + (pseudo_labels == "hard")]:
        fits = [fitted(alpha) for alpha in alphas]
        assert None not in fits
        states = np.array([one.state for one in fits])
        jumps = np.abs(np.diff(np.log([one.spread for one in fits])))
        assert jumps.max() < 1.2  # the weights grow no faster than 1/ridge
        assert np.abs(np.diff(jumps)).max() < 0.35
        for i in (2, 12):
            near = fitted(alphas[i], fits[i + 1])
            np.testing.assert_allclose(near.state, states[i], rtol=1e-6, atol=1e-7)
        losses.append([one.noise for one in fits])
    assert np.all(np.diff(losses, axis=1) > 0)  # residuals rise with the ridge


@pytest.mark.parametrize("labels", LAWS, ids=repr)
def test_a_large_ridge_leaves_the_intercept(labels):
    found = expected_scores(Probes(directions_of(labels), labels), 300, 300, 10.0, 10.0)
    for one in found:
        assert one.spread < 0.4
    share = float(accuracy(labels, replace(found.ceiling, slope=0.0, spread=1e-9, offset=1.0)))
    for one in (found.weak, found.baseline, found.ceiling):
        assert one.offset == pytest.approx(np.log(share / (1 - share)), abs=0.1)


@pytest.mark.parametrize("labels", [Logistic(6.0), Sign(1.0, 0.1), Classes(0.4)], ids=repr)
def test_without_ridge_a_fit_exists_up_to_the_threshold_of_separability(labels):
    directions = directions_of(labels, D=200)
    features, probes = directions.weak, Probes(directions, labels)
    seen = float(features.target @ features.target) / labels.power
    threshold = len(features.target) / separable_from(labels, seen)
    below, near = (probes.single("weak", factor * threshold, 0.0) for factor in (2.0, 1.2))
    assert near.spread > 1.5 * below.spread
    assert probes.single("weak", 0.9 * threshold, 0.0) is None


# What changes nothing.


def features_of(scores):
    return np.array([[getattr(one, part) for part in PARTS] for one in scores])


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.sampled_from(LAWS))
def test_scale_order_and_signs_of_the_directions_change_nothing(seed, scale, labels):
    rng, directions = np.random.default_rng(seed), directions_of(labels, D=60)
    hard = ("soft", "hard")[seed % 2]
    one = expected_scores(Probes(directions, labels, pseudo_labels=hard), 40, 50, 0.1, 0.02)
    moved, orders, signs = [], [], []
    for x in (directions.weak, directions.strong):
        orders.append(rng.permutation(len(x.target)))
        signs.append(rng.choice([-1, 1], len(x.target)))
        target, spectrum = (x.target * signs[-1])[orders[-1]], scale**2 * x.spectrum[orders[-1]]
        moved.append(replace(x, target=target, spectrum=spectrum))
    cross = (signs[1][:, None] * directions.cross * signs[0])[np.ix_(orders[1], orders[0])]
    other = replace(directions, cross=cross, weak=moved[0], strong=moved[1])
    ridges = 0.1 * scale**2, 0.02 * scale**2
    two = expected_scores(Probes(other, labels, pseudo_labels=hard), 40, 50, *ridges)
    np.testing.assert_allclose(features_of(two), features_of(one), rtol=1e-6, atol=1e-8)


@every_law
def test_exchanging_the_classes_turns_the_scores(labels):
    directions = directions_of(labels, D=60)
    if isinstance(labels, Classes):
        other = Classes(1 - labels.share)
    elif isinstance(labels, Logistic):
        other = Logistic(labels.power, -labels.offset)
    else:
        other = labels
    one, two = (
        features_of(expected_scores(Probes(directions, law), 40, 50, 0.1, 0.02))
        for law in (labels, other)
    )
    np.testing.assert_allclose(two, one * [-1, 1, 1], rtol=1e-6, atol=1e-8)


def test_the_units_of_a_sign_target_do_not_matter():
    found = [
        features_of(expected_scores(Probes(directions_of(law, D=60), law), 40, 50, 0.1, 0.02))
        for law in (Sign(1.0, 0.1), Sign(7.0, 0.1))
    ]
    np.testing.assert_allclose(*found, rtol=1e-8, atol=1e-9)


def test_temperature_one_is_none_and_a_hot_teacher_says_little():
    directions = directions_of(LOGISTIC, D=60)
    plain, one, hot = (
        expected_scores(Probes(directions, LOGISTIC, **options), 40, 50, 0.1, 0.1)
        for options in ({}, {"temperature": 1.0}, {"temperature": 1e4})
    )
    np.testing.assert_array_equal(features_of(plain), features_of(one))
    assert hot.student.slope < 1e-3 * plain.student.slope
    np.testing.assert_array_equal(features_of(plain)[[0, 2, 3]], features_of(hot)[[0, 2, 3]])


def test_the_grid_is_its_points_and_each_model_has_its_ridge():
    probes = Probes(directions_of(LOGISTIC, D=60), LOGISTIC)
    n, N, alphas = np.array([30, 60])[:, None], 50, np.array([0.05, 0.5])
    grid = expected_scores(probes, n, N, alphas, 0.1, alpha_b=0.2, alpha_c=alphas)
    for i, j in np.ndindex(2, 2):
        m, alpha = int(n[i, 0]), float(alphas[j])
        at = expected_scores(probes, m, N, alpha, 0.1)
        of_ceiling = expected_scores(probes, m, N, alpha, alpha).ceiling
        of_baseline = expected_scores(probes, m, N, 0.2, 0.2).baseline
        for part in PARTS:
            for found, one in zip(
                grid, (at.weak, at.student, of_baseline, of_ceiling), strict=True
            ):
                assert getattr(found, part).shape == (2, 2)
                assert getattr(found, part)[i, j] == pytest.approx(getattr(one, part), rel=1e-7)


# Shapes at the ends.

SHAPES = {
    "one direction": pair_at([0.7], 1, 1),
    "orthogonal": pair_at([np.pi / 2] * 4, 4, 7),
    "equal": pair_at([0.0] * 5, 5, 5),
    "strong inside weak": pair_at([0.0] * 3, 8, 3),
    "weak inside strong": pair_at([0.0] * 3, 3, 8),
}


@pytest.mark.parametrize("name", SHAPES)
@every_law
def test_degenerate_shapes(labels, name):
    pair = SHAPES[name]
    power = labels.power * (0.6 if isinstance(labels, Classes) else 1)
    directions = scaled(pair.along(np.ones(pair.d_w), np.ones(pair.d_s)), power)
    for pseudo_labels in ("soft", "hard"):
        probes = Probes(directions, labels, pseudo_labels=pseudo_labels)
        for n, N in ((3, 10), (500, 1000)):
            found = features_of(expected_scores(probes, n, N, 0.05, 0.05))
            assert np.isfinite(found).all()
            assert (found[:, 2] > 0).all()
        if name == "orthogonal" and not isinstance(labels, Classes):
            # What such a teacher says is noise to its student, who sees another part of inputs.
            assert abs(found[1, 1]) < 1e-8
        if name == "equal" and pseudo_labels == "soft" and labels is LOGISTIC:
            # Its soft labels can be matched: the student is its teacher, but for the ridge.
            near = expected_scores(probes, 500, 1000, 0.05, 1e-4)
            np.testing.assert_allclose(*features_of(near)[:2], rtol=1e-3, atol=1e-9)
            teacher = probes.single("weak", 500, 0.05)
            fits = [probes.student(teacher, 0.05, 1000, alpha) for alpha in (1e-4, 1e-5)]
            assert fits[0].spread / fits[1].spread == pytest.approx(
                10, rel=2e-3
            )  # it is linear there


def test_a_target_that_the_features_do_not_see():
    pair = pair_at([0.7], 1, 1)
    beta = np.zeros(40)
    outside = np.linalg.svd(np.hstack([pair.weak_basis, pair.strong_basis]).T)[2][-1]
    pair = GaussianPair(pair.weak_basis, pair.strong_basis, beta + 2 * outside, 0.0)
    found = expected_scores(Probes(pair.along([1.0], [1.0]), Logistic(4.0)), 30, 40, 0.1, 0.1)
    np.testing.assert_allclose(features_of(found)[:, :2], 0, atol=1e-8)


# The best ridges.


@pytest.mark.parametrize("pseudo_labels", ["soft", "hard"])
def test_best_ridges_are_the_least_of_a_scan(pseudo_labels):
    """Within a step of the path, sqrt(10), of the minimum among ridges four to a decade."""
    labels, n, N = LOGISTIC, 80, 120
    probes = Probes(directions_of(labels, D=60), labels, pseudo_labels=pseudo_labels)
    best = best_ridges(probes, n, N)

    def least(side, losses):
        scan = np.geomspace(1e-6, 10, 29) * getattr(probes.directions, side).spectrum.sum()
        return scan[np.argmin([losses(alpha) for alpha in scan])]

    def of_labels(side, m):
        return lambda alpha: cross_entropy(labels, score(probes.single(side, m, alpha)))

    teacher = probes.single("weak", n, float(best.weak))
    rng = np.random.default_rng(0)
    own, other, rest = rng.standard_normal((3, 100_000))
    spoken = score(teacher)
    told = spoken.offset + spoken.slope * own + spoken.spread * other
    p = (told > 0) * 1.0 if pseudo_labels == "hard" else expit(told)

    def to_teacher(alpha):
        one = probes.student(teacher, float(best.weak), N, alpha)
        if one is None:
            return np.inf
        omega = one.offset + one.slopes[0] * own + one.slopes[1] * other + one.spread * rest
        return -np.mean(p * log_expit(omega) + (1 - p) * log_expit(-omega))

    scanned = (
        least("weak", of_labels("weak", n)),
        least("strong", to_teacher),
        least("strong", of_labels("strong", n)),
        least("strong", of_labels("strong", n + N)),
    )
    for found, expected in zip(best, scanned, strict=True):
        assert abs(np.log10(found / expected)) < 0.4


def test_best_ridges_take_the_value_that_they_are_told_to_expect():
    probes = Probes(directions_of(LOGISTIC, D=60), LOGISTIC)
    seen = []

    def expect(function):
        seen.append(function(probes.directions))
        return seen[-1]

    plain = best_ridges(probes, 80, 120)
    np.testing.assert_allclose([*best_ridges(probes, 80, 120, expect)], [*plain], rtol=1e-12)
    assert len(seen) == 4


# Sentences.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, "loss must be 'cross-entropy' or 'squared', got 'hinge'"),
        ({"pseudo_labels": "firm"}, "pseudo_labels must be 'soft' or 'hard', got 'firm'"),
        ({"temperature": 0.0}, "temperature must be finite and > 0, got 0.0"),
        ({"temperature": np.nan}, "temperature must be finite and > 0, got nan"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Probes(directions_of(LOGISTIC, D=40), LOGISTIC, **options)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 0}, "n must exceed zero, got 0"),
        ({"N": 2.5}, "N must hold whole numbers"),
        ({"alpha_w": -0.1}, "alpha_w must be >= 0, got -0.1"),
        ({"alpha_s": np.nan}, "alpha_s must be finite"),
        ({"alpha_b": -1.0}, "alpha_b must be >= 0, got -1"),
        ({"alpha_c": [[np.inf]]}, "alpha_c must be finite"),
        ({"n": [10, 20], "N": [1, 2, 3]}, "n, N and the ridges must broadcast"),
        (
            {"alpha_w": 0.0, "n": 20},
            "No fit of the teacher was found at size 20 and ridge 0: raise",
        ),
    ],
)
def test_bad_arguments_are_refused(changed, message):
    arguments = {"n": 30, "N": 40, "alpha_w": 0.1, "alpha_s": 0.1} | changed
    with pytest.raises(ValueError, match=message):
        expected_scores(Probes(directions_of(LOGISTIC, D=200), LOGISTIC), **arguments)


def test_pseudo_labels_of_one_class_are_said_to_be_the_reason():
    labels = Classes(0.1)
    probes = Probes(directions_of(labels, D=40), labels, pseudo_labels="hard")
    assert probes.student(probes.single("weak", 100, 5.0), 5.0, 200, 0.1) is None
    with pytest.raises(ValueError, match=r"student was found .* all of one class, .* are expected"):
        expected_scores(probes, 100, 200, 5.0, 0.1)
    expected_scores(replace(probes, pseudo_labels="soft"), 100, 200, 5.0, 0.1)


@pytest.mark.parametrize("labels", [Logistic(5.0), Sign(5.0)], ids=repr)
def test_a_target_of_another_variance_is_refused(labels):
    wrong = directions_of(Logistic(6.0), D=40)
    probes = Probes(wrong, labels)
    for call in (
        lambda: expected_scores(probes, 30, 40, 0.1, 0.1),
        lambda: best_ridges(probes, 3, 4),
    ):
        with pytest.raises(ValueError, match=r"labels.power must be the variance of the target"):
            call()


@pytest.mark.parametrize(
    ("options", "sizes", "message"),
    [
        ({"loss": "squared"}, (30, 40), "best_ridges are those of the cross-entropy"),
        ({}, (0, 40), "n must exceed zero, got 0"),
        ({}, (30, [40, 50]), "N must be one whole number"),
    ],
)
def test_best_ridges_refuse(options, sizes, message):
    with pytest.raises(ValueError, match=message):
        best_ridges(Probes(directions_of(LOGISTIC, D=40), LOGISTIC, **options), *sizes)
