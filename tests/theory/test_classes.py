import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate, optimize
from scipy.special import expit, log_expit, ndtr
from scipy.stats import norm

from tests.known import generic_pair
from w2s_utils.metrics import mean
from w2s_utils.theory import classes
from w2s_utils.theory.classes import (
    Classes,
    Logistic,
    Score,
    Sign,
    accuracy,
    calibration_error,
    check_target,
    cross_entropy,
    separable_from,
)
from w2s_utils.theory.quadrature import between

LAWS = [Logistic(4.0, 0.7), Logistic(0.25), Sign(2.0, 0.1), Sign(1.0), Classes(0.5), Classes(0.2)]
SCORES = [(0.0, 1.0, 0.5), (0.4, -0.6, 1.0), (-1.0, 3.0, 0.3), (0.3, 0.0, 1.0), (0.5, 2.0, 1e-3)]
every_law = pytest.mark.parametrize("labels", LAWS, ids=repr)
every_score = pytest.mark.parametrize("score", SCORES)


def drawn(labels, rows, rng):
    """Latents and labels as the laws' definitions say."""
    if isinstance(labels, Classes):
        y = np.where(rng.random(rows) < labels.share, 1, -1)
        return (y - (2 * labels.share - 1)) / np.sqrt(4 * labels.share * (1 - labels.share)), y
    t = rng.standard_normal(rows)
    f = np.sqrt(labels.power) * t
    if isinstance(labels, Logistic):
        return t, np.where(rng.random(rows) < expit(labels.offset + f), 1, -1)
    return t, np.sign(f) * np.where(rng.random(rows) < labels.flips, -1, 1)


def scored(labels, score, rows=200_000, seed=0):
    rng = np.random.default_rng(seed)
    t, y = drawn(labels, rows, rng)
    offset, slope, spread = score
    return offset + slope * t + spread * rng.standard_normal(rows), y


@every_law
def test_latents_have_mean_zero_and_variance_one(labels):
    shares, means, variances = np.transpose(labels.components)
    assert shares.sum() == pytest.approx(1)
    assert shares @ means == pytest.approx(0, abs=1e-12)
    assert shares @ (variances + means**2) == pytest.approx(1)


@every_law
@every_score
def test_accuracy_and_loss_against_draws(labels, score):
    omega, y = scored(labels, score)
    right, loss = np.sign(omega) == y, -log_expit(y * omega)
    expected = accuracy(labels, Score(*score))
    if expected < 1 - 1e-5:  # of the others no draw is wrong
        assert abs(mean(right).z_score(expected)) < 4
    assert abs(mean(loss).z_score(cross_entropy(labels, Score(*score)))) < 4
    both = [mean(right[y == one]) for one in (-1, 1)]
    error = np.hypot(*(one.standard_error for one in both)) / 2
    found = accuracy(labels, Score(*score), balanced=True)
    assert abs(found - (both[0].value + both[1].value) / 2) < 4 * error + 1e-5
    above = np.where(omega > 0.5, 1, -1) == y
    expected = accuracy(labels, Score(*score), threshold=0.5)
    assert mean(above).value == pytest.approx(expected, abs=4 * mean(above).standard_error + 1e-5)


@every_law
@every_score
def test_calibration_against_draws(labels, score):
    """E|h| = E[sign(h)(1(y = 1) - p)]; one half of the draws tells the signs, in bins."""
    omega, y = scored(labels, score, 400_000, 1)
    edges = np.quantile(omega, np.linspace(0, 1, 101)[1:-1])
    bins, gaps = np.digitize(omega, edges), (y == 1) - expit(omega)
    half = len(y) // 2
    signs = np.sign(np.bincount(bins[:half], gaps[:half]))
    found = mean(signs[bins[half:]] * gaps[half:])
    expected = calibration_error(labels, Score(*score))
    # The wrong sign in a bin with the least of gaps costs less than this.
    assert found.value == pytest.approx(expected, abs=4 * found.standard_error + 1e-4)


def naive(labels, b, g, s):
    """Accuracy, loss and calibration on a grid of latents and scores, of one component."""
    t = np.linspace(-8.5, 8.5, 3001)
    omega = b + np.linspace(-8.5, 8.5, 2001) * np.hypot(g, s)
    if isinstance(labels, Logistic):
        chance = expit(labels.offset + np.sqrt(labels.power) * t)
    else:
        chance = labels.flips + (1 - 2 * labels.flips) * np.heaviside(t, 0.5)
    joint = norm.pdf(omega[:, None], b + g * t, s) * norm.pdf(t) * (t[1] - t[0])
    of_1, of_0 = joint @ chance, joint @ (1 - chance)
    loss = -of_1 * log_expit(omega) - of_0 * log_expit(-omega)
    gap = np.abs(of_1 - (of_1 + of_0) * expit(omega))
    step = omega[1] - omega[0]
    right = np.where(omega > 0, of_1, of_0)
    right[omega == 0] = (of_1 + of_0)[omega == 0] / 2
    return [step * one.sum() for one in (right, loss, gap)]


