import numpy as np
import pytest
from scipy import special

from tests.known import generic_pair
from w2s_utils.geometry import Geometry
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge
from w2s_utils.theory import exact, misfit, ridge
from w2s_utils.theory.classes import Logistic, Sign
from w2s_utils.theory.logistic import Probes, score


def test_misfit_and_gain_against_20000_trials():
    """Population and training misfit, and the gain, of models that are fitted to drawn rows."""
    rng = np.random.default_rng(0)
    D, n, N = 12, 11, 10
    W, S = (np.linalg.qr(rng.standard_normal((D, d)))[0] for d in (5, 4))
    pair = GaussianPair(W, S, rng.standard_normal(D), 0.5)
    beta, drawn = pair.target, np.empty((20_000, 3))
    for t in range(len(drawn)):
        X, U = rng.standard_normal((n, D)), rng.standard_normal((N, D))
        weak = W @ fit_ridge(X @ W, X @ beta + np.sqrt(0.5) * rng.standard_normal(n))
        student = S @ fit_ridge(U @ S, U @ weak)
        off = weak - student
        gain = np.sum((weak - beta) ** 2) - np.sum((student - beta) ** 2)
        drawn[t] = off @ off, np.mean((U @ off) ** 2), gain
    expected = (
        misfit.expected_misfit(pair, n, N),
        misfit.expected_misfit(pair, n, N, "training"),
        misfit.expected_gain(pair, n, N).total,
    )
    for found, value in zip(drawn.T, expected, strict=True):
        assert abs(mean(found).z_score(float(value))) < 4


@pytest.mark.parametrize("seed", range(10))
def test_gain_is_the_difference_of_risks(seed):
    rng = np.random.default_rng(seed)
    d_w, d_s = rng.integers(1, 15, 2)
    W, S = (np.linalg.qr(rng.standard_normal((20, d)))[0] for d in (d_w, d_s))
    pair = GaussianPair(W, S, rng.standard_normal(20), float(rng.uniform(0, 1)))
    n, N = np.array([[17], [40]]), np.array([17, 30, 500])
    risks, gain = exact.expected_risks(pair, n, N), misfit.expected_gain(pair, n, N)
    np.testing.assert_allclose(gain.total, risks.weak - risks.student, rtol=1e-10, atol=1e-12)
    # Written out with projections.
    P, Q = W @ W.T, np.eye(20) - S @ S.T
    overlooked = 2 * (Q @ P @ pair.target) @ (Q @ pair.target)
    np.testing.assert_allclose(gain.overlooked, overlooked, rtol=1e-9, atol=1e-12)
    v = (pair.noise_variance + pair.rho_w) / (n - d_w - 1)
    tau2, k = np.sum((Q @ P @ pair.target) ** 2) + v * np.trace(Q @ P), d_s / (N - d_s - 1)
    np.testing.assert_allclose(misfit.expected_misfit(pair, n, N), tau2 * (1 + k), rtol=1e-10)
    told = misfit.expected_misfit(pair, n, N, "training")
    np.testing.assert_allclose(told, tau2 * (1 - d_s / N), rtol=1e-10)
    for where, value in (("population", tau2 * (1 + k)), ("training", told)):
        read = misfit.metered_gain(value, int(d_s), N, where)
        np.testing.assert_allclose(read, gain.metered, rtol=1e-10)
    same = Geometry(
        pair.d_w, pair.d_s, pair.d_sw, pair.rho_w, pair.rho_s, pair.missed, pair.leaked,
        pair.noise_variance,
    )  # fmt: skip
    np.testing.assert_allclose(misfit.expected_gain(same, n, N).total, gain.total)


