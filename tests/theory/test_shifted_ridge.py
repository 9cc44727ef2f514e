import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.known import generic_pair
from tests.theory.test_shift import random_pair
from w2s_utils.metrics import MODELS, mean
from w2s_utils.pair import ShiftedPair
from w2s_utils.probes import fit_ridge
from w2s_utils.shifted import Columns, Law, Laws, ShiftedDirections, directions, nodes
from w2s_utils.simulation import simulate_shift
from w2s_utils.theory import ridge, shift, shifted_ridge
from w2s_utils.theory.ridge import Ridges

FITTED = ("weak", "student", "baseline")  # of the ceiling the theory is leading order
NAMES = ("weak_map", "strong_map", "target", "noise_variance", "labelled", "unlabelled", "test")


def changed(pair, **change):
    return ShiftedPair(**{name: getattr(pair, name) for name in NAMES} | change)


def unshifted(pair, spectrum_w, spectrum_s):
    """One law for all three sets."""
    one = np.eye(len(pair.target))
    return ShiftedPair(
        weak_map=pair.weak_basis * np.sqrt(spectrum_w),
        strong_map=pair.strong_basis * np.sqrt(spectrum_s),
        target=pair.target,
        noise_variance=pair.noise_variance,
        labelled=one,
        unlabelled=one,
        test=one,
    )


@pytest.mark.parametrize("seed", range(40))
def test_without_ridge_it_is_the_exact_theory(seed):
    pair, n, N = random_pair(seed), np.array([8, 20, 200]), np.array([7, 30])
    exact = shift.expected_risks(pair, n[:, None], N)
    for i, size in enumerate(n):
        found = shifted_ridge.expected_risks(pair, size, N, 0.0, 0.0)
        for model in MODELS:
            np.testing.assert_allclose(found[model], exact[model][i], rtol=1e-10, err_msg=model)


# Of 15 weak and 10 strong features: n above and below both, and few pseudo-labels.
@pytest.mark.parametrize("alphas", [(0.0, 0.0), (0.01, 0.3), (1.0, 0.05)])
@pytest.mark.parametrize(("n", "N"), [(40, [20, 100]), (25, [30]), (11, [6, 40])])
def test_equal_laws_are_the_theory_of_ridge(n, N, alphas):
    if n == 11 and alphas[1] < 0.1:
        alphas = 0.5, 0.5  # without ridge so few samples have no finite risk
    pair = generic_pair(d_w=15, d_s=10, dimension=40)
    spectra = np.geomspace(2, 0.1, 15), np.geomspace(1, 0.2, 10)
    known = ridge.expected_risks(pair.along(*spectra), n, N, *alphas)
    found = shifted_ridge.expected_risks(unshifted(pair, *spectra), n, N, *alphas)
    for model in MODELS:
        np.testing.assert_allclose(found[model], known[model], rtol=1e-10, err_msg=model)


def test_of_equal_laws_the_best_ridges_are_those_of_the_theory_of_ridge():
    pair = generic_pair(d_w=15, d_s=10, dimension=40)
    spectra = np.geomspace(2, 0.1, 15), np.geomspace(1, 0.2, 10)
    n, N = np.array([9, 30, 200]), np.array([8, 60])
    of_pair = ShiftedDirections.of(unshifted(pair, *spectra), nodes(n[:, None] / (n[:, None] + N)))
    found = shifted_ridge.best_ridges(of_pair, n, N)
    known = ridge.best_ridges(pair.along(*spectra), n[:, None], N)
    for model in FITTED:
        one, other = getattr(found, model), getattr(known, model)
        np.testing.assert_allclose(one, other, rtol=1e-7, err_msg=model)
    nearby = shifted_ridge.best_ridges(of_pair, n, N, near=found)  # another parabola
    for one, other in zip(nearby, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.1)
    for of_share in found.ceiling:
        np.testing.assert_allclose(of_share, known.ceiling, rtol=1e-7)


