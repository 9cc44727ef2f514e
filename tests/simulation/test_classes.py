import numpy as np
import pytest
from scipy.special import expit

from tests.theory.test_logistic import LAWS, PARTS, directions_of
from w2s_utils.metrics import mean
from w2s_utils.probes import fit_ridge
from w2s_utils.simulation import simulate_classes
from w2s_utils.simulation.classes import draw
from w2s_utils.softmax import class_probabilities, fit_softmax
from w2s_utils.theory.classes import Classes, Logistic, Sign, accuracy, cross_entropy

every_law = pytest.mark.parametrize("labels", LAWS, ids=repr)


def maps(directions):
    d = len(directions.weak.target)
    columns, spectra = directions.columns, (directions.weak.spectrum, directions.strong.spectrum)
    return columns[:, :d] * np.sqrt(spectra[0]), columns[:, d:-1] * np.sqrt(spectra[1])


def numbers(scores):
    return np.array([[getattr(one, part) for part in PARTS] for one in scores])


@every_law
def test_drawn_labels_have_the_stated_chance(labels):
    directions = directions_of(labels, D=20)
    beta = directions.columns[:, -1]
    z, y = draw(labels, beta, 200_000, np.random.default_rng(0))
    assert set(np.unique(y)) == {-1.0, 1.0}
    f = z @ beta
    if isinstance(labels, Classes):
        assert abs(mean(y == 1).z_score(labels.share)) < 4
        # Gaussian in each class, with the covariance I - bb'/v and the means b (y - mean)/v.
        v = labels.power
        for one in (-1, 1):
            of_class = z[y == one]
            middle = beta * (one - (2 * labels.share - 1)) / v
            error = of_class.std(axis=0) / np.sqrt(len(of_class))
            assert np.abs((of_class.mean(axis=0) - middle) / error).max() < 4.5
            within = np.eye(20) - np.outer(beta, beta) / v
            np.testing.assert_allclose(np.cov(of_class.T), within, atol=0.025)
    else:
        np.testing.assert_allclose(np.cov(z.T), np.eye(20), atol=0.02)
        if isinstance(labels, Logistic):
            chance = expit(labels.offset + f)
        else:
            chance = np.where(f > 0, 1 - labels.flips, labels.flips)
        for low, high in ((-9, -1), (-1, 0), (0, 1), (1, 9)):
            inside = (f > low) & (f < high)
            assert abs(mean((y == 1)[inside] - chance[inside]).z_score(0)) < 4
    assert np.abs(mean_with(z, y) - c_of(labels, f, y) * beta).max() < 0.015


def mean_with(z, y):
    return z.T @ (y - y.mean()) / len(y)


def c_of(labels, f, y):
    """E y f / E f^2, from the draws."""
    return np.mean((y - y.mean()) * f) / np.mean(f**2)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
@pytest.mark.parametrize("pseudo_labels", ["soft", "hard"])
def test_a_trial_step_by_step(loss, pseudo_labels):
    """The same draws, fitted as written; and the law of each model against a large test set."""
    labels, n, N, alphas = Logistic(6.0, 0.5), 30, 40, (0.1, 0.05)
    directions = directions_of(labels, D=40)
    to_w, to_s = maps(directions)
    beta = directions.columns[:, -1]
    options = {"loss": loss, "pseudo_labels": pseudo_labels, "temperature": 0.5}
    found = simulate_classes(directions, labels, n, N, 1, 3, *alphas, **options)
    z, y = draw(labels, beta, n + N, np.random.default_rng(np.random.SeedSequence(3)))
    fresh, answer = draw(labels, beta, 100_000, np.random.default_rng(4))

    def fitted(X, p, alpha):
        """Score on inputs: of probabilities, or of amounts."""
        if loss == "squared":
            w = fit_ridge(X - X.mean(axis=0), p - p.mean(), alpha)
            return lambda other: (other - X.mean(axis=0)) @ w + p.mean()
        W = fit_softmax(X, np.column_stack([1 - p, p]), alpha, intercept=True)
        return lambda other: np.diff(np.log(class_probabilities(other, W)))[:, 0]

    told = y if loss == "squared" else (y + 1) / 2
    W, S, W_fresh, S_fresh = z @ to_w, z @ to_s, fresh @ to_w, fresh @ to_s
    teacher = fitted(W[:n], told[:n], alphas[0])
    said = teacher(W[n:])
    if pseudo_labels == "hard":
        pseudo = np.sign(said) if loss == "squared" else (said > 0) * 1.0
    else:
        pseudo = said if loss == "squared" else expit(said / 0.5)
    scores = (
        teacher(W_fresh),
        fitted(S[n:], pseudo, alphas[1])(S_fresh),
        fitted(S[:n], told[:n], alphas[1])(S_fresh),
        fitted(S, told, alphas[1])(S_fresh),
    )
    for omega, law in zip(scores, found, strict=True):
        # They are linear in the inputs, so a fit tells their law.
        design = np.column_stack([np.ones(len(fresh)), fresh])
        offset, *w = np.linalg.lstsq(design, omega, rcond=None)[0]
        slope = w @ beta / np.sqrt(labels.power)
        expected = offset, slope, np.sqrt(np.sum(np.square(w)) - slope**2)
        np.testing.assert_allclose(
            [law.offset[0], law.slope[0], law.spread[0]], expected, rtol=1e-5, atol=1e-6
        )
        right = mean(np.where(omega > 0, 1, -1) == answer)
        assert abs(right.z_score(accuracy(labels, law)[0])) < 4
        loss_of = mean(np.logaddexp(0, -answer * omega))
        assert abs(loss_of.z_score(cross_entropy(labels, law)[0])) < 4


