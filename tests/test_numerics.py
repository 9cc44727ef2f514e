"""Extreme but legal numbers: right to a stated accuracy, or refused by one sentence.

The references are exact: floats are fractions, and least squares on fractions has no rounding.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2s_utils import measure, metrics, simulation, subspaces
from w2s_utils.geometry import Geometry
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge, probe_sweep
from w2s_utils.simulation import inputs
from w2s_utils.softmax import class_probabilities, fit_softmax, softmax_sweep
from w2s_utils.splits import Splits
from w2s_utils.theory import bounds, exact, phases, ridge

EPS = np.finfo(float).eps


def fractions(array):
    return np.vectorize(Fraction, otypes=[object])(np.asarray(array, dtype=float))


def solve(A, b):
    """Gaussian elimination on fractions: exact."""
    M = np.column_stack([A, b])
    for i in range(len(M)):
        pivot = i + next(k for k, x in enumerate(M[i:, i]) if x != 0)
        M[[i, pivot]] = M[[pivot, i]]
        M[i] /= M[i, i]
        for j in range(len(M)):
            if j != i:
                M[j] -= M[j, i] * M[i]
    return M[:, len(M) :]


def exact_fit(X, y, alpha=0.0):
    """Ridge or least squares on fractions, (d, k); of least norm if n < d."""
    X, y = fractions(X), fractions(np.reshape(y, (len(y), -1)))
    if not alpha and len(X) < X.shape[1]:
        return X.T @ solve(X @ X.T, y)
    penalty = Fraction(float(alpha)) * len(X) * np.eye(X.shape[1], dtype=int)
    return solve(X.T @ X + penalty, X.T @ y)


def floats(array):
    return np.asarray(array, dtype=float)


def conditioned(rows, columns, condition, rng):
    """Random matrix with singular values from 1 to 1/condition."""
    left = np.linalg.qr(rng.standard_normal((rows, columns)))[0]
    right = np.linalg.qr(rng.standard_normal((columns, columns)))[0]
    return left * np.geomspace(1, 1 / condition, columns) @ right


# --- Least squares --------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e8, 1e12])
@pytest.mark.parametrize("rows", [4, 5, 30])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_fit_has_the_error_of_a_rounding_of_the_data(condition, rows, noise):
    """The bound of Wedin for a perturbation of 20 eps, up to condition 1e12 and at n = d + 1."""
    rng = np.random.default_rng(rows)
    X = conditioned(rows, 4, condition, rng)
    y = X @ rng.standard_normal(4) + noise * rng.standard_normal(rows)
    w = exact_fit(X, y)
    residual = np.linalg.norm(floats(fractions(y)[:, None] - fractions(X) @ w))
    allowed = condition * np.linalg.norm(floats(w)) + condition**2 * residual
    error = np.linalg.norm(floats(fractions(fit_ridge(X, y))[:, None] - w))
    assert error < 20 * EPS * (allowed + condition * np.linalg.norm(y))


@pytest.mark.parametrize("condition", [1e4, 1e12])
@pytest.mark.parametrize("alpha", [1e-20, 1e-10, 1e-2])
@pytest.mark.parametrize("rows", [3, 5, 30])
def test_ridge_has_the_error_of_a_rounding_of_the_data(condition, alpha, rows):
    rng = np.random.default_rng(rows)
    X, y = conditioned(30, 4, condition, rng)[:rows], rng.standard_normal(rows)
    w = floats(exact_fit(X, y, alpha))[:, 0]
    stacked = np.vstack([X, np.sqrt(rows * alpha) * np.eye(4)])
    actual = np.linalg.cond(stacked)
    error = np.linalg.norm(fit_ridge(X, y, alpha) - w) / np.linalg.norm(w)
    if actual < 1e12:
        assert error < 20 * EPS * actual**2 * np.linalg.norm(y) / np.linalg.norm(stacked @ w)


def test_least_norm_against_fractions():
    rng = np.random.default_rng(0)
    for condition in (1.0, 1e6):
        X, y = conditioned(8, 5, condition, rng).T, rng.standard_normal(5)
        w = floats(exact_fit(X, y))[:, 0]
        error = np.linalg.norm(fit_ridge(X, y) - w) / np.linalg.norm(w)
        assert error < 20 * EPS * condition


@pytest.mark.parametrize("extra", ["duplicate", "constant twice", "zero", "sum"])
def test_dependent_columns_get_the_least_norm(extra):
    """Least norm has a closed form: a repeated column shares its weight, a zero one has none."""
    rng = np.random.default_rng(1)
    X, y = np.column_stack([np.ones(30), rng.standard_normal((30, 3))]), rng.standard_normal(30)
    added = {"duplicate": X[:, 3], "constant twice": X[:, 0], "zero": 0 * y, "sum": X.sum(axis=1)}
    Z = np.column_stack([X, added[extra]])
    map_back = np.column_stack(
        [
            np.eye(4),
            {"duplicate": np.eye(4)[3], "constant twice": np.eye(4)[0], "zero": np.zeros(4)}.get(
                extra, np.ones(4)
            ),
        ]
    )  # Z = X map_back, so the least norm solution is map_back^+ w
    w = floats(exact_fit(X, y))[:, 0]
    np.testing.assert_allclose(
        fit_ridge(Z, y), np.linalg.pinv(map_back) @ w, rtol=1e-12, atol=1e-14
    )


def swept(weak, strong, y):
    frame = probe_sweep(
        weak, strong, {0: lambda rng: y}, y, [(12, 20), (3, 20)], splits=Splits(2, 10, 0)
    )
    return frame[list(MODELS)].to_numpy()


def test_sweep_and_fit_agree_on_what_is_rounding_noise():
    """Columns 1e-20 times as long as others are dropped by both: no column's unit decides."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 4))
    y = X.sum(axis=1) + rng.standard_normal(60)
    uneven = X * [1, 1e-20, 1, 1e-30]
    np.testing.assert_allclose(swept(uneven, uneven, y), swept(X[:, ::2], X[:, ::2], y), rtol=1e-9)
    small = X * [1, 1e-7, 1, 1e-6]
    np.testing.assert_allclose(swept(small, small, y)[0], swept(X, X, y)[0], rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, bool])
