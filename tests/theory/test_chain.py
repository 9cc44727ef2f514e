import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from tests.known import generic_pair
from tests.theory.test_shift import random_pair
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation import simulate_chain
from w2s_utils.theory import chain, exact, ridge, shift, shifted_ridge
from w2s_utils.theory.chain import Stage

D = 18


def generic_bases(seed, dimensions=(7, 6, 5)):
    rng = np.random.default_rng(seed)
    bases = [np.linalg.qr(rng.standard_normal((D, d)))[0] for d in dimensions]
    return bases, rng.standard_normal(D) / 3, float(rng.uniform(0.1, 1))


def written_out(bases, beta, sigma2, sizes):
    """The recursion of projections, in whitened coordinates."""
    P = bases[0] @ bases[0].T
    m, d = P @ beta, len(bases[0].T)
    lost = beta - m
    C = (sigma2 + lost @ lost) / (sizes[0] - d - 1) * P
    risks = [(m - beta) @ (m - beta) + np.trace(C)]
    for basis, N in zip(bases[1:], sizes[1:], strict=True):
        P = basis @ basis.T
        rest = np.eye(D) - P
        t = m @ rest @ m + np.trace(rest @ C)
        m, C = P @ m, P @ C @ P + t / (N - len(basis.T) - 1) * P
        risks.append((m - beta) @ (m - beta) + np.trace(C))
    return risks


@pytest.mark.parametrize("seed", range(20))
def test_chain_against_the_formulas_written_out(seed):
    bases, beta, sigma2 = generic_bases(seed, np.random.default_rng(seed).integers(1, 10, 5))
    sizes = [12, 14, 13, 40, 25]
    found = chain.expected_risks(bases, beta, sigma2, sizes)
    np.testing.assert_allclose(found, written_out(bases, beta, sigma2, sizes), rtol=1e-10)


@pytest.mark.parametrize(("method", "trials"), [("direct", 20_000), ("wishart", 4000)])
def test_chain_against_20000_trials(method, trials):
    bases, beta, sigma2 = generic_bases(1)
    sizes = [12, 11, 14]
    teacher, *students = (Stage(basis, m) for basis, m in zip(bases, sizes, strict=True))
    drawn = simulate_chain([teacher], students, beta, sigma2, trials, 3, method=method)
    expected = chain.expected_risks(bases, beta, sigma2, sizes)
    for risks, risk in zip(drawn.T, expected, strict=True):
        assert abs(mean(risks).z_score(risk)) < 4


@pytest.mark.parametrize(("method", "trials"), [("direct", 20_000), ("wishart", 4000)])
def test_committee_against_20000_trials(method, trials):
    bases, beta, sigma2 = generic_bases(2, (7, 4, 5))
    teachers, student = [Stage(bases[0], 14), Stage(bases[1], 10)], Stage(bases[2], 13)
    drawn = simulate_chain(teachers, [student], beta, sigma2, trials, 4, method=method)
    answers = chain.committee(teachers, beta, sigma2)
    expected = answers.risk(beta), student.taught(answers).risk(beta)
    for risks, risk in zip(drawn.T, expected, strict=True):
        assert abs(mean(risks).z_score(risk)) < 4


def test_teachers_of_the_same_labels_err_together():
    """The formula for labels of their own must not hold for them."""
    bases, beta, sigma2 = generic_bases(3, (6, 6, 5))
    teachers = [Stage(bases[0], 15), Stage(bases[1], 15)]
    drawn = simulate_chain(teachers, [], beta, sigma2, 4000, 5, shared_labels=True)
    own = chain.committee(teachers, beta, sigma2).risk(beta)
    assert mean(drawn[:, 0]).z_score(own) > 6
    twins = [teachers[0], teachers[0]]
    same = simulate_chain(twins, [], beta, sigma2, 50, 6, shared_labels=True)
    alone = simulate_chain(twins[:1], [], beta, sigma2, 50, 6)
    np.testing.assert_allclose(same, alone, rtol=1e-12)


