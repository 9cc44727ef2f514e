import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.known import gaussian_task, noisy
from w2s_utils import _gram, probes
from w2s_utils._ridge_path import RIDGES
from w2s_utils.metrics import MODELS, mean
from w2s_utils.probes import fit_ridge, fit_tuned, probe_sweep, risks_at, sweep_teachers
from w2s_utils.splits import Splits
from w2s_utils.subspaces import random_basis
from w2s_utils.theory.exact import expected_risks


@given(st.integers(1, 12), st.integers(1, 12), st.floats(1e-6, 1e3), st.integers(0, 2**32 - 1))
def test_ridge_against_the_normal_equations(rows, columns, ridge, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((rows, columns)), rng.standard_normal((rows, 3))
    naive = np.linalg.solve(X.T @ X + rows * ridge * np.eye(columns), X.T @ y)
    np.testing.assert_allclose(fit_ridge(X, y, ridge), naive, rtol=1e-5, atol=1e-7)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_ridgeless_is_the_solution_of_least_norm(rows, columns, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((rows, columns)), rng.standard_normal(rows)
    np.testing.assert_allclose(fit_ridge(X, y), np.linalg.pinv(X) @ y, rtol=1e-5, atol=1e-7)


def test_ridgeless_is_the_limit_of_ridge_on_deficient_features():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.standard_normal((20, 3)), 2, axis=1)
    X = np.column_stack([X, np.zeros(20)])
    y = rng.standard_normal(20)
    ridgeless = fit_ridge(X, y)
    errors = [np.abs(fit_ridge(X, y, ridge) - ridgeless).max() for ridge in (1e-3, 1e-5)]
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.01)  # first order in the ridge


@pytest.mark.parametrize("rows", [8, 40])
def test_gradient_descent_from_zero_ends_at_the_ridgeless_fit(rows):
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((rows, 16)), rng.standard_normal(rows)
    weights, step = np.zeros(16), 1 / np.linalg.norm(X, 2) ** 2
    for _ in range(20_000):
        weights -= step * X.T @ (X @ weights - y)
    np.testing.assert_allclose(weights, fit_ridge(X, y), atol=1e-8)


def test_predictions_ignore_an_invertible_map_of_the_features():
    """Holds for ridgeless fits with at least d samples, and for neither ridge nor fewer samples."""
    rng = np.random.default_rng(1)
    X, y, fresh = rng.standard_normal((50, 6)), rng.standard_normal(50), rng.standard_normal((9, 6))
    T = rng.standard_normal((6, 6))
    rotation = np.linalg.qr(T)[0]

    def change(rows, T, ridge=0.0):
        """Largest change of a prediction when the features X become X T."""
        plain = fresh @ fit_ridge(X[:rows], y[:rows], ridge)
        return np.abs(plain - fresh @ T @ fit_ridge(X[:rows] @ T, y[:rows], ridge)).max()

    assert change(50, T) < 1e-9
    assert change(6, T) < 1e-9
    assert change(5, T) > 0.1
    assert change(50, T, ridge=0.5) > 0.01
    assert change(5, rotation) < 1e-9
    assert change(50, rotation, ridge=0.5) < 1e-9


def test_accuracy_on_ill_conditioned_features():
    """With condition number 1e7 the normal equations would lose all digits."""
    rng = np.random.default_rng(2)
    X = np.linalg.qr(rng.standard_normal((200, 8)))[0] * np.logspace(0, -7, 8)
    w = rng.standard_normal(8)
    np.testing.assert_allclose(fit_ridge(X, X @ w), w, rtol=1e-7)


def test_columns_of_labels_are_independent_fits():
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((30, 4)), rng.standard_normal((30, 3))
    together = fit_ridge(X, Y, 0.1)
    apart = np.column_stack([fit_ridge(X, y, 0.1) for y in Y.T])
    np.testing.assert_allclose(together, apart)


