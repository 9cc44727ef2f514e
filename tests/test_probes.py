import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_utils.probes import fit_ridge


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