def shifted(seed):
    rng = np.random.default_rng(seed)
    bases = [rng.standard_normal((D, d)) for d in (6, 5, 4)]
    roots = rng.standard_normal((4, D, D)) * rng.uniform(0.5, 2, (4, 1, D))
    *moments, test = (root @ root.T / D for root in roots)
    return bases, rng.standard_normal(D), moments, test


@pytest.mark.parametrize(("alpha", "sizes"), [(0.0, (14, 12, 11)), (0.5, (60, 70, 50))])
def test_shifted_chain_against_trials(alpha, sizes):
    """Exact without ridge; with it the next order, which is good to a few per mille here."""
    bases, beta, moments, test = shifted(7)
    about = zip(bases, sizes, moments, strict=True)
    teacher, *students = (Stage(basis, m, alpha, moment) for basis, m, moment in about)
    drawn = simulate_chain([teacher], students, beta, 1.0, 4000, 8, test=test)
    expected = chain.expected_risks(
        bases, beta, 1.0, sizes, ridge=alpha, moments=moments, test=test
    )
    for risks, risk in zip(drawn.T, expected, strict=True):
        found = mean(risks)
        slack = 0.005 * risk if alpha else 0.0
        assert abs(found.value - risk) < 4 * found.standard_error + slack


def test_two_stages_are_the_theories_of_pairs():
    pair = generic_pair()
    n, N, alphas = 30, 25, (0.2, 0.05)
    known = exact.expected_risks(pair, n, N)
    bases = pair.weak_basis, pair.strong_basis
    found = chain.expected_risks(bases, pair.target, pair.noise_variance, [n, N])
    np.testing.assert_allclose(found, [known.weak, known.student], rtol=1e-12)
    spectra = [np.arange(1.0, basis.shape[1] + 1) ** -1 for basis in bases]
    known = ridge.expected_risks(pair.along(*spectra), n, N, *alphas)
    scaled = [basis * np.sqrt(spectrum) for basis, spectrum in zip(bases, spectra, strict=True)]
    found = chain.expected_risks(scaled, pair.target, pair.noise_variance, [n, N], ridge=alphas)
    np.testing.assert_allclose(found, [known.weak, known.student], rtol=1e-10)
    p = random_pair(4)
    where = {"moments": [p.labelled, p.unlabelled], "test": p.test}
    maps = p.weak_map, p.strong_map
    found = chain.expected_risks(maps, p.target, p.noise_variance, [20, 15], **where)
    known = shift.expected_risks(p, 20, 15)
    np.testing.assert_allclose(found, [known.weak, known.student], rtol=1e-9)
    found = chain.expected_risks(maps, p.target, p.noise_variance, [20, 15], ridge=0.3, **where)
    known = shifted_ridge.expected_risks(p, 20, 15, 0.3, 0.3)
    np.testing.assert_allclose(found, [known.weak, known.student], rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.booleans())
def test_rotation_scale_and_bases_do_not_matter(seed, scale, penalised):
    bases, beta, sigma2 = generic_bases(5)
    turn = ortho_group.rvs(D, random_state=seed)
    alpha, sizes = 0.1 * penalised, [20, 19, 18]
    known = chain.expected_risks(bases, beta, sigma2, sizes, ridge=alpha)
    moved = [turn @ basis @ ortho_group.rvs(len(basis.T), random_state=seed) for basis in bases]
    found = chain.expected_risks(moved, scale * turn @ beta, scale**2 * sigma2, sizes, ridge=alpha)
    np.testing.assert_allclose(found, scale**2 * known, rtol=1e-9)
    longer = [scale * basis for basis in bases]
    found = chain.expected_risks(longer, beta, sigma2, sizes, ridge=scale**2 * alpha)
    np.testing.assert_allclose(found, known, rtol=1e-9)