@pytest.mark.parametrize(("method", "seed"), [("wishart", 1), ("direct", 2)])
@pytest.mark.parametrize(
    ("n", "N", "alpha_w", "alpha_s"),
    [(30, 26, 0.2, 0.2), (60, 100, 0.5, 0.02), (60, 100, 0.0, 1.0), (10, 7, 2.0, 4.0)],
)
def test_against_4000_trials(n, N, alpha_w, alpha_s, method, seed):
    """Of twelve weak and nine strong features, the last point with fewer rows than features."""
    pair = random_pair(11, D=40, d_w=12, d_s=9)
    drawn = simulate_shift(pair, n, N, 4000, seed, method, alpha_w=alpha_w, alpha_s=alpha_s)
    expected = shifted_ridge.expected_risks(pair, n, N, alpha_w, alpha_s)
    for model in FITTED:
        assert abs(mean(drawn[model]).z_score(float(expected[model]))) < 4, model
    ceiling = mean(drawn.ceiling)
    off = abs(ceiling.value / expected.ceiling - 1)
    assert off < 0.03 + 4 * ceiling.standard_error / expected.ceiling


def test_models_with_an_intercept_where_means_differ_against_4000_trials():
    rng = np.random.default_rng(5)
    D, d_w, d_s, n, N, sigma = 12, 6, 5, 25, 30, 0.5
    maps = rng.standard_normal((2, D, 6))
    A, B, beta = maps[0], maps[1, :, :d_s], rng.standard_normal(D)
    means = 0.8 * rng.standard_normal((4, D))
    roots = np.eye(D) + 0.3 * rng.standard_normal((4, D, D))
    columns = np.column_stack([A, B, beta])

    def law(mu, root):
        covariance = columns.T @ root @ root.T @ columns
        covariance[-1, -1] += sigma**2
        return Law(columns.T @ mu, covariance)

    labelled, unlabelled, *tests = map(law, means, roots)
    laws, sets = Laws(labelled, unlabelled, tuple(tests)), Columns(np.ones(d_w), np.ones(d_s))
    (found,) = directions(laws, sets, [n / (n + N)], 0.0, intercept=True)
    shape = (1, 1)
    used = Ridges(*(np.full(shape, a) for a in (0.6, 0.4, 0.3)), np.full((1, *shape), 0.2))
    size, more = np.array([n - 1]), np.array([N - 1])
    expected = shifted_ridge.risks_at_ridges(found, size, more, used, strict=True)

    def fit(X, y, alpha):
        w = fit_ridge(X - X.mean(axis=0), y - y.mean(), alpha)
        return w, y.mean() - X.mean(axis=0) @ w

    drawn = []
    for _ in range(4000):
        Z = means[0] + rng.standard_normal((n, D)) @ roots[0].T
        U = means[1] + rng.standard_normal((N, D)) @ roots[1].T
        y, withheld = (X @ beta + sigma * rng.standard_normal(len(X)) for X in (Z, U))
        w, b = fit(Z @ A, y, 0.6)
        models = (
            (A, w, b),
            (B, *fit(U @ B, U @ A @ w + b, 0.4)),
            (B, *fit(Z @ B, y, 0.3)),
            (B, *fit(np.vstack([Z, U]) @ B, np.concatenate([y, withheld]), 0.2)),
        )
        drawn.append(
            [
                [np.sum((root.T @ (C @ v - beta)) ** 2) + (mu @ (C @ v - beta) + c) ** 2
                 for C, v, c in models]
                for mu, root in zip(means[2:], roots[2:], strict=True)
            ]
        )  # fmt: skip
    for k, of_test in enumerate(np.transpose(drawn, (1, 2, 0))):
        for model, errors in zip(MODELS, of_test, strict=True):
            measured, predicted = mean(errors), float(expected[k][model][0, 0]) - sigma**2
            allowed = 0.03 * predicted if model == "ceiling" else 0.0
            assert abs(measured.value - predicted) < 4 * measured.standard_error + allowed, model


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 3), st.floats(0.01, 3), st.floats(1e-3, 1e3))
def test_rotations_of_inputs_and_units_of_features_change_nothing(seed, alpha_w, alpha_s, scale):
    pair = random_pair(seed % 1000)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((14, 14)))[0]
    moved = changed(
        pair,
        weak_map=scale * turn @ pair.weak_map,
        strong_map=turn @ pair.strong_map / scale,
        target=turn @ pair.target,
        **{law: turn @ getattr(pair, law) @ turn.T for law in ("labelled", "unlabelled", "test")},
    )
    one = shifted_ridge.expected_risks(pair, 9, 8, alpha_w, alpha_s)
    other = shifted_ridge.expected_risks(moved, 9, 8, alpha_w * scale**2, alpha_s / scale**2)
    for model in MODELS:
        assert other[model] == pytest.approx(float(one[model]), rel=1e-7), model