@pytest.mark.parametrize("labels", LAWS[:4], ids=repr)
@pytest.mark.parametrize("score", [(0.0, 1.0, 0.5), (0.4, -0.6, 1.0), (-1.0, 3.0, 0.3)])
def test_against_a_naive_transcription(labels, score):
    expected = naive(labels, *score)
    found = [f(labels, Score(*score)) for f in (accuracy, cross_entropy, calibration_error)]
    np.testing.assert_allclose(found, expected, atol=2e-3)  # a sum misses half a step at a jump
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-3)


@given(st.floats(-0.999, 0.999), st.floats(1e-3, 1e3), st.floats(0, 0.49))
def test_accuracy_of_sign_labels_is_an_angle(r, size, flips):
    """1 - arccos(r)/pi for a score of correlation r, and less with labels that are turned round."""
    score = Score(0.0, size * r, size * np.sqrt(1 - r**2))
    right = 1 - np.arccos(r) / np.pi
    assert accuracy(Sign(3.0), score) == pytest.approx(right, abs=1e-6)
    told = flips + (1 - 2 * flips) * right
    assert accuracy(Sign(3.0, flips), score) == pytest.approx(told, abs=1e-6)


@given(st.floats(0.01, 0.99), st.floats(-3, 3), st.floats(-2, 2), st.floats(0.1, 3))
def test_accuracy_of_classes_is_a_sum_of_normal_laws(share, b, g, s):
    far_0, far_1 = -np.sqrt(share / (1 - share)), np.sqrt((1 - share) / share)
    right = ndtr(-(b + g * far_0) / s), ndtr((b + g * far_1) / s)
    labels, score = Classes(share), Score(b, g, s)
    expected = (1 - share) * right[0] + share * right[1]
    assert accuracy(labels, score) == pytest.approx(expected, abs=1e-8)
    assert accuracy(labels, score, balanced=True) == pytest.approx(sum(right) / 2, abs=1e-7)


@pytest.mark.parametrize("share", [0.5, 0.3, 0.05])
@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_the_log_odds_are_calibrated_and_the_best_score(share, slope):
    """Of two Gaussian classes: odds log(pi/(1 - pi)) + (gap/s^2)(score - middle)."""
    far_0, far_1 = -np.sqrt(share / (1 - share)), np.sqrt((1 - share) / share)
    gap, s = slope * (far_1 - far_0), 0.8
    factor = gap / s**2
    offset = np.log(share / (1 - share)) - factor * slope * (far_0 + far_1) / 2
    labels, odds = Classes(share), Score(offset, factor * slope, factor * s)
    assert calibration_error(labels, odds) == pytest.approx(0, abs=1e-9)
    best = cross_entropy(labels, odds)
    for b, stretch in ((0.2, 1.0), (-0.2, 1.0), (0.0, 0.8), (0.0, 1.2)):
        other = Score(stretch * offset + b, stretch * factor * slope, stretch * factor * s)
        assert cross_entropy(labels, other) > best
        assert accuracy(labels, other) <= accuracy(labels, odds) + 1e-9
        assert calibration_error(labels, other) > 1e-5


@pytest.mark.parametrize("labels", [Logistic(4.0, 0.5), Logistic(0.1)], ids=repr)
def test_whoever_knows_the_log_odds_is_calibrated(labels):
    knows = Score(labels.offset, np.sqrt(labels.power), 1e-9)
    assert calibration_error(labels, knows) == pytest.approx(0, abs=1e-8)
    grid = np.linspace(-12, 12, 20001)
    odds = labels.offset + np.sqrt(labels.power) * grid
    entropy = -expit(odds) * log_expit(odds) - expit(-odds) * log_expit(-odds)
    expected = np.trapezoid(norm.pdf(grid) * entropy, grid)
    assert cross_entropy(labels, knows) == pytest.approx(expected, rel=1e-9)
    surer = np.trapezoid(norm.pdf(grid) * expit(np.abs(odds)), grid)
    assert accuracy(labels, knows) == pytest.approx(surer, abs=1e-6)