def test_a_student_that_sees_all_it_is_told_changes_nothing():
    bases, beta, sigma2 = generic_bases(6, (4, 4))
    wider = np.linalg.qr(np.column_stack([bases[0], bases[1]]))[0]
    risks = chain.expected_risks([bases[0], wider, wider], beta, sigma2, [9, 30, 10])
    np.testing.assert_allclose(risks, risks[0], rtol=1e-12)
    blind = [np.eye(D)[:, :3], np.eye(D)[:, 3:6]]  # nothing in common: all is noise
    _, student = chain.expected_risks(blind, np.ones(D), 0.0, [8, 24])
    v = (D - 3) / (8 - 3 - 1)
    assert student == pytest.approx(D + (3 + 3 * v) * 3 / (24 - 3 - 1))


def test_losses_by_ridge_are_those_of_each_ridge():
    bases, beta, sigma2 = generic_bases(8)
    path = np.array([0.0, 0.1, 1.0])
    stage, student = Stage(bases[0], 20), Stage(bases[1], 16)
    losses = stage.label_losses(beta, sigma2, path)
    told = student.misfits(stage.taught_labels(beta, sigma2), path)
    pair = GaussianPair(bases[0], bases[1], beta, sigma2)
    directions = pair.along(np.ones(pair.d_w), np.ones(pair.d_s))
    known = ridge.student_misfit(directions, 20, 16, 0.0, path)
    np.testing.assert_allclose(told, known, rtol=1e-12)
    for alpha, loss in zip(path, losses, strict=True):
        assert stage.at(20, alpha).taught_labels(beta, sigma2).risk(beta) == pytest.approx(loss)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sizes": [20, 20]}, "sizes must be one for each of 3 models, got 2"),
        ({"sizes": [20, 20, 6]}, "too near the interpolation threshold"),
        ({"sizes": [20, 20, 0]}, "size must exceed zero, got 0"),
        ({"ridge": [0.1, 0.1]}, "ridge must be one for each of 3 models, got 2"),
        ({"ridge": -1.0}, "ridge must be >= 0"),
        ({"target": np.ones(5)}, "same number of rows"),
        ({"noise_variance": -1.0}, "noise_variance must be finite and >= 0, got -1.0"),
        ({"moments": [np.eye(2)] * 3}, r"moment must be a \(18, 18\) second moment"),
        ({"test": -np.eye(D)}, "test must be symmetric and have no eigenvalue below zero"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(change, said):
    bases, beta, sigma2 = generic_bases(9)
    given = {"target": beta, "noise_variance": sigma2, "sizes": [20, 20, 20]} | change
    with pytest.raises(ValueError, match=said):
        chain.expected_risks(bases, **given)


def test_dependent_features_and_odd_committees_are_refused():
    bases, beta, sigma2 = generic_bases(10)
    twice = np.column_stack([bases[0], bases[0][:, :1]])
    with pytest.raises(ValueError, match="full column rank"):
        chain.expected_risks([twice, bases[1]], beta, sigma2, [20, 20])
    with pytest.raises(ValueError, match="weights must be one for each of 2 teachers, got 3"):
        chain.committee([Stage(bases[0], 20), Stage(bases[1], 20)], beta, sigma2, [1, 1, 1])
    teachers = [Stage(bases[0], 20), Stage(bases[1], 21)]
    with pytest.raises(ValueError, match="one size and one moment, got sizes"):
        simulate_chain(teachers, [], beta, sigma2, 5, 0, shared_labels=True)
    with pytest.raises(ValueError, match="method must be 'wishart' or 'direct'"):
        simulate_chain([Stage(bases[0], 20)], [], beta, sigma2, 5, 0, method="guess")
    with pytest.raises(ValueError, match="teachers must hold at least one"):
        simulate_chain([], [Stage(bases[0], 20)], beta, sigma2, 5, 0)
