"""Changes of units, coordinates, order and sign that must change nothing, or only the units.

Those that were not tested beside the function itself: see also `test_invariance...` in the tests
of theory and measure, and `test_numerics.py` for units.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from w2s_utils import measure, metrics, simulation, subspaces
from w2s_utils.geometry import Geometry
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.principal import principal_coordinates
from w2s_utils.probes import fit_ridge, probe_sweep
from w2s_utils.simulation import inputs
from w2s_utils.softmax import class_probabilities, fit_softmax
from w2s_utils.splits import Splits
from w2s_utils.theory import exact, phases
from w2s_utils.theory.accuracy import least_squares_scores
from w2s_utils.theory.classes import Sign
from w2s_utils.theory.logistic import Probes, expected_scores
from w2s_utils.theory.ridge import Ridges

few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed, rows=50, width=4):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, width)) * rng.uniform(0.5, 2, width)
    S = np.column_stack([X[:, :2], rng.standard_normal((rows, 2))])
    return rng, X, S, X.sum(axis=1) + rng.standard_normal(rows)


def rotation(dimension, rng):
    return np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]


def pair_of(rng):
    A, B = subspaces.pair_with_angles(9, rng.uniform(0, np.pi / 2, 3), 4, 3, rng)
    return GaussianPair(A, B, rng.standard_normal(9), rng.uniform(0.1, 2))


def turned(pair, rng):
    """The same pair in other coordinates and other bases, with the target's sign changed."""
    R = rotation(9, rng)
    return GaussianPair(
        R @ pair.weak_basis @ rotation(4, rng),
        R @ pair.strong_basis @ rotation(3, rng),
        -R @ pair.target,
        pair.noise_variance,
    )


@few
@given(seeds, st.floats(0, 10))
def test_fit_under_order_signs_and_rotation(seed, ridge):
    rng, X, _, y = drawn(seed)
    w, order, R = fit_ridge(X, y, ridge), rng.permutation(50), rotation(4, rng)
    np.testing.assert_allclose(fit_ridge(X[order], y[order], ridge), w, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit_ridge(X, -3 * y, ridge), -3 * w, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit_ridge(X @ R, y, ridge), R.T @ w, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        fit_ridge(np.vstack([X, X]), np.r_[y, y], ridge), w, rtol=1e-9, atol=1e-12
    )


@few
@given(seeds)
def test_sweep_under_signs_and_order_of_the_columns(seed):
    rng, X, S, y = drawn(seed)

    def errors(W, S, sign):
        options = {"splits": Splits(2, 9, 1)}
        frame = probe_sweep(W, S, {0: lambda rng: sign * y}, sign * y, [(12, 25)], **options)
        return frame[list(MODELS)].to_numpy()

    flipped = X[:, rng.permutation(4)] * rng.choice([-1, 1], 4)
    np.testing.assert_allclose(errors(flipped, -S, -1), errors(X, S, 1), rtol=1e-8)


@few
@given(seeds)
def test_softmax_under_order_rotation_and_repetition(seed):
    rng, X, _, _ = drawn(seed)
    Y, R = rng.dirichlet(np.ones(3), 50), rotation(4, rng)
    W = fit_softmax(X, Y, 0.01)
    np.testing.assert_allclose(fit_softmax(-X @ R, Y, 0.01), -R.T @ W, atol=1e-7)
    np.testing.assert_allclose(fit_softmax(X[::-1], Y[::-1], 0.01), W, atol=1e-7)
    np.testing.assert_allclose(
        fit_softmax(np.vstack([X, X]), np.vstack([Y, Y]), 0.01), W, atol=1e-7
    )
    W = fit_softmax(X, Y, 0.01, intercept=True)
    moved = fit_softmax(X[::-1] @ R + rng.standard_normal(4), Y[::-1], 0.01, intercept=True)
    np.testing.assert_allclose(moved[:-1], R.T @ W[:-1], atol=1e-7)
    W = W[:-1]
    shifted = W + rng.standard_normal((4, 1))
    np.testing.assert_allclose(class_probabilities(X, shifted), class_probabilities(X, W))


@few
@given(seeds)
def test_dimensions_under_rotation_order_and_signs(seed):
    rng, X, S, y = drawn(seed)
    R, order = rotation(4, rng), rng.permutation(50)
    Z = (-X @ R)[order]
    np.testing.assert_allclose(measure.spectrum(Z), measure.spectrum(X), rtol=1e-9)
    assert measure.intrinsic_dimension(Z, 0.9) == measure.intrinsic_dimension(X, 0.9)
    assert np.isclose(
        measure.leverage_excess(Z @ np.diag([1, 2, 3, 4])), measure.leverage_excess(X)
    )
    np.testing.assert_allclose(
        measure.noise_inflation(Z, -7 * y[order]), measure.noise_inflation(X, y), rtol=1e-9
    )
    ours, theirs = (
        measure.top_eigenspace(Z, 2),
        measure.top_eigenspace(X, 2)[order],
    )
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-6)
    ours, theirs = (measure.leading_directions(A, 2) for A in (X @ R, X))
    np.testing.assert_allclose(ours @ ours.T, R.T @ theirs @ theirs.T @ R, atol=1e-6)
    for sketch in (measure.projection_sketch, measure.rotation_sketch):
        ours, theirs = (sketch(A, S, np.random.default_rng(0)) for A in (X[order] * 2, X))
        assert np.isclose(ours, theirs)