def test_float16_and_integer_inputs_are_solved_in_float64():
    X = np.array([[1, 0], [0, 1], [1, 1]])
    weights = fit_ridge(X.astype(np.float16), [1, 2, 3])
    assert weights.dtype == np.float64
    np.testing.assert_allclose(weights, [1, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0, 2.0]), "X must have 2 dimension"),
        (([[1.0], [2.0]], [1.0]), "X has 2, y has 1"),
        (([[1.0], [np.nan]], [1.0, 2.0]), "X must be finite, got 1"),
        (([[1.0]], [1.0], -1.0), "ridge must be finite and >= 0"),
        (([[1.0]], [1.0], np.inf), "ridge must be finite and >= 0"),
        (([[1.0]], ["a"]), "y must hold real numbers"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_ridge(*arguments)


def ill_conditioned(rows, columns, condition, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns)) * np.geomspace(1, 1 / condition, columns)
    return X @ random_basis(columns, columns, rng)


def score(X, y, ridge):
    """Generalized cross-validation with the hat matrix written out."""
    rows, centred = len(X), X - X.mean(axis=0)
    penalty = rows * ridge * np.eye(X.shape[1])
    hat = centred @ np.linalg.solve(centred.T @ centred + penalty, centred.T) + 1 / rows
    return np.mean((y - hat @ y) ** 2) / (1 - np.trace(hat) / rows) ** 2


@given(st.integers(3, 30), st.integers(1, 12), st.floats(0, 3), st.integers(0, 2**32 - 1))
def test_the_tuned_fit_against_refitting_at_every_ridge(rows, columns, noise, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns)) * np.geomspace(1, 0.1, columns) + 3
    y = X @ rng.standard_normal(columns) + (noise + 0.1) * rng.standard_normal(rows) + 1
    fit, centred = fit_tuned(X, y), X - X.mean(axis=0)
    path = RIDGES * centred.var(axis=0).sum()
    least = min(score(X, y, ridge) for ridge in path)
    # Interpolating fits tie, and their hat matrix loses digits as it is written out.
    assert score(X, y, fit.ridge) <= least * 1.01
    weights = fit_ridge(centred, y - y.mean(), float(fit.ridge))
    np.testing.assert_allclose(fit.weights, weights, rtol=1e-4, atol=1e-6)
    assert fit.intercept == pytest.approx(y.mean() - X.mean(axis=0) @ weights, rel=1e-4, abs=1e-5)


def test_the_tuned_fit_ignores_rotations_shifts_scales_and_the_other_columns():
    _, X, _, f = gaussian_task(rows=60)
    rng = np.random.default_rng(2)
    Y = np.column_stack([f + rng.standard_normal(60), rng.standard_normal(60)])
    fit, T = fit_tuned(X, Y), random_basis(8, 8, rng)
    plain = X @ fit.weights + fit.intercept
    other = fit_tuned(7 + 1e3 * X @ T, 5 - Y)
    np.testing.assert_allclose((7 + 1e3 * X @ T) @ other.weights + other.intercept, 5 - plain)
    alone = fit_tuned(X, Y[:, 1])
    np.testing.assert_allclose(alone.weights, fit.weights[:, 1])
    assert alone.intercept.shape == alone.ridge.shape == ()