@pytest.mark.parametrize("labels", [Classes(0.1), Classes(0.4), Logistic(2.0, -1.0)], ids=repr)
def test_the_best_threshold_is_where_both_labels_are_as_likely(labels):
    score = Score(0.2, 1.0, 0.9)
    thresholds = np.linspace(-3, 6, 181)
    accuracies = np.array([accuracy(labels, score, float(at)) for at in thresholds])
    best = thresholds[accuracies.argmax()]
    omega, y = scored(labels, (0.2, 1.0, 0.9), 2_000_000, 3)
    near = np.abs(omega - best) < 0.1
    assert near.any()
    assert abs(mean(y[near]).value) < 0.1 + 4 * mean(y[near]).standard_error
    if isinstance(labels, Classes):
        far_0, far_1 = (one.mean for one in labels.components)
        middle = 0.2 + (far_0 + far_1) / 2
        prior = np.log(labels.share / (1 - labels.share))
        assert best == pytest.approx(middle - prior * 0.9**2 / (far_1 - far_0), abs=0.03)
    assert accuracies.max() > accuracy(labels, score) + 1e-3


@pytest.mark.parametrize("labels", [Sign(1.0, 0.1), Logistic(400.0)], ids=repr)
@pytest.mark.parametrize(("b", "g", "s"), [(0.4, 1.0, 1e-3), (2.0, 1.0, 0.05), (-1.0, 20.0, 1.0)])
def test_labels_that_jump_and_scores_that_are_long(labels, b, g, s):
    """By quadrature over the latent, with the places of the jumps told to it."""

    def at(t, f):
        if isinstance(labels, Sign):
            p = labels.flips if t < 0 else 1 - labels.flips
        else:
            p = expit(np.sqrt(labels.power) * t)
        return norm.pdf(t) * f(p, b + g * t)

    z, weights = np.polynomial.hermite_e.hermegauss(60)
    weights /= weights.sum()

    def loss(p, middle):
        omega = middle + s * z
        return -weights @ (p * log_expit(omega) + (1 - p) * log_expit(-omega))

    def right(p, middle):
        return p * ndtr(middle / s) + (1 - p) * ndtr(-middle / s)

    def expected(f):
        width = 8 * max(s / g, 0.05 if isinstance(labels, Logistic) else 0)
        ends = np.r_[-9, -width, 0, width, -b / g + np.r_[-8, 0, 8] * s / g, 9]
        ends = np.unique(np.clip(ends, -9, 9))
        parts = itertools.pairwise(ends)
        return sum(integrate.quad(at, *part, args=(f,), epsabs=1e-10)[0] for part in parts)

    score = Score(b, g, s)
    assert accuracy(labels, score) == pytest.approx(expected(right), abs=3e-6)
    assert cross_entropy(labels, score) == pytest.approx(expected(loss), rel=3e-6)


def test_a_score_without_spread_or_slope():
    for labels in LAWS:
        share = classes.share_of_1(labels)
        for offset, answer in ((-1.0, 1 - share), (1.0, share)):
            constant = Score(offset, 0.0, 1e-150)
            assert accuracy(labels, constant) == pytest.approx(answer, abs=1e-7)
            assert accuracy(labels, constant, balanced=True) == pytest.approx(0.5, abs=1e-6)
            p = expit(offset)
            loss = -share * np.log(p) - (1 - share) * np.log(1 - p)
            assert cross_entropy(labels, constant) == pytest.approx(loss, rel=1e-6)
            gap = abs(share - p)
            assert calibration_error(labels, constant) == pytest.approx(gap, rel=1e-6)


@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_nearly_one_class(share):
    labels = Classes(share)
    score = Score(np.sign(share - 0.5), 1e-6, 0.1)
    assert accuracy(labels, score) == pytest.approx(1, abs=1e-6)
    assert calibration_error(labels, score) == pytest.approx(expit(-1), rel=0.01)
    assert np.isfinite(cross_entropy(labels, score))


def test_arrays_are_their_entries():
    b, g, s = np.array([[0.0], [0.4]]), np.array([1.0, 0.0, -2.0]), 0.5
    for labels in LAWS:
        for f in (accuracy, cross_entropy, calibration_error):
            found = f(labels, Score(b, g, s))
            assert found.shape == (2, 3)
            for i, j in np.ndindex(2, 3):
                alone = f(labels, Score(b[i, 0], g[j], s))
                assert found[i, j] == pytest.approx(float(alone), rel=1e-12)


def test_the_rule_between_kinks_is_exact_wherever_these_are():
    rng = np.random.default_rng(0)
    kinks = rng.uniform(-10, 10, (2000, 2))
    kinks[:3] = (-8, 0.3), (-9, 9), (0, 0)
    nodes, weights = between(kinks[:, :1], kinks[:, 1:])
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-10)
    np.testing.assert_allclose(np.sum(weights * nodes**2, axis=1), 1, rtol=1e-9)
    above = np.sum(weights * (nodes > kinks[:, :1]), axis=1)
    np.testing.assert_allclose(above, norm.sf(kinks[:, 0]), atol=1e-10)


