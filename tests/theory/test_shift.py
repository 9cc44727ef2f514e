import numpy as np
import pytest

from tests.known import generic_pair
from w2s_utils.metrics import MODELS, mean
from w2s_utils.pair import ShiftedPair
from w2s_utils.simulation import simulate_shift
from w2s_utils.theory import exact, shift


def random_pair(seed, D=14, d_w=5, d_s=4):
    """Three unrelated moments and dependent columns of the maps."""
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((3, D, D)) * rng.uniform(0.3, 2, (3, 1, D))
    labelled, unlabelled, test = (root @ root.T / D for root in roots)
    return ShiftedPair(
        weak_map=rng.standard_normal((D, d_w)),
        strong_map=rng.standard_normal((D, d_s)),
        target=rng.standard_normal(D),
        noise_variance=float(rng.uniform(0, 2)),
        labelled=labelled,
        unlabelled=unlabelled,
        test=test,
    )


def written_out(p, n, N):
    """Teacher and student, term by term."""
    inv, A, B = np.linalg.inv, p.weak_map, p.strong_map
    C_l = A @ inv(A.T @ p.labelled @ A) @ A.T
    C_u = B @ inv(B.T @ p.unlabelled @ B) @ B.T
    g = C_l @ p.labelled @ p.target
    lost = p.target - g
    v = (p.noise_variance + lost @ p.labelled @ lost) / (n - A.shape[1] - 1)
    P = C_u @ p.unlabelled
    R = p.unlabelled - p.unlabelled @ C_u @ p.unlabelled
    weak = lost @ p.test @ lost + v * np.trace(p.test @ C_l)
    off = P @ g - p.target
    student = off @ p.test @ off + v * np.trace(P.T @ p.test @ P @ C_l)
    noise = g @ R @ g + v * np.trace(R @ C_l)
    return weak, student + noise * np.trace(p.test @ C_u) / (N - B.shape[1] - 1)


@pytest.mark.parametrize("seed", range(40))
def test_teacher_and_student_against_the_formulas_written_out(seed):
    pair = random_pair(seed)
    found = shift.expected_risks(pair, [8, 20], 11)
    for i, n in enumerate((8, 20)):
        weak, student = written_out(pair, n, 11)
        assert found.weak[i] == pytest.approx(weak, rel=1e-10)
        assert found.student[i] == pytest.approx(student, rel=1e-10)


@pytest.mark.parametrize(("method", "seed"), [("direct", 0), ("wishart", 1)])
def test_against_20000_trials(method, seed):
    """All but the ceiling exactly; that within a few per cent."""
    pair, n, N = random_pair(seed), 12, 10
    drawn = simulate_shift(pair, n, N, 20_000, 5, method)
    expected = shift.expected_risks(pair, n, N)
    for model in ("weak", "student", "baseline"):
        assert abs(mean(drawn[model]).z_score(float(expected[model]))) < 4, model
    large = shift.expected_risks(pair, 120, 100).ceiling
    measured = mean(simulate_shift(pair, 120, 100, 2000, 6, method).ceiling)
    assert abs(measured.value / large - 1) < 0.02 + 4 * measured.standard_error / large


def test_both_samplers_have_one_law():
    pair = random_pair(3)
    one, other = (
        simulate_shift(pair, 12, 15, 4000, seed, method)
        for seed, method in enumerate(("direct", "wishart"))
    )
    for model in MODELS:
        for power in (1, 2):
            a, b = (mean(risks[model] ** power) for risks in (one, other))
            gap = a.value - b.value
            assert abs(gap) < 4.5 * np.hypot(a.standard_error, b.standard_error), model


def test_equal_laws_are_the_exact_theory():
    pair = generic_pair()
    one = np.eye(len(pair.target))
    same = ShiftedPair(
        weak_map=pair.weak_basis,
        strong_map=pair.strong_basis @ np.triu(np.ones((pair.d_s, pair.d_s))),
        target=pair.target,
        noise_variance=pair.noise_variance,
        labelled=one,
        unlabelled=one,
        test=one,
    )
    n, N = np.array([30, 100])[:, None], [20, 60]
    for model in MODELS:
        expected = exact.expected_risks(pair, n, N)[model]
        np.testing.assert_allclose(shift.expected_risks(same, n, N)[model], expected, rtol=1e-10)
    terms, known = shift.student_terms(same, n, N), exact.student_terms(pair, n, N)
    for name, values in vars(known).items():
        np.testing.assert_allclose(vars(terms)[name], values, rtol=1e-8, err_msg=name)