@every_law
def test_the_law_of_a_model_is_what_fresh_inputs_measure(labels):
    """Of any weights; the score's mean, its power and its product with the label."""
    directions = directions_of(labels, D=30)
    found = simulate_classes(directions, labels, 40, 50, 1, 5, 0.1, 0.1)
    to_w, _ = maps(directions)
    z, y = draw(labels, directions.columns[:, -1], 90, np.random.default_rng(5))
    W = fit_softmax(z[:40] @ to_w, np.eye(2)[(y[:40] > 0) * 1], 0.1, intercept=True)
    fresh, answer = draw(labels, directions.columns[:, -1], 200_000, np.random.default_rng(6))
    omega = np.diff(np.log(class_probabilities(fresh @ to_w, W)))[:, 0]
    law = found.weak
    assert abs(mean(omega).z_score(law.offset[0])) < 4
    power = mean((omega - law.offset[0]) ** 2)
    assert abs(power.z_score(law.slope[0] ** 2 + law.spread[0] ** 2)) < 4
    right = mean(np.where(omega > 0, 1, -1) == answer)
    assert abs(right.z_score(accuracy(labels, law)[0])) < 4


def test_the_same_seed_draws_the_same():
    directions, labels = directions_of(LAWS[0], D=40), LAWS[0]
    arguments = directions, labels, 30, 40, 3
    one, two = (simulate_classes(*arguments, 7, 0.1, 0.1) for _ in range(2))
    np.testing.assert_array_equal(numbers(one), numbers(two))
    assert numbers(one).shape == (4, 3, 3)
    other = simulate_classes(*arguments, 8, 0.1, 0.1)
    assert np.abs(numbers(other) - numbers(one)).min() > 0
    again = simulate_classes(*arguments, np.random.SeedSequence(7), 0.1, 0.1)
    np.testing.assert_array_equal(numbers(one), numbers(again))
    first = simulate_classes(directions, labels, 30, 40, 1, 7, 0.1, 0.1)
    np.testing.assert_array_equal(numbers(one)[..., :1], numbers(first))


def test_scaling_the_features_and_their_ridge_together_changes_nothing():
    from dataclasses import replace

    directions, labels = directions_of(LAWS[1], D=40), LAWS[1]
    weak = replace(directions.weak, spectrum=9 * directions.weak.spectrum)
    one = simulate_classes(directions, labels, 40, 50, 2, 1, 0.1, 0.1)
    two = simulate_classes(replace(directions, weak=weak), labels, 40, 50, 2, 1, 0.9, 0.1)
    np.testing.assert_allclose(numbers(one), numbers(two), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 0}, "n must exceed zero, got 0"),
        ({"N": 2.5}, "whole numbers"),
        ({"trials": [2, 3]}, "trials must be one whole number"),
        ({"seed": 0.5}, "seed must be a whole number >= 0, got 0.5"),
        ({"alpha_w": 0.0}, "ridge must be finite and > 0, got 0.0"),
        ({"alpha_s": -0.1}, "ridge must be finite and > 0, got -0.1"),
        ({"alpha_s": -0.1, "loss": "squared"}, "ridge must be .*-0.1"),
        ({"loss": "hinge"}, "loss must be 'cross-entropy' or 'squared', got 'hinge'"),
        ({"pseudo_labels": "firm"}, "pseudo_labels must be 'soft' or 'hard', got 'firm'"),
        ({"temperature": 0.0}, "temperature must be finite and > 0, got 0.0"),
        ({"labels": Sign(2.0)}, "labels.power must be the variance of the target"),
        ({"labels": Classes(0.5)}, "must vary less than the label"),
        ({"labels": Logistic(6.0, 40.0)}, "labels must hold each class"),
    ],
)
def test_bad_arguments_are_refused(changed, message):
    arguments = {"labels": Logistic(6.0), "n": 20, "N": 20, "trials": 2, "seed": 0}
    arguments |= {"alpha_w": 0.1, "alpha_s": 0.1} | changed
    with pytest.raises(ValueError, match=message):
        simulate_classes(directions_of(Logistic(6.0), D=40), **arguments)