def test_short_types_are_their_values(dtype):
    """No arithmetic is done in 16 bits, where 6e4 squared overflows."""
    rng = np.random.default_rng(3)
    X, S = (rng.uniform(0, 250, (60, 3)).astype(dtype) for _ in range(2))
    X[0] = True
    y, wide, wide_S = rng.standard_normal(60), X.astype(float), S.astype(float)
    assert np.array_equal(fit_ridge(X, y), fit_ridge(wide, y))
    assert np.array_equal(swept(X, S, y), swept(wide, wide_S, y))
    for function in (
        measure.spectrum,
        lambda Z: measure.top_eigenspace(Z, 1),
        lambda Z: fit_softmax(Z, np.eye(2)[np.arange(60) % 2], 1e-3),
    ):
        assert np.array_equal(function(X), function(wide))
    large = np.full((4, 1), 6e4, np.float16)
    assert measure.spectrum(large)[0] == pytest.approx(float(large[0, 0]) ** 2)


# --- Sizes from 1e-150 to 1e150 -------------------------------------------------------------------


def made(scale):
    """Features, target and class labels; the features' largest value is `scale`."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((60, 4))
    S = np.column_stack([X[:, :2], rng.standard_normal((60, 2))])
    y = X.sum(axis=1) + rng.standard_normal(60)
    X, S, y = (array / np.abs(array).max() for array in (X, S, y))
    return X * scale, S * scale, y, np.eye(3)[rng.integers(3, size=60)]


# Name -> what does not change with the features' unit.
FREE_OF_UNITS = {
    "fit": lambda X, S, y, Y, u: fit_ridge(X, y) * u,
    "ridge": lambda X, S, y, Y, u: fit_ridge(X, y, 0.1 * u**2) * u,
    "sweep": lambda X, S, y, Y, u: swept(X, S, y),
    "softmax": lambda X, S, y, Y, u: fit_softmax(X, Y, 1e-3 * u**2) * u,
    "softmax_sweep": lambda X, S, y, Y, u: softmax_sweep(
        X, S, lambda rng: Y, Y, [(20, 20)], splits=Splits(1, 9, 0), ridge=1e-2 * u**2
    )[list(MODELS)].to_numpy(),
    "spectrum": lambda X, S, y, Y, u: measure.spectrum(X) / u / u,
    "intrinsic": lambda X, S, y, Y, u: measure.intrinsic_dimension(X, 0.8),
    "soft": lambda X, S, y, Y, u: measure.soft_dimension(measure.spectrum(X), 0.1 * u**2),
    "directions": lambda X, S, y, Y, u: np.abs(measure.leading_directions(X, 2)),
    "eigenspace": lambda X, S, y, Y, u: np.abs(measure.top_eigenspace(X, 2)),
    "correlation": lambda X, S, y, Y, u: measure.correlation_dimension(X, S).estimate,
    "held out": lambda X, S, y, Y, u: measure.correlation_dimension(X, S).held_out_error,
    "projection": lambda X, S, y, Y, u: measure.projection_sketch(X, S, np.random.default_rng(0)),
    "rotation": lambda X, S, y, Y, u: measure.rotation_sketch(X, S, np.random.default_rng(0)),
    "leverage": lambda X, S, y, Y, u: measure.leverage_excess(X),
    "inflation": lambda X, S, y, Y, u: measure.noise_inflation(X, y),
    "resampled": lambda X, S, y, Y, u: np.abs(inputs.resampled(X)(9, 4, np.random.default_rng(0))),
    "pair": lambda X, S, y, Y, u: [
        getattr(GaussianPair.from_features(X, S, y, 0.1), name)
        for name in ("d_sw", "rho_w", "missed")
    ],
    "geometry": lambda X, S, y, Y, u: [
        getattr(Geometry.from_features(X, S, y, 0.1), name) for name in ("d_sw", "rho_s", "leaked")
    ],
    "effective ridge": lambda X, S, y, Y, u: (
        ridge.effective_ridge(measure.spectrum(X), [2, 9], [0, 0.1 * u**2]) / u / u
    ),
}


@pytest.mark.parametrize("name", FREE_OF_UNITS)
@pytest.mark.parametrize("scale", [1e-148, 1e-7, 1e148])
def test_units_of_the_features_do_not_matter(name, scale):
    function = FREE_OF_UNITS[name]
    expected = function(*made(1.0), 1.0)
    np.testing.assert_allclose(function(*made(scale), scale), expected, rtol=1e-9, atol=1e-12)


# Name -> risks in units of the target's square.
IN_SQUARES = {
    "sweep": lambda u: swept(*(lambda X, S, y, Y: (X, S, y * u))(*made(1.0))),
    "pair": lambda u: (
        GaussianPair.from_features(*(lambda X, S, y, Y: (X, S, y * u))(*made(1.0)), 0.1).rho_w
    ),
    "geometry": lambda u: (
        Geometry.from_features(*(lambda X, S, y, Y: (X, S, y * u))(*made(1.0)), 0.1).rho_s
    ),
    "exact": lambda u: exact.expected_risks(small_pair(u), 20, 30).student,
    "ridge": lambda u: ridge.expected_risks(flat_pair(u), 20, 30, 0.1, 0.1).student,
    "bounds": lambda u: bounds.paper_risks(small_pair(u), 20, 30).student,
    "wishart": lambda u: simulation.simulate(small_pair(u), 20, 30, 3, 0).student,
    "direct": lambda u: simulation.simulate(small_pair(u), 20, 30, 3, 0, "direct").ceiling,
    "few samples": lambda u: simulation.simulate(small_pair(u), 3, 4, 3, 0).baseline,
    "drawn ridge": lambda u: (
        simulation.simulate_ridge(flat_pair(u), 20, 30, 3, 0, 0.1, 0.1).student
    ),
    "two models": lambda u: simulation.simulate_teacher_student(small_pair(u), 20, 30, 3, 0)[1],
}


def small_pair(unit):
    plain = GaussianPair.paper(3, 0.1, d_w=6, d_s=5)
    return GaussianPair(
        plain.weak_basis, plain.strong_basis, plain.target * unit, plain.noise_variance * unit**2
    )


def flat_pair(unit):
    return small_pair(unit).along(np.ones(6), np.ones(5))


@pytest.mark.parametrize("name", IN_SQUARES)
@pytest.mark.parametrize("unit", [1e-147, 1e148])
def test_risks_are_in_squared_units_of_the_target(name, unit):
    drawn, expected = IN_SQUARES[name](unit), IN_SQUARES[name](1.0)
    np.testing.assert_allclose(drawn / unit / unit, expected, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-147, 1e148])
def test_where_models_win_and_metrics_are_free_of_units(unit):
    for opponent in ("weak", "baseline", "ceiling"):
        ours, theirs = (phases.winning_N(small_pair(u), [20, 90], opponent) for u in (unit, 1.0))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    ours, theirs = (phases.opr_optimal_n(small_pair(u), 30) for u in (unit, 1.0))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    risks, scaled = (
        Risks(*(np.random.default_rng(5).uniform(1, 2, (4, 9)) * [[4], [2], [3], [1]] * u))
        for u in (1.0, unit)
    )
    for statistic in (metrics.pgr, metrics.opr):
        ours, theirs = statistic(scaled), statistic(risks)
        assert ours.value == pytest.approx(theirs.value, rel=1e-12)
        assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-9)
    assert len(str(metrics.mean(scaled.weak))) < 30
    slope = metrics.power_law([1, 2, 3], [[u * unit for u in (x, 1.1 * x)] for x in (1, 2, 3)])
    assert slope.value == pytest.approx(1)


HUGE, TINY = np.full((9, 2), 1e200), np.full((9, 2), 1e-200)


@pytest.mark.parametrize("bad", [HUGE, TINY, np.zeros((0, 2)), np.zeros((9, 0))])
@pytest.mark.parametrize(
    "function",
    [
        lambda Z: fit_ridge(Z, np.ones(len(Z))),
        lambda Z: fit_ridge(np.ones((len(Z), 1)), Z),
        lambda Z: swept(Z, Z, np.ones(len(Z))),
        lambda Z: fit_softmax(Z, np.ones((len(Z), 2)) / 2, 1.0),
        lambda Z: class_probabilities(Z, np.ones((2, 2))),
        measure.spectrum,
        measure.intrinsic_dimension,
        lambda Z: measure.leading_directions(Z, 1),
        lambda Z: measure.top_eigenspace(Z, 1),
        lambda Z: measure.correlation_dimension(Z, np.ones((9, 1))),
        measure.leverage_excess,
        lambda Z: measure.noise_inflation(np.arange(9.0)[:, None], Z),
        lambda Z: measure.rotation_sketch(Z, Z, np.random.default_rng(0)),
        inputs.resampled,
        lambda Z: GaussianPair.from_features(Z, Z, np.ones(len(Z)), 0.1),
        lambda Z: subspaces.overlap(Z, Z),
        lambda Z: subspaces.canonical_angles(Z, Z),
        lambda Z: metrics.mean(Z.ravel()),
    ],
)
def test_what_squares_cannot_hold_is_refused(function, bad):
    with pytest.raises(ValueError, match=r"choose other units|must not be empty"):
        function(bad)


# --- Dimensions -----------------------------------------------------------------------------------


def exact_correlations(W, S):
    """Sum of squared canonical correlations of two spans, on fractions."""
    ww, ws, ss = (fractions(a).T @ fractions(b) for a, b in ((W, W), (W, S), (S, S)))
    return float(np.trace(solve(ww, ws) @ solve(ss, ws.T)))


@pytest.mark.parametrize(("condition", "accuracy"), [(1.0, 1e-14), (1e3, 1e-12), (1e5, 1e-9)])
def test_correlations_of_ill_conditioned_features_against_fractions(condition, accuracy):
    rng = np.random.default_rng(6)
    common = rng.standard_normal((60, 1))
    W, S = (
        np.column_stack([common, rng.standard_normal((60, 2))]) @ conditioned(3, 3, condition, rng)
        for _ in range(2)
    )
    expected = exact_correlations(W, S)
    assert measure.correlation_dimension(W, S, 1.0).plug_in == pytest.approx(expected, rel=accuracy)
    pair = GaussianPair.from_features(W, S, W.sum(axis=1), 0.1)
    assert pair.d_sw == pytest.approx(expected, rel=accuracy)
    assert pair.rho_w < 1e-24 * np.sum(W**2)


@pytest.mark.parametrize("condition", [1e4, 1e8])
def test_leverage_and_errors_of_ill_conditioned_features_against_fractions(condition):
    """An approximation error and leverages move by condition times eps, as their subspace does."""
    rng = np.random.default_rng(7)
    X, f = conditioned(40, 3, condition, rng), rng.standard_normal(40)
    hat = np.diag(fractions(X) @ solve(fractions(X).T @ fractions(X), fractions(X).T))
    leverage = 40 * floats(hat)
    accuracy = 50 * EPS * condition
    expected = leverage.var() / leverage.mean() - 2
    assert measure.leverage_excess(X) == pytest.approx(expected, rel=accuracy)
    rest = fractions(f)[:, None] - fractions(X) @ exact_fit(X, f)
    rho = float((rest.T @ rest)[0, 0]) / 40
    pair = GaussianPair.from_features(X, rng.standard_normal((40, 2)), f, 0.1)
    assert pair.rho_w == pytest.approx(rho, rel=accuracy)


@pytest.mark.parametrize("make", ["duplicate", "constant twice", "1e12"])
def test_rank_deficient_features_are_refused_where_a_subspace_needs_them(make):
    rng = np.random.default_rng(8)
    X = rng.standard_normal((60, 3))
    deficient = {
        "duplicate": np.column_stack([X, X[:, 0]]),
        "constant twice": np.column_stack([X, np.ones(60), np.full(60, 3.0)]),
        "1e12": conditioned(60, 4, 1e12, rng),
    }[make]
    for function in (GaussianPair.from_features, Geometry.from_features):
        with pytest.raises(ValueError, match=r"keep their top eigenspace with measure.top_eigen"):
            function(deficient, X, X[:, 0], 0.1)
    if make != "1e12":  # which leaves four digits
        for function in (measure.leverage_excess, inputs.resampled):
            with pytest.raises(ValueError, match="linearly independent columns"):
                function(deficient)
    kept = measure.top_eigenspace(deficient, 2)
    assert GaussianPair.from_features(kept, X, X[:, 0], 0.1).d_w == 2


def test_spectrum_is_right_to_rounding_of_its_largest_value():
    rng = np.random.default_rng(9)
    X = conditioned(50, 4, 1e12, rng)
    expected = np.geomspace(1, 1e-12, 4) ** 2 / 50
    assert np.abs(measure.spectrum(X) - expected).max() < 10 * EPS * expected[0]
    assert measure.intrinsic_dimension(X, 1.0) == 2  # 1e-16 of the trace is rounding noise


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-150, 1e150), st.floats(1e-9, 1e9))
def test_smallest_sizes_of_the_exact_theory_against_fractions(noise, target):
    """n = d_w + 2 and N = d_s + 2, the smallest for which there is a mean."""
    identity = np.eye(6)
    pair = GaussianPair(identity[:, :3], identity[:, 2:4], np.full(6, target), noise)
    terms = exact.student_terms(pair, 5, 4)
    f, sigma2 = Fraction(float(target)) ** 2, Fraction(float(noise))
    v, k = (sigma2 + 3 * f) / 1, Fraction(2)  # over n - d_w - 1 = 1, N - d_s - 1 = 1
    for name, expected in {
        "inherited": v * 1,
        "reduced": v * k * 2,
        "missed": f,
        "leaked": k * 2 * f,
        "unseen": 4 * f,
    }.items():
        assert float(getattr(terms, name)) == pytest.approx(float(expected), rel=1e-14)


def test_tiny_and_right_angles():
    """Both ends at once, to rounding, which is more than SciPy's own function achieves."""
    angles = np.array([1e-9, 0.3, np.pi / 2 - 1e-9])
    A, B = subspaces.pair_with_angles(9, angles, 4, 3, np.random.default_rng(10))
    for found in (subspaces.canonical_angles(A, B), subspaces.canonical_angles(B, A)):
        assert np.abs(found - angles).max() < 1e-14
