import numpy as np
import pytest

from tests.known import generic_pair
from tests.theory.test_logistic import PARTS, directions_of, scaled
from w2s_utils.metrics import MODELS, mean
from w2s_utils.probes import fit_ridge
from w2s_utils.simulation import simulate_classes
from w2s_utils.theory import ridge
from w2s_utils.theory.accuracy import (
    agreements,
    as_regression,
    least_squares_scores,
    linear_share,
)
from w2s_utils.theory.classes import Classes, Logistic, Sign, accuracy, share_of_1
from w2s_utils.theory.logistic import Probes, expected_scores
from w2s_utils.theory.ridge import Ridges

LAWS = (Logistic(6.0, 0.5), Sign(1.0, 0.05), Classes(0.5), Classes(0.15))
every_law = pytest.mark.parametrize("labels", LAWS, ids=repr)


def same_ridges(alpha_w, alpha_s):
    return Ridges(*map(np.asarray, (alpha_w, alpha_s, alpha_s, alpha_s)))


@every_law
def test_the_linear_share_and_the_noise_against_draws(labels):
    rng = np.random.default_rng(0)
    if isinstance(labels, Classes):
        y = np.where(rng.random(400_000) < labels.share, 1, -1)
        target = y - (2 * labels.share - 1.0)
    else:
        t = rng.standard_normal(400_000)
        chance = labels.chance(0, t, np.zeros_like(t))[0]
        y, target = np.where(rng.random(len(t)) < chance, 1, -1), np.sqrt(labels.power) * t
    c = linear_share(labels)
    with_target = mean(y * target)
    assert abs(with_target.value - c * labels.power) < 4 * with_target.standard_error + 0.002
    directions = directions_of(labels, D=40)
    regression = as_regression(directions, labels)
    seen = regression.weak.target @ regression.weak.target + regression.weak.rho
    assert seen + regression.noise_variance == pytest.approx(1 - np.mean(y) ** 2, abs=0.01)
    assert abs(mean(y).z_score(2 * share_of_1(labels) - 1)) < 4


def test_the_linear_share_in_closed_form():
    """Of signs sqrt(2/pi) over the deviation, less with flips; of classes their label is linear."""
    assert linear_share(Sign(4.0, 0.1)) == pytest.approx(0.8 * np.sqrt(2 / np.pi) / 2, rel=1e-6)
    assert linear_share(Classes(0.3)) == pytest.approx(1)
    # By Stein's lemma that of logistic labels is twice the mean slope of the probability.
    grid = np.linspace(-10, 10, 4001)
    slope = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi) / 2 / np.cosh((0.5 + 2 * grid) / 2) ** 2
    assert linear_share(Logistic(4.0, 0.5)) == pytest.approx(np.trapezoid(slope, grid), rel=1e-8)


@pytest.mark.parametrize(
    ("labels", "n", "N", "alpha", "exponent"),
    [
        (LAWS[0], 140, 250, 0.03, 0.75),
        (LAWS[1], 60, 400, 0.1, 0.0),
        (LAWS[2], 300, 90, 0.01, 1.5),
        (LAWS[3], 150, 300, 0.1, 0.75),
    ],
)
def test_least_squares_accuracy_against_simulation(labels, n, N, alpha, exponent):
    """D = 400, 60 training sets; also of each class, where the labels are not even."""
    directions = directions_of(labels, exponent=exponent)
    expected = least_squares_scores(directions, labels, n, N, same_ridges(alpha, 2 * alpha))
    drawn = simulate_classes(directions, labels, n, N, 60, 1, alpha, 2 * alpha, loss="squared")
    for model, one, many in zip(MODELS, expected, drawn, strict=True):
        for balanced in (False, True):
            found = mean(accuracy(labels, many, balanced=balanced))
            off = abs(found.value - accuracy(labels, one, balanced=balanced))
            assert off < 0.003 + 3 * found.standard_error, model
        power = mean(np.square(many.slope) + np.square(many.spread))
        of_theory = np.square(one.slope) + np.square(one.spread)
        assert abs(power.value - of_theory) < 4 * power.standard_error + 0.01 * of_theory, model
        assert abs(mean(many.slope).z_score(float(one.slope))) < 4
        assert abs(mean(many.offset).z_score(float(one.offset))) < 4