@pytest.mark.parametrize("seed", range(5))
def test_the_ceiling_between_nodes_is_that_at_the_share_itself(seed):
    """Within 1e-3: sixteen shares from 0.02 to 0.94, six ceilings made."""
    rng, D = np.random.default_rng(seed), 40
    roots = np.eye(D) + 0.15 * rng.standard_normal((2, D, D))
    labelled, unlabelled = roots @ roots.transpose(0, 2, 1)
    pair = changed(random_pair(seed, D, d_w=12, d_s=9), labelled=labelled, unlabelled=unlabelled)
    n, N = np.array([15, 40, 100, 240]), np.array([15, 60, 300, 900])
    found = shifted_ridge.expected_risks(pair, n, N, 0.1, 0.1)
    off = []
    for i, labels in enumerate(n):
        for j, more in enumerate(N):
            alone = shifted_ridge.expected_risks(pair, labels, more, 0.1, 0.1)
            off.append(abs(found.ceiling[i, j] / alone.ceiling - 1))
            assert found.student[i, j] == pytest.approx(float(alone.student), rel=1e-12)
    assert 1e-9 < max(off) < 1e-3


def test_up_to_six_shares_are_taken_themselves_and_more_are_interpolated():
    shares = np.array([[0.9, 0.1, 0.2], [0.4, 0.2, 0.7]])
    assert nodes(shares) == [0.1, 0.2, 0.4, 0.7, 0.9]
    assert nodes(np.r_[shares.ravel(), 0.5]) == [0.1, 0.2, 0.4, 0.5, 0.7, 0.9]
    between = nodes(np.linspace(0.1, 0.9, 7))
    np.testing.assert_allclose(between, 0.5 - 0.4 * np.cos(np.pi * (np.arange(6) + 0.5) / 6))
    assert list(ShiftedDirections.of(random_pair(0)).ceilings) == [0.5]


def test_shapes_of_sizes_come_one_after_the_other():
    found = shifted_ridge.expected_risks(random_pair(0), [20, 30, 40], 25, 0.1, 0.1)
    assert {found[model].shape for model in MODELS} == {(3,)}
    found = shifted_ridge.expected_risks(random_pair(0), 20, [[25, 30]], 0.1, 0.1)
    assert {found[model].shape for model in MODELS} == {(1, 2)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n must exceed zero"),
        ({"N": -2}, "N must exceed zero"),
        ({"n": 20.5}, "n must hold whole numbers"),
        ({"alpha_w": -0.1}, "alpha_w must be >= 0, got -0.1"),
        ({"alpha_s": np.nan}, "alpha_s must be finite"),
        ({"n": 6, "alpha_w": 0.0}, "n is too near the interpolation threshold of 5 features"),
        ({"N": 5, "alpha_s": 0.0}, "N is too near the interpolation threshold of 4 features"),
    ],
)
def test_bad_sizes_and_ridges_are_refused(changes, message):
    asked = {"n": 20, "N": 15, "alpha_w": 0.1, "alpha_s": 0.1} | changes
    with pytest.raises(ValueError, match=message):
        shifted_ridge.expected_risks(random_pair(0), **asked)


@pytest.mark.parametrize("name", ["alpha_w", "alpha_s"])
def test_the_simulation_refuses_ridges_below_zero(name):
    with pytest.raises(ValueError, match=f"{name} must be >= 0, got -1"):
        simulate_shift(random_pair(0), 10, 10, 2, 0, **{name: -1.0})