def test_the_tuned_fit_knows_signal_from_noise():
    """Without noise it takes the least ridge; of labels that are noise it keeps little."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((200, 20))
    assert fit_tuned(X, X @ rng.standard_normal(20)).ridge < 1e-7 * X.shape[1]
    noise = rng.standard_normal(200)
    kept = np.std(X @ fit_tuned(X, noise).weights)
    assert kept < 0.6 * np.std(X @ fit_ridge(X, noise))


def test_degenerate_tuned_fits():
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((9, 30)), rng.standard_normal(9)
    deficient = np.column_stack([X, X[:, 0], np.ones(9), np.zeros(9)])
    for features in (X, deficient, X[:, :1]):
        assert np.isfinite(fit_tuned(features, y).weights).all()
    constant = fit_tuned(X, np.full(9, 2.5))
    np.testing.assert_allclose(constant.weights, 0, atol=1e-12)
    assert constant.intercept == pytest.approx(2.5)
    with pytest.raises(ValueError, match="At least 3 rows are needed to choose a ridge, got 2"):
        fit_tuned(X[:2], y[:2])


def test_a_tuned_sweep_against_tuning_every_model():
    _, W, S, f = gaussian_task(rows=300)
    draw, splits = noisy(f, 0.5), Splits(2, 50, 6)
    grid = [(60, 120), (5, 40), (60, 6)]
    frame = probe_sweep(W + 2, S - 1, {1: draw}, f, grid, splits, ridge="tuned")
    for trial, (test, pool, rng) in enumerate(splits.of(300)):
        y = draw(rng)
        for n, N in grid:
            labelled, unlabelled = pool[:n], pool[-N:]
            every = np.concatenate([labelled, unlabelled])
            teacher = fit_tuned(W[labelled], y[labelled])
            pseudo_labels = W[unlabelled] @ teacher.weights + teacher.intercept
            fits = {
                "weak": (W, teacher),
                "student": (S, fit_tuned(S[unlabelled], pseudo_labels)),
                "baseline": (S, fit_tuned(S[labelled], y[labelled])),
                "ceiling": (S, fit_tuned(S[every], y[every])),
            }
            for model, (X, fit) in fits.items():
                error = np.mean((X[test] @ fit.weights + fit.intercept - f[test]) ** 2)
                assert risks_at(frame, n, N)[model][trial] == pytest.approx(error, rel=1e-5)


def naive_sweep(W, S, labels, f, grid, splits, ridge):
    """Refit every model at every point, as the definition has it."""
    records = []
    for trial, child in enumerate(np.random.SeedSequence(splits.seed).spawn(splits.trials)):
        rng = np.random.default_rng(child)
        order = rng.permutation(len(f))
        drawn = {level: draw(rng) for level, draw in labels.items()}
        test, pool = order[: splits.test_size], order[splits.test_size :]
        for n, N in grid:
            labelled, unlabelled = pool[:n], pool[-N:]
            every = np.concatenate([labelled, unlabelled])
            for level, y in drawn.items():
                teacher = fit_ridge(W[labelled], y[labelled], ridge)
                pseudo_labels = W[unlabelled] @ teacher
                predictions = {
                    "weak": W[test] @ teacher,
                    "student": S[test] @ fit_ridge(S[unlabelled], pseudo_labels, ridge),
                    "baseline": S[test] @ fit_ridge(S[labelled], y[labelled], ridge),
                    "ceiling": S[test] @ fit_ridge(S[every], y[every], ridge),
                }
                errors = {m: np.mean((p - f[test]) ** 2) for m, p in predictions.items()}
                records.append({"n": n, "N": N, "trial": trial, "level": level, **errors})
    return pd.DataFrame(records)


# Both sides of d_w = 40 and d_s = 50, points in no order, one twice.
GRID = [(200, 300), (30, 300), (45, 300), (60, 20), (60, 45), (200, 45), (30, 15), (200, 300)]


@pytest.mark.parametrize("ridge", [0, 1e-6, 1e-2])
@pytest.mark.parametrize("condition", [1, 1e3, 1e5, 1e10])
def test_sweep_against_refitting_every_model(condition, ridge):
    W, S = ill_conditioned(700, 40, condition, 1), ill_conditioned(700, 50, condition, 2)
    rng = np.random.default_rng(3)
    f = W @ rng.standard_normal(40) + S @ rng.standard_normal(50) + rng.standard_normal(700)
    labels = {"few": noisy(f, 2.0), "many": noisy(f, 0.1), "all": lambda rng: f}
    settings = {"splits": Splits(2, 150, 4), "ridge": ridge}
    fast = probe_sweep(W, S, labels, f, GRID, **settings)
    naive = naive_sweep(W, S, labels, f, GRID, **settings)
    pd.testing.assert_frame_equal(fast, naive, rtol=1e-6)


def test_teachers_swept_together_and_one_by_one():
    _, W, S, f = gaussian_task(rows=300)
    teachers = {"narrow": W[:, :5], "deficient": np.column_stack([W, W[:, 0]]), "wide": W}
    labels = {1: noisy(f, 0.5), 2: noisy(f, 0.1)}
    arguments = (labels, f, [(60, 120), (5, 40), (20, 6)])
    settings = {"splits": Splits(2, 50, 6)}
    together = sweep_teachers(teachers, S, *arguments, **settings)
    for name, weak in teachers.items():
        alone = probe_sweep(weak, S, *arguments, **settings)
        pd.testing.assert_frame_equal(together[name], alone, rtol=1e-9)
    with pytest.raises(ValueError, match="weak short has 7"):
        sweep_teachers({"short": W[:7]}, S, *arguments, **settings)


def test_sweep_of_deficient_features():
    """A repeated and an empty column: the normal equations have no solution of their own."""
    _, W, S, f = gaussian_task(rows=300)
    W = np.column_stack([W, W[:, 0], np.zeros(300)])
    S = np.column_stack([S, S[:, 1], np.zeros(300)])
    settings = {"splits": Splits(1, 50, 5), "ridge": 0}
    labels, grid = {1: noisy(f, 0.5)}, [(100, 120), (5, 6)]
    fast = probe_sweep(W, S, labels, f, grid, **settings)
    naive = naive_sweep(W, S, labels, f, grid, **settings)
    pd.testing.assert_frame_equal(fast, naive, rtol=1e-6)


def test_normal_equations_are_needed_and_their_limit_too(monkeypatch):
    """Well-conditioned fits never reach `fit_ridge`; without the limit, others would be wrong."""
    _, W, S, f = gaussian_task(rows=300)
    arguments = ({1: noisy(f, 0.5)}, f, [(100, 120), (5, 4)])
    settings = {"splits": Splits(1, 50, 6)}
    with monkeypatch.context() as patch:
        patch.setattr(probes, "fit_ridge", None)
        probe_sweep(W, S, *arguments, **settings)
    steep = ill_conditioned(300, 8, 1e7, 7)
    right = probe_sweep(steep, S, *arguments, **settings)
    monkeypatch.setattr(_gram, "MAX_GRAM_CONDITION", np.inf)
    wrong = probe_sweep(steep, S, *arguments, **settings)
    assert np.abs(wrong["weak"] / right["weak"] - 1).max() > 1e-6


@pytest.mark.parametrize("ridge", [0, 1e-3])
def test_sweep_ignores_rotations_and_orders_of_the_columns(ridge):
    _, W, S, f = gaussian_task(rows=300)
    rng = np.random.default_rng(8)
    arguments = ({1: noisy(f, 0.5)}, f, [(5, 40), (60, 40), (60, 120)])
    settings = {"splits": Splits(2, 50, 9), "ridge": ridge}
    one = probe_sweep(W, S, *arguments, **settings)
    two = probe_sweep(W @ random_basis(8, 8, rng), S[:, ::-1], *arguments, **settings)
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)


def test_ridgeless_sweep_ignores_invertible_maps_of_the_features():
    _, W, S, f = gaussian_task(rows=300)
    rng = np.random.default_rng(10)
    arguments = ({1: noisy(f, 0.5)}, f, [(60, 40), (60, 120)])
    settings = {"splits": Splits(1, 50, 11)}
    one = probe_sweep(W, S, *arguments, **settings)
    two = probe_sweep(W @ rng.standard_normal((8, 8)), 1e6 * S, *arguments, **settings)
    pd.testing.assert_frame_equal(one, two, rtol=1e-7)


def test_mean_errors_match_the_exact_risks():
    """Each trial has a pool of its own: trials that share one share its approximation errors."""
    grid, frames = [(20, 40), (60, 40)], []
    for seed in range(300):
        pair, W, S, f = gaussian_task(rows=300, seed=seed)
        labels = {1: noisy(f, 0.5)}
        frame = probe_sweep(W, S, labels, f, grid, splits=Splits(1, 200, seed))
        frames.append(frame.assign(trial=seed))
    for n, N in grid:
        measured, expected = risks_at(pd.concat(frames), n, N), expected_risks(pair, n, N)
        for model in MODELS:
            assert abs(mean(measured[model]).z_score(expected[model])) < 4


def test_labels_of_the_unlabelled_set_reach_the_ceiling_only():
    _, W, S, f = gaussian_task(rows=200)
    order = np.random.default_rng(np.random.SeedSequence(3).spawn(1)[0]).permutation(200)
    spoiled = np.where(np.isin(np.arange(200), order[-60:]), 1e6, f)
    labels = {"clean": lambda rng: f, "spoiled": lambda rng: spoiled}
    frame = probe_sweep(W, S, labels, f, [(40, 60)], splits=Splits(1, 50, 3))
    clean, dirty = (risks_at(frame, 40, 60, level) for level in labels)
    for model in ("weak", "student", "baseline"):
        assert clean[model] == dirty[model]
    assert dirty.ceiling > 1e6


def test_a_seed_fixes_the_result_and_points_do_not_disturb_one_another():
    _, W, S, f = gaussian_task(rows=300)
    settings = {"splits": Splits(2, 50, 4)}
    one = probe_sweep(W, S, {1: noisy(f, 0.5)}, f, [(30, 40)], **settings)
    two = probe_sweep(W, S, {1: noisy(f, 0.5)}, f, [(50, 90), (30, 40)], **settings)
    np.testing.assert_allclose(
        risks_at(one, 30, 40).student, risks_at(two, 30, 40).student, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"grid": [(30, 40)]}, r"got 50 \+ 30 \+ 40 = 120"),
        ({"grid": []}, "at least one point"),
        ({"labels": {}}, "at least one level"),
        ({"grid": [(0, 10)]}, "n and N must exceed zero, got 0"),
        ({"grid": [(10.5, 10)]}, "whole numbers"),
        ({"splits": Splits(1, 71, 0)}, r"got 71 \+ 10 \+ 20 = 101"),
        ({"grid": [(10,)]}, r"grid must hold points \(n, N\), got \[\(10,\)\]"),
        ({"ridge": -1.0}, "ridge must be finite and >= 0"),
        ({"strong": np.ones((99, 2))}, "strong has 99"),
        ({"weak": np.full((100, 2), np.nan)}, "weak must be finite, got 200"),
        ({"labels": {"one": lambda rng: np.ones(99)}}, "labels of level 'one' has 99"),
        ({"labels": {"one": lambda rng: np.full(100, np.inf)}}, "level 'one' must be finite"),
    ],
)
def test_bad_sweeps_are_refused(changed, message):
    _, W, S, f = gaussian_task(rows=100)
    good = {"weak": W, "strong": S, "labels": {1: noisy(f, 1)}, "target": f, "grid": [(10, 20)]}
    with pytest.raises(ValueError, match=message):
        probe_sweep(**{**good, "splits": Splits(1, 50, 0), **changed})


def test_points_and_levels_that_are_not_there_are_refused():
    _, W, S, f = gaussian_task(rows=100)
    labels = {"few": noisy(f, 1), "many": noisy(f, 0.1)}
    frame = probe_sweep(W, S, labels, f, [(10, 20)], splits=Splits(2, 50, 0))
    with pytest.raises(ValueError, match="no point n = 11, N = 20"):
        risks_at(frame, 11, 20, "few")
    with pytest.raises(ValueError, match=r"level must be one of \['few', 'many'\], got None"):
        risks_at(frame, 10, 20)


def test_no_teacher_is_refused():
    _, _, S, f = gaussian_task(rows=100)
    with pytest.raises(ValueError, match="teachers must hold at least one"):
        sweep_teachers({}, S, {1: noisy(f, 1)}, f, [(10, 20)], splits=Splits(1, 50, 0))