@every_law
@pytest.mark.parametrize("intercept", [True, False])
def test_in_the_limit_it_is_the_squared_loss_of_the_other_theory(labels, intercept):
    """Of which there is no finite size, so that they differ as 1/D."""
    off = []
    for factor in (1, 4):
        directions = directions_of(labels, D=60 * factor, exponent=0.0)
        n, N = 40 * factor, 90 * factor
        found = least_squares_scores(
            directions, labels, n, N, same_ridges(0.3, 0.1), intercept=intercept
        )
        probes = Probes(directions, labels, "squared", intercept=intercept)
        limit = expected_scores(probes, n, N, 0.3, 0.1)
        parts = ("offset", "slope", "spread") if intercept else ("slope", "spread")
        off.append(
            max(
                abs(float(getattr(one, part)) - float(getattr(other, part)))
                for one, other in zip(found, limit, strict=True)
                for part in parts
            )
        )
    assert off[0] < 0.03
    assert off[1] < 0.4 * off[0]


def test_agreements_against_fits():
    """Twenty weak directions, 3000 training sets, all four models fitted as written."""
    pair = generic_pair(seed=8, d_w=20, d_s=15, dimension=60)
    spectra = [np.arange(1.0, d + 1) ** -0.5 for d in (20, 15)]
    directions, n, N = pair.along(*spectra), 30, 40
    to_w, to_s = pair.weak_basis * np.sqrt(spectra[0]), pair.strong_basis * np.sqrt(spectra[1])
    rng, rows = np.random.default_rng(0), []
    for _ in range(3000):
        z = rng.standard_normal((n + N, 60))
        y = z @ pair.target + np.sqrt(pair.noise_variance) * rng.standard_normal(n + N)
        teacher = to_w @ fit_ridge(z[:n] @ to_w, y[:n], 0.1)
        models = [teacher]
        for x, told in ((z[n:], z[n:] @ teacher), (z[:n], y[:n]), (z, y)):
            models.append(to_s @ fit_ridge(x @ to_s, told, 0.2))
        rows.append([model @ pair.target for model in models])
    expected = agreements(directions, n, N, same_ridges(0.1, 0.2))
    for drawn, value in zip(np.transpose(rows), expected, strict=True):
        assert abs(mean(drawn).z_score(float(value))) < 4


def test_power_and_agreement_are_those_of_the_risk():
    """E(f - f_*)^2 from the score is the risk of `theory.ridge`."""
    labels = Classes(0.5)
    directions = scaled(generic_pair().along(np.ones(20), np.ones(12)), 0.7)
    regression = as_regression(directions, labels)
    risks = ridge.risks_at_ridges(regression, 40, 60, same_ridges(0.1, 0.2))
    scores = least_squares_scores(
        directions, labels, 40, 60, same_ridges(0.1, 0.2), intercept=False
    )
    for risk, one in zip(risks, scores, strict=True):
        of_label = 1 - 2 * one.slope + one.slope**2 + one.spread**2
        assert of_label - regression.noise_variance == pytest.approx(float(risk), rel=1e-9)


def test_the_grid_is_its_points():
    labels = LAWS[0]
    directions = directions_of(labels, D=60)
    n, N = np.array([20, 60])[:, None], np.array([40, 80, 200])
    grid = least_squares_scores(directions, labels, n, N, same_ridges(0.1, 0.2))
    for i, j in np.ndindex(2, 3):
        sizes = int(n[i, 0]), int(N[j])
        point = least_squares_scores(directions, labels, *sizes, same_ridges(0.1, 0.2))
        for one, other in zip(grid, point, strict=True):
            for part in PARTS:
                value = np.broadcast_to(getattr(one, part), (2, 3))[i, j]
                assert value == pytest.approx(float(getattr(other, part)))


def test_bad_arguments_are_refused():
    labels = Logistic(6.0)
    directions, ridges = directions_of(labels, D=40), same_ridges(0.1, 0.1)
    with pytest.raises(ValueError, match=r"labels.power must be the variance of the target"):
        least_squares_scores(directions, Logistic(3.0), 20, 30, ridges)
    with pytest.raises(ValueError, match="must vary less than the label, whose variance is 1,"):
        as_regression(directions, Classes(0.5))
    with pytest.raises(ValueError, match="n must hold whole numbers"):
        least_squares_scores(directions, labels, 20.5, 30, ridges)
    with pytest.raises(ValueError, match="n must exceed"):
        least_squares_scores(directions, labels, 1, 30, ridges)
    with pytest.raises(ValueError, match=r">= 0, got -0\.1"):
        least_squares_scores(directions, labels, 20, 30, replace_ridge(ridges, -0.1))


def replace_ridge(ridges, alpha):
    return ridges._replace(weak=np.asarray(alpha))