@pytest.mark.parametrize(("n", "N"), [(40, 60), (8, 200), (300, 9)])
def test_ridge_gain_is_the_difference_of_risks(n, N):
    """Also with fewer samples than features; without ridge it is the exact one."""
    pair = generic_pair()
    directions = pair.along(np.arange(1.0, pair.d_w + 1) ** -1, np.arange(1.0, pair.d_s + 1) ** -1)
    alphas = np.array([[0.01], [1.0]]), np.array([0.003, 0.1, 3.0])
    risks = ridge.expected_risks(directions, n, N, *alphas)
    gain = misfit.expected_ridge_gain(directions, n, N, *alphas)
    np.testing.assert_allclose(gain.total, risks.weak - risks.student, rtol=1e-9)
    plain = misfit.expected_ridge_gain(directions, 40, 60, 0, 0)
    known = misfit.expected_gain(pair, 40, 60)
    np.testing.assert_allclose(
        [plain.metered, plain.overlooked], [known.metered, known.overlooked], rtol=1e-9
    )


@pytest.mark.parametrize("labels", [Logistic(4.0), Logistic(4.0, 0.7), Sign(4.0, 0.1)])
def test_bregman_identity_of_class_gain(labels):
    """The gain is the misfit plus what the errors have to do with the corrections, by sampling."""
    beta = 2 * np.ones(40) / np.sqrt(40)
    pair = GaussianPair.aligned(d_w=15, d_s=10, d_sw=4, target=beta, noise_variance=0.0)
    probes = Probes(pair.along(np.ones(15), np.ones(10)), labels)
    found = misfit.expected_class_gain(probes, 100, 300, 0.02, 0.01)
    teacher = probes.single("weak", 100, 0.02)
    student = probes.student(teacher, 0.02, 300, 0.01)
    rng = np.random.default_rng(0)
    t, other, own = rng.standard_normal((3, 400_000))
    of_w = teacher.offset + score(teacher).slope * t + score(teacher).spread * other
    of_s = student.offset + student.slopes[0] * t + student.slopes[1] * other + student.spread * own
    if isinstance(labels, Sign):
        truth = np.where(t > 0, 1 - labels.flips, labels.flips)
    else:
        truth = special.expit(labels.offset + np.sqrt(labels.power) * t)
    p_w, p_s = special.expit(of_w), special.expit(of_s)
    apart = p_s * np.log(p_s / p_w) + (1 - p_s) * np.log((1 - p_s) / (1 - p_w))
    back = p_w * np.log(p_w / p_s) + (1 - p_w) * np.log((1 - p_w) / (1 - p_s))
    right_side = apart + (truth - p_s) * (of_s - of_w)
    for samples, value in (
        (right_side, found.gain),
        (apart, found.misfit),
        (back, found.trained),
        ((p_s - truth) * (of_s - of_w), found.overlooked),
    ):
        assert abs(mean(samples).z_score(value)) < 4


def test_a_student_without_errors_of_its_own_gains_its_misfit():
    """Target inside V_s, many pseudo-labels and few labels: nothing is overlooked."""
    beta = np.r_[np.ones(10), np.zeros(20)] * np.sqrt(4 / 10)
    pair = GaussianPair.aligned(d_w=30, d_s=10, d_sw=10, target=beta, noise_variance=0.0)
    probes = Probes(pair.along(np.ones(30), np.ones(10)), Logistic(4.0))
    found = misfit.expected_class_gain(probes, 3000, 10**6, 0.0, 0.0)
    assert found.gain == pytest.approx(found.misfit, rel=0.02)
    assert misfit.expected_gain(pair, 3000, 10**6).overlooked == pytest.approx(0, abs=1e-12)


def test_bad_input_is_refused_in_a_sentence():
    pair = generic_pair()
    with pytest.raises(ValueError, match="where must be 'population' or 'training', got 'both'"):
        misfit.expected_misfit(pair, 30, 30, "both")
    with pytest.raises(ValueError, match=r"N must exceed d_s \+ 1 = 13, got 13"):
        misfit.metered_gain(1.0, 12, 13, "population")
    directions = pair.along(np.ones(pair.d_w), np.ones(pair.d_s))
    hard = Probes(directions, Logistic(float(pair.target @ pair.target)), "cross-entropy", "hard")
    with pytest.raises(ValueError, match="soft pseudo-labels and the cross-entropy, got 'hard'"):
        misfit.expected_class_gain(hard, 50, 50, 0.1, 0.1)