@given(st.sampled_from(LAWS), st.floats(-2, 2), st.floats(-3, 3), st.floats(0.1, 3))
@example(LAWS[0], 1.0, 0.00390625, 0.125)
def test_an_opposite_score_is_wrong_where_this_one_is_right(labels, b, g, s):
    one, other = Score(b, g, s), Score(-b, -g, s)
    assert accuracy(labels, one) + accuracy(labels, other) == pytest.approx(1, abs=1e-9)
    assert accuracy(labels, one) == pytest.approx(accuracy(labels, Score(5 * b, 5 * g, 5 * s)))
    assert accuracy(labels, one, threshold=b) == pytest.approx(accuracy(labels, Score(0.0, g, s)))


# Separable labels.


@pytest.mark.parametrize("labels", [Logistic(4.0), Sign(1.0, 0.2), Classes(0.5)], ids=repr)
def test_even_labels_that_ignore_the_features_separate_from_one_half(labels):
    """Cover (1965)."""
    assert separable_from(labels, 0.0) == pytest.approx(0.5, abs=1e-6)


def test_labels_of_the_features_alone_are_always_separable():
    assert separable_from(Sign(1.0)) == pytest.approx(0, abs=1e-6)
    assert separable_from(Classes(0.3)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("labels", [Logistic(1.0), Logistic(25.0, 1.0), Sign(1.0, 0.1)], ids=repr)
@pytest.mark.parametrize("seen", [1.0, 0.4])
def test_the_curve_of_candes_and_sur_from_draws(labels, seen):
    """min over b and g of E(zeta - y(b + g t'))_+^2 with everything drawn, by a simplex search."""
    rng = np.random.default_rng(5)
    t, y = drawn(labels, 400_000, rng)
    visible = np.sqrt(seen) * t + np.sqrt(1 - seen) * rng.standard_normal(len(t))
    zeta = rng.standard_normal(len(t))

    def squares(at):
        return np.maximum(zeta - y * (at[0] + at[1] * visible), 0) ** 2

    least = optimize.minimize(lambda at: squares(at).mean(), [0.0, 1.0], method="Nelder-Mead")
    assert abs(mean(squares(least.x)).z_score(separable_from(labels, seen))) < 4


def separable(X, y):
    """Whether a hyperplane separates the labels, by linear programming."""
    signed = -y[:, None] * np.column_stack([X, np.ones(len(X))])
    answer = optimize.linprog(
        np.zeros(signed.shape[1]), signed, -np.ones(len(X)), bounds=(None, None), method="highs"
    )
    return answer.status == 0


@pytest.mark.parametrize(
    ("labels", "seen"),
    [(Logistic(4.0), 1.0), (Logistic(9.0, 1.0), 0.5), (Sign(1.0, 0.15), 1.0), (Classes(0.5), 0.3)],
    ids=repr,
)
def test_samples_are_separable_above_the_threshold_and_not_below(labels, seen):
    """150 features; a quarter fewer or more samples than the threshold's."""
    d, rng = 150, np.random.default_rng(6)
    most = d / separable_from(labels, seen)
    for factor, expected in ((0.75, True), (1.3, False)):
        for _ in range(3):
            t, y = drawn(labels, round(factor * most), rng)
            X = rng.standard_normal((len(y), d))
            X[:, 0] = np.sqrt(seen) * t + np.sqrt(1 - seen) * rng.standard_normal(len(y))
            assert separable(X, y) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Classes(0.0), "share must lie between 0 and 1, got 0.0"),
        (lambda: Classes(1.0), "share must lie between 0 and 1, got 1.0"),
        (lambda: Classes(np.nan), "share must lie between 0 and 1, got nan"),
        (lambda: Logistic(0.0), "power must be finite and > 0, got 0.0"),
        (lambda: Logistic(np.inf), "power must be finite and > 0, got inf"),
        (lambda: Logistic(1.0, np.nan), "offset must be finite, got nan"),
        (lambda: Sign(-1.0), "power must be finite and > 0, got -1.0"),
        (lambda: Sign(1.0, 0.5), r"flips must be in \[0, 1/2\), got 0.5"),
        (lambda: Sign(1.0, -0.1), r"flips must be in \[0, 1/2\), got -0.1"),
        (lambda: separable_from(Logistic(1.0), 1.1), r"seen_share must be in \[0, 1\], got 1.1"),
    ],
)
def test_laws_that_are_none_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_target_that_the_law_contradicts_is_refused():
    pair = generic_pair()
    directions, power = pair.along(np.ones(20), np.ones(12)), float(pair.target @ pair.target)
    for labels in (Logistic(power), Sign(power), Classes(0.5)):
        check_target(directions, labels)
    for law in (Logistic, Sign):
        with pytest.raises(ValueError, match=r"must be the variance of the target of the weak"):
            check_target(directions, law(2 * power))
    with pytest.raises(ValueError, match=f"whose variance is 0.0396, got .* = {power:.6g}"):
        check_target(directions, Classes(0.01))
