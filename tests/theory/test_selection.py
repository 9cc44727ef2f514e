import numpy as np
import pytest
from scipy import stats

from tests.theory.test_shift import random_pair
from w2s_utils.metrics import mean
from w2s_utils.pair import ShiftedPair
from w2s_utils.theory import shift
from w2s_utils.theory.selection import most_confident

SHARES = np.array([0.7, 0.3])


def fit(strong_map, moment):
    """What a student makes of a teacher: the matrix Pi."""
    return strong_map @ np.linalg.solve(strong_map.T @ moment @ strong_map, strong_map.T @ moment)


def groups(tells_of_core):
    """Coordinates: two of the core, u, s. s goes with u, and with the core by so much."""
    moments = np.stack([np.eye(4), np.eye(4)])
    for moment, sign in zip(moments, (1, -1), strict=True):
        moment[3, :3] = moment[:3, 3] = sign * np.array([tells_of_core, 0, 0.6])
    return np.eye(4)[:, [0, 1, 3]], moments


@pytest.mark.parametrize("kept", [0.05, 0.2, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_a_gaussian_pool_selected_by_strong_features_gives_the_same_mean_student(seed, kept):
    pair, rng = random_pair(seed), np.random.default_rng(seed)
    M, A = pair.unlabelled, pair.strong_map
    w = A @ rng.standard_normal(pair.d_s)
    sure = most_confident([M], [1.0], w, kept).moment
    c = stats.norm.isf(kept / 2)
    kappa = 1 + 2 * c * stats.norm.pdf(c) / kept
    direction = M @ w
    np.testing.assert_allclose(
        sure, M + (kappa - 1) * np.outer(direction, direction) / (w @ direction), atol=1e-10
    )
    np.testing.assert_allclose(fit(A, sure), fit(A, M), atol=1e-10)
    spread = np.trace(M @ A @ np.linalg.inv(A.T @ sure @ A) @ A.T)
    assert spread == pytest.approx(pair.d_s - 1 + 1 / kappa, rel=1e-10)
    assert kappa * kept < 1  # so fewer rows always cost
    same = ShiftedPair(**vars(pair) | {"unlabelled": sure})
    found, known = (shift.student_terms(p, 20, 15) for p in (same, pair))
    assert found.bias == pytest.approx(known.bias + found.leaked - known.leaked, rel=1e-9)
    by_others = most_confident([M], [1.0], rng.standard_normal(len(M)), kept).moment
    assert np.abs(fit(A, by_others) - fit(A, M)).max() > 1e-3


def test_groups_that_the_strong_features_do_not_tell_apart_stay_as_they_are():
    A, moments = groups(0.0)
    w = A @ np.array([1.0, -2.0, 0.5])
    sure = most_confident(moments, SHARES, w, 0.2)
    np.testing.assert_allclose(sure.shares, SHARES, atol=1e-12)
    pool = np.tensordot(SHARES, moments, axes=1)
    np.testing.assert_allclose(fit(A, sure.moment), fit(A, pool), atol=1e-10)


def test_groups_that_they_tell_apart_change_shares_and_student():
    A, moments = groups(0.6)
    sure = most_confident(moments, SHARES, A @ np.array([1.0, 1.0, 0.5]), 0.2)
    assert sure.shares[0] > 0.8
    pool = np.tensordot(SHARES, moments, axes=1)
    assert np.abs(fit(A, sure.moment) - fit(A, pool)).max() > 0.05
    spread = A @ np.linalg.inv(A.T @ sure.moment @ A) @ A.T
    labelled = moments.mean(axis=0)
    on_labelled = fit(A, labelled)
    np.testing.assert_allclose(
        fit(A, sure.moment),
        on_labelled + spread @ (sure.moment - labelled) @ (np.eye(4) - on_labelled),
        atol=1e-10,
    )


def test_in_a_gaussian_pool_the_second_fit_is_the_first_and_noise():
    """|z| < 4 over 20,000 pools of 24 rows, 8 kept by the first fit's own scores."""
    rng, trials, kept = np.random.default_rng(3), 20_000, 8
    X, beyond = rng.standard_normal((trials, 24, 3)), rng.standard_normal((trials, 24))
    y = X @ [1.0, 0.5, 0.0] + 0.7 * beyond

    def normal(X, y):
        gram = X.transpose(0, 2, 1) @ X
        return np.linalg.inv(gram), np.linalg.solve(gram, X.transpose(0, 2, 1) @ y[..., None])

    spread, first = normal(X, y)
    best = np.argsort(-np.abs(X @ first)[..., 0], axis=1)[:, :kept]
    wider, second = normal(*(np.take_along_axis(of, at, 1) for of, at in (
        (X, best[..., None]), (y, best))))  # fmt: skip
    for added in (second - first)[..., 0].T:
        assert abs(mean(added).z_score(0)) < 4
    size = np.sum((second - first)[..., 0] ** 2, axis=1)
    known = 0.49 * np.trace(wider - spread, axis1=1, axis2=2)
    assert known.min() > 0
    assert abs(mean(size - known).z_score(0)) < 4
    product = np.sum((second - first) * first, axis=(1, 2))
    assert abs(mean(product).z_score(0)) < 4


@pytest.mark.parametrize("centred", [True, False])
def test_shares_and_moments_against_400000_inputs(centred):
    """|z| < 4 for every entry; a selection by rank instead of by threshold adds no error to see."""
    rng, rows, kept = np.random.default_rng(7), 400_000, 0.15
    roots = rng.standard_normal((2, 4, 4))
    means = np.zeros((2, 4)) if centred else rng.standard_normal((2, 4))
    moments = roots @ roots.transpose(0, 2, 1) + means[:, :, None] * means[:, None, :]
    w = rng.standard_normal(4)
    k = (rng.random(rows) < SHARES[1]).astype(int)
    Z = np.einsum("rij,rj->ri", roots[k], rng.standard_normal((rows, 4))) + means[k]
    sure = most_confident(moments, SHARES, w, kept, means)
    best = np.argsort(-np.abs(Z @ w))[: int(kept * rows)]
    assert abs(mean(k[best]).z_score(sure.shares[1])) < 4
    for group in (0, 1):
        chosen = Z[best][k[best] == group]
        for i, j in zip(*np.triu_indices(4), strict=True):
            found = mean(chosen[:, i] * chosen[:, j])
            assert abs(found.z_score(sure.moments[group, i, j])) < 4, (group, i, j)


@pytest.mark.parametrize("tells_of_core", [0.0, 0.6])
def test_students_retrained_on_400_pools(tells_of_core):
    """|z| < 4 for each coefficient; students choose among 3,000 inputs by their own scores."""
    A, moments = groups(tells_of_core)
    rng, rows, kept = np.random.default_rng(11), 3000, 0.2
    teacher = np.array([1.0, 0.5, 0.8, 0.0])
    pool = np.tensordot(SHARES, moments, axes=1)
    sure = most_confident(moments, SHARES, fit(A, pool) @ teacher, kept)
    roots = np.linalg.cholesky(moments)
    students = []
    for _ in range(400):
        k = (rng.random(rows) < SHARES[1]).astype(int)
        Z = np.einsum("rij,rj->ri", roots[k], rng.standard_normal((rows, 4)))
        X, y = Z @ A, Z @ teacher
        first = np.linalg.lstsq(X, y, rcond=None)[0]
        best = np.argsort(-np.abs(X @ first))[: int(kept * rows)]
        students.append(np.linalg.lstsq(X[best], y[best], rcond=None)[0])
    for found, known in zip(
        np.transpose(students), A.T @ fit(A, sure.moment) @ teacher, strict=True
    ):
        assert abs(mean(found).z_score(known)) < 4


def test_all_kept_is_no_selection_and_a_hopeless_group_has_no_share():
    _, moments = groups(0.6)
    sure = most_confident(moments, SHARES, np.ones(4), 1)
    np.testing.assert_array_equal(sure.moments, moments)
    np.testing.assert_allclose(sure.shares, SHARES)
    far = most_confident([np.eye(2), 1e-4 * np.eye(2)], [0.5, 0.5], [1, 0], 0.2)
    assert far.shares[1] == 0
    assert np.isfinite(far.moments).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept": 0}, "kept must be above 0 and at most 1, got 0"),
        ({"kept": 1.1}, "kept must be above 0 and at most 1"),
        ({"shares": [0.7, 0.4]}, "shares must be >= 0 and add up to 1"),
        ({"shares": [1.0]}, r"means and shares must be of 2 groups and 2 columns, got shapes"),
        ({"means": [[0.0, 0.0]]}, r"means and shares must be of 2 groups and 2 columns"),
        ({"direction": [1.0, 0.0, 0.0]}, r"moments of a group must be a \(3, 3\) second moment"),
        ({"moments": [np.eye(2), -np.eye(2)]}, "moments of a group must be symmetric"),
        ({"moments": [np.eye(2), np.diag([0.0, 1.0])]}, "score must vary in each group"),
        ({"means": [[1.0, 0.0], [0.0, 0.0]]}, "score must vary in each group"),
    ],
)
def test_bad_groups_are_refused(change, message):
    given = {"moments": [np.eye(2), np.eye(2)], "shares": SHARES, "direction": [1.0, 0.0]}
    with pytest.raises(ValueError, match=message):
        most_confident(**{"kept": 0.2} | given | change)