@few
@given(seeds)
def test_geometry_under_maps_of_the_features_order_and_sign(seed):
    rng, X, S, y = drawn(seed)
    order = rng.permutation(50)
    mapped = (X @ rng.standard_normal((4, 4)))[order], (-3 * S)[order], -2 * y[order]
    ours, theirs = (Geometry.from_features(*data, 0.1) for data in (mapped, (X, S, y)))
    np.testing.assert_allclose(ours.d_sw, theirs.d_sw, rtol=1e-6)
    for name in ("rho_w", "rho_s", "missed", "leaked"):
        ratio = getattr(ours, name), 4 * getattr(theirs, name)
        np.testing.assert_allclose(*ratio, rtol=1e-6, atol=1e-9)


@few
@given(seeds)
def test_theory_and_samplers_under_rotation_and_sign(seed):
    """In principal coordinates the pairs are the same, so the same seed draws the same risks."""
    rng = np.random.default_rng(seed)
    pair = pair_of(rng)
    other = turned(pair, rng)
    for one, two in zip(
        (phases.winning_N(pair, 30, "weak"), exact.student_terms(pair, 30, 40).total),
        (phases.winning_N(other, 30, "weak"), exact.student_terms(other, 30, 40).total),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, rtol=1e-7)
    ours, theirs = (
        principal_coordinates(p.weak_basis, p.strong_basis, p.target, p.noise_variance)
        for p in (pair, other)
    )
    np.testing.assert_allclose(ours.cosines, theirs.cosines, atol=1e-7)
    np.testing.assert_allclose(np.abs(ours.weak_target), np.abs(theirs.weak_target), atol=1e-5)
    one, two = (simulation.simulate(p, 30, 40, 400, 0).student for p in (pair, other))
    assert abs(one.mean() - two.mean()) < 5 * np.hypot(one.std(), two.std()) / 20
    one, two = (simulation.simulate_teacher_student(p, 30, 40, 400, 0)[0] for p in (pair, other))
    assert abs(one.mean() - two.mean()) < 5 * np.hypot(one.std(), two.std()) / 20


@few
@given(seeds, st.floats(1e-3, 1e3))
def test_scores_of_two_classes_under_the_target_and_its_units(seed, unit):
    """Signs have no units; the same pair in other coordinates has the same scores."""
    rng = np.random.default_rng(seed)
    pair = pair_of(rng)
    power = float(pair.target @ pair.target)
    rotated = rotation(9, rng)
    other = GaussianPair(
        rotated @ pair.weak_basis,
        rotated @ pair.strong_basis,
        -unit * rotated @ pair.target,
        pair.noise_variance,
    )
    found = []
    for one, size in ((pair, power), (other, unit**2 * power)):
        directions, labels = one.along(np.ones(4), np.ones(3)), Sign(size, 0.1)
        scores = expected_scores(Probes(directions, labels), 30, 40, 0.1, 0.2)
        least_squares = least_squares_scores(directions, labels, 30, 40, Ridges(*np.full(4, 0.1)))
        found.append([[one.slope, one.spread] for one in (*scores, *least_squares)])
    np.testing.assert_allclose(*found, rtol=1e-6, atol=1e-9)


@few
@given(seeds, st.floats(1e-3, 1e3))
def test_metrics_under_order_of_the_trials_and_units(seed, unit):
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 2, (4, 12)) * [[4], [2], [3], [1]]
    order = rng.permutation(12)
    risks, other = Risks(*values), Risks(*(unit * values[:, order]))
    for statistic in (metrics.pgr, metrics.opr):
        np.testing.assert_allclose(statistic(risks).value, statistic(other).value)
        np.testing.assert_allclose(
            statistic(risks).standard_error, statistic(other).standard_error, rtol=1e-6
        )
    after, after_other = Risks(*values[:, ::-1]), Risks(*(unit * values[:, ::-1][:, order]))
    ours, theirs = (
        metrics.change(metrics.opr, risks, after),
        metrics.change(metrics.opr, other, after_other),
    )
    np.testing.assert_allclose(ours.standard_error, theirs.standard_error, rtol=1e-6)
    x, samples = np.arange(1.0, 5), values * np.arange(1, 5)[:, None]
    one, two = metrics.power_law(x, samples), metrics.power_law(unit * x, unit * samples[:, order])
    np.testing.assert_allclose(one.value, two.value, rtol=1e-6)


@few
@given(seeds)
def test_resampled_rows_are_the_same_inputs_in_any_units_of_the_columns(seed):
    _, X, _, _ = drawn(seed)
    drawn_rows = [
        inputs.resampled(Z)(7, 4, np.random.default_rng(0)) for Z in (X, X * [1, 5, 0.1, 9])
    ]
    np.testing.assert_allclose(np.abs(drawn_rows[0]), np.abs(drawn_rows[1]), atol=1e-9)


def test_standard_error_of_the_correlation_dimension_is_the_jackknife_of_the_rows():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200, 5))
    W, S = z[:, :3], z[:, 2:] + 0.5 * z[:, :3]
    left_out = [
        measure.correlation_dimension(
            *(np.delete(Z, np.s_[block::20], axis=0) for Z in (W, S)), energy=1.0
        ).estimate
        for block in range(20)
    ]
    expected = np.sqrt(19 / 20 * np.sum((left_out - np.mean(left_out)) ** 2))
    found = measure.correlation_dimension(W, S, energy=1.0).standard_error
    assert np.isclose(found, expected, rtol=1e-9)
