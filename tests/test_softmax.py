import numpy as np
import pytest
from scipy.optimize import brentq, check_grad, minimize
from scipy.special import expit, log_softmax, softmax

from w2s_utils import softmax as probes
from w2s_utils.metrics import MODELS
from w2s_utils.probes import risks_at
from w2s_utils.softmax import class_probabilities, fit_logistic, fit_softmax, softmax_sweep
from w2s_utils.splits import Splits


def problem(seed, n=40, d=3, K=3):
    """Features, and soft labels that no probe reproduces."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.dirichlet(np.ones(K), n)


def naive_loss(flat, X, Y, ridge):
    W = flat.reshape(X.shape[1], -1)
    return -np.mean(np.sum(Y * log_softmax(X @ W, axis=1), axis=1)) + ridge * np.sum(W**2)


def naive_gradient(flat, X, Y, ridge):
    W = flat.reshape(X.shape[1], -1)
    return (X.T @ (softmax(X @ W, axis=1) - Y) / len(X) + 2 * ridge * W).ravel()


@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_against_a_general_minimiser_in_all_weights(K, ridge):
    X, Y = problem(K, K=K)
    start = np.zeros(X.shape[1] * K)
    naive = minimize(
        naive_loss, start, (X, Y, ridge), jac=naive_gradient, method="BFGS", options={"gtol": 1e-9}
    ).x.reshape(-1, K)
    W = fit_softmax(X, Y, ridge)
    np.testing.assert_allclose(W, naive, atol=1e-6)
    np.testing.assert_allclose(W.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_gradient_is_that_of_the_loss_and_vanishes_at_the_fit(seed):
    X, Y = problem(seed)
    point = np.random.default_rng(seed).standard_normal(X.shape[1] * Y.shape[1])
    assert check_grad(naive_loss, naive_gradient, point, X, Y, 0.1) < 1e-6
    assert np.abs(naive_gradient(fit_softmax(X, Y, 0.1).ravel(), X, Y, 0.1)).max() < 1e-7
    assert np.abs(naive_gradient(point, X, Y, 0.1)).max() > 1e-2


@pytest.mark.parametrize("K", [2, 4])
def test_hessian_is_the_derivative_of_the_gradient(K):
    X, Y = problem(1, K=K)
    Q = np.linalg.qr(np.eye(K)[:, 1:] - 1 / K)[0]
    V = np.random.default_rng(2).standard_normal((X.shape[1], K - 1))

    def gradient(flat):
        W = flat.reshape(V.shape) @ Q.T
        return (naive_gradient(W.ravel(), X, Y, 0.1).reshape(W.shape) @ Q).ravel()

    H = probes._hessian(X, softmax(X @ V @ Q.T, axis=1), Q, np.full(X.shape[1], 0.1))
    step = 1e-5 * np.eye(V.size)
    differences = [gradient(V.ravel() + e) - gradient(V.ravel() - e) for e in step]
    np.testing.assert_allclose(H, np.array(differences) / 2e-5, atol=1e-8)


def test_two_classes_are_the_logistic_regression():
    """By the slow way: plain gradient descent on the one logit."""
    X, Y = problem(3, K=2)
    w, ridge = np.zeros(X.shape[1]), 0.05
    for _ in range(3000):  # weights (-w/2, w/2) have the norm |w|^2 / 2
        w -= 0.5 * (X.T @ (expit(X @ w) - Y[:, 1]) / len(X) + ridge * w)
    np.testing.assert_allclose(
        class_probabilities(X, fit_softmax(X, Y, ridge))[:, 1], expit(X @ w), atol=1e-9
    )


def test_a_probe_of_the_right_form_is_recovered_from_soft_labels():
    """The student of a teacher with the same features is its teacher."""
    X, _ = problem(4, n=200)
    W = np.random.default_rng(5).standard_normal((3, 3))
    W -= W.mean(axis=1, keepdims=True)
    student = fit_softmax(X, class_probabilities(X, W), 1e-10)
    np.testing.assert_allclose(student, W, atol=1e-6)


@pytest.mark.parametrize(("scale", "ridge"), [(1.0, 1e-10), (1.0, 1e-2), (1e3, 1e-10), (1e3, 1e-2)])
def test_separable_data_have_a_finite_fit(scale, ridge):
    x = scale * np.array([[-2.0], [-1.0], [1.0], [2.0]])
    Y = np.eye(2)[[0, 0, 1, 1]]
    W = fit_softmax(x, Y, ridge)
    assert np.isfinite(W).all()
    assert np.abs(naive_gradient(W.ravel(), x, Y, ridge)).max() < 1e-6 * scale
    assert (class_probabilities(x, W).argmax(axis=1) == [0, 0, 1, 1]).all()


@pytest.mark.parametrize("scale", [1e-130, 1.0, 1e150])
@pytest.mark.parametrize("ridge", [1e-20, 1e-16, 1e-6, 1.0, 1e6])
def test_separable_data_against_the_root_of_their_equation(scale, ridge):
    """W = (-w, w)/scale from x = -scale and scale, where 1/(1 + exp 2w) = 2 ridge w."""
    x = scale * np.array([[-1.0], [1.0]])
    w = brentq(lambda w: expit(-2 * w) - 2 * ridge * w, 0, 90, xtol=1e-300, rtol=1e-15)
    W = fit_softmax(x, np.eye(2), ridge * scale**2)
    np.testing.assert_allclose(W * scale, [[-w, w]], rtol=1e-7)


@pytest.mark.parametrize(("scale", "ridge"), [(1.0, 1e-31), (1e8, 1e-200), (1e150, 1.0)])
def test_a_minimiser_that_rounding_hides_is_refused(scale, ridge):
    with pytest.raises(ValueError, match="or separates the classes: raise the ridge"):
        fit_softmax(scale * np.array([[-1.0], [1.0]]), np.eye(2), ridge)


def test_smaller_ridge_means_larger_weights_on_separable_data():
    x, Y = np.array([[-1.0], [1.0]]), np.eye(2)
    norms = [np.linalg.norm(fit_softmax(x, Y, ridge)) for ridge in (1e-2, 1e-4, 1e-6)]
    assert norms[0] < norms[1] < norms[2]


def test_names_of_the_classes_do_not_matter():
    X, Y = problem(6, K=4)
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(
        fit_softmax(X, Y[:, order], 1e-3), fit_softmax(X, Y, 1e-3)[:, order], atol=1e-7
    )


def test_rotated_features_give_the_same_answers():
    X, Y = problem(7)
    R = np.linalg.qr(np.random.default_rng(8).standard_normal((3, 3)))[0]
    np.testing.assert_allclose(
        class_probabilities(X @ R, fit_softmax(X @ R, Y, 1e-3)),
        class_probabilities(X, fit_softmax(X, Y, 1e-3)),
        atol=1e-7,
    )


def test_more_features_than_inputs():
    X, Y = problem(9, n=5, d=12)
    W = fit_softmax(X, Y, 1e-2)
    assert np.abs(naive_gradient(W.ravel(), X, Y, 1e-2)).max() < 1e-7


def test_hopeless_conditioning_is_said():
    X = 1e9 * np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match="X is too ill-conditioned for so small a ridge"):
        fit_softmax(X, np.eye(2)[[0, 1, 1]], 1e-10)


@pytest.mark.parametrize("K", [2, 4])
def test_the_gradient_of_a_fit_with_an_intercept_vanishes(K):
    """Its own entry has no penalty: the mean probabilities are those of the labels."""
    X, Y = problem(11, K=K)
    W = fit_softmax(X, Y, 0.1, intercept=True)
    assert W.shape == (X.shape[1] + 1, K)
    np.testing.assert_allclose(W.sum(axis=1), 0, atol=1e-12)
    P = class_probabilities(X, W)
    np.testing.assert_allclose(P, softmax(X @ W[:-1] + W[-1], axis=1), rtol=1e-12)
    np.testing.assert_allclose(P.mean(axis=0), Y.mean(axis=0), atol=1e-9)
    assert np.abs(X.T @ (P - Y) / len(X) + 0.2 * W[:-1]).max() < 1e-9


def test_with_an_intercept_a_shift_of_the_features_changes_no_probability():
    X, Y = problem(12)
    shift = np.array([100.0, 0.0, -3.0])
    one, two = (
        class_probabilities(Z, fit_softmax(Z, Y, 0.1, intercept=True)) for Z in (X, X + shift)
    )
    np.testing.assert_allclose(two, one, atol=1e-8)
    plain = [class_probabilities(Z, fit_softmax(Z, Y, 0.1)) for Z in (X, X + shift)]
    assert np.abs(plain[1] - plain[0]).max() > 0.01


def test_an_intercept_is_a_very_long_constant_column():
    X, Y = problem(13)
    W = fit_softmax(X, Y, 0.1, intercept=True)
    long = fit_softmax(np.column_stack([X, np.full(len(X), 1e4)]), Y, 0.1)
    np.testing.assert_allclose(long * [[1], [1], [1], [1e4]], W, atol=1e-6)


def test_a_large_ridge_leaves_the_shares_of_the_classes():
    X, Y = problem(14)
    P = class_probabilities(X, fit_softmax(X, Y, 1e9, intercept=True))
    np.testing.assert_allclose(P, np.tile(Y.mean(axis=0), (len(X), 1)), atol=1e-6)


def test_separable_data_have_a_finite_fit_with_an_intercept():
    x, Y = np.array([[1.0], [2.0], [4.0], [5.0]]), np.eye(2)[[0, 0, 1, 1]]
    W = fit_softmax(x, Y, 1e-6, intercept=True)
    odds = W[:, 1] - W[:, 0]
    assert -odds[1] / odds[0] == pytest.approx(3.0)  # in the middle
    assert (class_probabilities(x, W).argmax(axis=1) == [0, 0, 1, 1]).all()


def test_an_intercept_needs_a_label_of_each_class():
    with pytest.raises(ValueError, match="labels must hold each class for a fit with an intercept"):
        fit_softmax([[1.0], [2.0]], [[0.0, 1.0], [0.0, 1.0]], 0.1, intercept=True)
    assert np.isfinite(fit_softmax([[1.0], [2.0]], [[0.0, 1.0], [0.0, 1.0]], 0.1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], [[0.5, 0.6]], 1.0), "rows, they are off by up to 0.1"),
        (([[1.0]], [[1.5, -0.5]], 1.0), "rows, they are off by up to 0.5"),
        (([[1.0]], [[1.0]], 1.0), "a column a class, at least 2"),
        (([[1.0]], [1.0], 1.0), "labels must have 2 dimension"),
        (([[1.0], [2.0]], [[0.5, 0.5]], 1.0), "X has 2, labels has 1"),
        (([[np.nan]], [[0.5, 0.5]], 1.0), "X must be finite"),
        (([[1.0]], [[0.5, 0.5]], 0.0), "ridge must be finite and > 0"),
        (([[1.0]], [[0.5, 0.5]], np.nan), "ridge must be finite and > 0"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_softmax(*arguments)


def grid(points=((60, 100),), seed=1, **changes):
    rng = np.random.default_rng(10)
    S = rng.standard_normal((200, 4))
    target = class_probabilities(S, np.outer(np.ones(4), [-0.5, 0.5]))

    def draw_labels(rng):
        return np.eye(2)[(rng.random(200) < target[:, 1]).astype(int)]

    inputs = {"weak": S[:, :3], "strong": S, "target": target, "draw_labels": draw_labels}
    settings = {"grid": points, "splits": Splits(3, 40, seed), "ridge": 1e-6}
    return softmax_sweep(**(inputs | settings | changes))


def test_a_trial_of_the_grid_step_by_step():
    frame = grid()
    rng = np.random.default_rng(10)
    S = rng.standard_normal((200, 4))
    p = expit(S.sum(axis=1))
    rng = np.random.default_rng(np.random.SeedSequence(1).spawn(3)[1])
    order = rng.permutation(200)
    y = np.eye(2)[(rng.random(200) < p).astype(int)]
    test, some, others = order[:40], order[40:100], order[100:]
    teacher = fit_softmax(S[some, :3], y[some], 1e-6)
    student = fit_softmax(S[others], class_probabilities(S[others, :3], teacher), 1e-6)
    answer = class_probabilities(S[test], student)[:, 1]
    trial = frame[frame["trial"] == 1].set_index("measure")
    assert trial.loc["mse", "student"] == pytest.approx(np.mean((answer - p[test]) ** 2))
    right = np.where(answer > 0.5, p[test], 1 - p[test])
    assert trial.loc["accuracy", "student"] == pytest.approx(right.mean())


def test_grid_has_a_row_a_point_trial_and_measure_and_repeats_with_its_seed():
    points = [(60, 100), (30, 100)]
    frame = grid(points)
    assert len(frame) == 2 * 3 * 2
    assert list(frame.columns) == ["n", "N", "trial", "measure", *MODELS]
    assert frame.equals(grid(points))
    assert not frame.equals(grid(points, seed=2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": [(100, 61)]}, "exceed the 200 rows, got 40 [+] 100 [+] 61 = 201"),
        ({"target": np.ones((200, 2))}, "target must have probabilities"),
        ({"weak": np.ones((199, 2))}, "weak has 199, strong has 200"),
        ({"grid": []}, "at least one point"),
        ({"splits": Splits(3, 200, 1)}, r"got 200 \+ 60 \+ 100 = 360"),
        ({"draw_labels": lambda rng: np.eye(2)[[0] * 100]}, r"shape \(200, 2\), got \(100, 2\)"),
        ({"draw_labels": lambda rng: np.eye(3)[[0] * 200]}, r"shape \(200, 2\), got \(200, 3\)"),
        ({"draw_labels": lambda rng: np.ones((200, 2))}, "labels must have probabilities"),
    ],
)
def test_bad_grid_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        grid(**changes)


def test_risks_of_two_measures_are_not_mixed():
    frame = grid()
    with pytest.raises(ValueError, match=r"one measure of \['mse', 'accuracy'\]"):
        risks_at(frame, 60, 100)
    assert len(risks_at(frame[frame["measure"] == "mse"], 60, 100).weak) == 3


def test_a_logistic_probe_is_a_softmax_probe_of_two_classes():
    rng = np.random.default_rng(4)
    X, told = rng.standard_normal((60, 3)), np.where(rng.random(60) < 0.5, np.inf, -np.inf)
    told[:20] = rng.standard_normal(20)  # a teacher's answers among labels
    weights, intercept = fit_logistic(X, told, 0.1)
    chance = 1 / (1 + np.exp(-told))
    both = fit_softmax(X, np.column_stack([1 - chance, chance]), 0.1, intercept=True)
    of_1 = class_probabilities(X, both)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-(X @ weights + intercept))), of_1, rtol=1e-9)
    # At the minimum of the mean cross-entropy plus half of the ridge.
    residual = chance - of_1
    np.testing.assert_allclose(X.T @ residual / 60, 0.1 * weights, atol=1e-9)
    assert abs(residual.mean()) < 1e-9