def test_coordinates_of_the_inputs_and_of_the_features_do_not_matter():
    pair, rng = random_pair(7), np.random.default_rng(0)
    T = rng.standard_normal((14, 14))
    back = np.linalg.inv(T)
    moved = ShiftedPair(
        weak_map=back.T @ pair.weak_map @ rng.standard_normal((5, 5)),
        strong_map=back.T @ pair.strong_map * 3,
        target=back.T @ pair.target,
        noise_variance=pair.noise_variance,
        **{law: T @ getattr(pair, law) @ T.T for law in ("labelled", "unlabelled", "test")},
    )
    one, other = (shift.expected_risks(p, 20, 15) for p in (pair, moved))
    for model in MODELS:
        assert other[model] == pytest.approx(one[model], rel=1e-7)


def test_groups_are_mixed_by_their_shares():
    pair = random_pair(8)
    moments = np.array([pair.labelled, pair.test])
    about = {name: getattr(pair, name) for name in ("weak_map", "strong_map", "target")}
    shares = {"shares_l": [0.9, 0.1], "shares_u": [0.5, 0.5], "shares_t": [0, 1]}
    mixed = ShiftedPair.from_groups(**about, noise_variance=1.0, moments=moments, **shares)
    np.testing.assert_allclose(mixed.labelled, 0.9 * moments[0] + 0.1 * moments[1])
    np.testing.assert_array_equal(mixed.test, moments[1])
    with pytest.raises(ValueError, match=r"shares_u must hold a share >= 0 for each of 2 groups"):
        ShiftedPair.from_groups(
            **about, noise_variance=1.0, moments=moments, **shares | {"shares_u": [0.5, 0.6]}
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labelled": np.eye(3)}, r"labelled must be a \(14, 14\) second moment, got shape"),
        ({"test": -np.eye(14)}, "test must be symmetric and have no eigenvalue below zero, got -1"),
        ({"unlabelled": np.triu(np.ones((14, 14)))}, "unlabelled must be symmetric"),
        ({"unlabelled": np.diag([1.0] * 3 + [0.0] * 11)}, "strong unlabelled features must have"),
        ({"weak_map": np.ones((14, 2))}, "weak labelled features must have full column rank"),
        ({"noise_variance": -1.0}, "noise_variance must be finite and >= 0"),
        ({"weak_map": np.ones((3, 2))}, "same number of rows"),
    ],
)
def test_bad_pairs_are_refused(change, message):
    names = ("weak_map", "strong_map", "target", "noise_variance", "labelled", "unlabelled", "test")
    given = {name: getattr(random_pair(0), name) for name in names}
    with pytest.raises(ValueError, match=message):
        ShiftedPair(**given | change)


@pytest.mark.parametrize(("n", "N", "why"), [(6, 20, "d_w"), (20, 5, "d_s")])
def test_bad_sizes_are_refused(n, N, why):
    with pytest.raises(ValueError, match=rf"must exceed {why} \+ 1 = {n if why == 'd_w' else N}"):
        shift.expected_risks(random_pair(0), n, N)
    with pytest.raises(ValueError, match="method must be 'wishart' or 'direct'"):
        simulate_shift(random_pair(0), 10, 10, 2, 0, "other")


def test_the_mean_student_moves_with_the_difference_of_the_laws():
    pair = random_pair(9)
    A, B = pair.weak_map, pair.strong_map
    C_l = A @ np.linalg.inv(A.T @ pair.labelled @ A) @ A.T
    on_labelled = B @ np.linalg.inv(B.T @ pair.labelled @ B) @ B.T @ pair.labelled
    C_u = B @ np.linalg.inv(B.T @ pair.unlabelled @ B) @ B.T
    g = C_l @ pair.labelled @ pair.target
    moved = C_u @ (pair.unlabelled - pair.labelled) @ (g - on_labelled @ g)
    off = on_labelled @ g + moved - pair.target
    assert shift.student_terms(pair, 20, 15).bias == pytest.approx(
        off @ pair.test @ off + shift.student_terms(pair, 20, 15).leaked
    )
