import numpy as np
import pandas as pd
import pytest

from w2s_utils.experiment import risks_at, run_grid
from w2s_utils.metrics import MODELS, mean
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge
from w2s_utils.theory.exact import expected_risks


def gaussian_task(rows=4000, seed=0):
    """Features of a known pair, so that the experiment has a known answer."""
    target = np.random.default_rng(99).standard_normal(16) / 4
    pair = GaussianPair.aligned(d_w=8, d_s=6, d_sw=2, target=target, noise_variance=0.5)
    Z = np.random.default_rng(seed).standard_normal((rows, 16))
    f = Z @ pair.target
    return pair, Z @ pair.weak_basis, Z @ pair.strong_basis, f


def noisy(f, variance):
    return lambda rng: f + np.sqrt(variance) * rng.standard_normal(len(f))


def test_mean_errors_match_the_exact_risks():
    """Each trial has a pool of its own: trials that share one share its approximation errors."""
    grid, frames = [(20, 40), (60, 40)], []
    for seed in range(300):
        pair, W, S, f = gaussian_task(rows=300, seed=seed)
        frame = run_grid(W, S, f, noisy(f, 0.5), grid, trials=1, test_size=200, seed=seed)
        frames.append(frame.assign(trial=seed))
    for n, N in grid:
        measured, expected = risks_at(pd.concat(frames), n, N), expected_risks(pair, n, N)
        for model in MODELS:
            assert abs(mean(getattr(measured, model)).z_score(getattr(expected, model))) < 4


def test_one_trial_against_a_naive_transcription():
    _, W, S, f = gaussian_task(rows=120)
    frame = run_grid(W, S, f, lambda rng: f + 1.0, [(30, 50)], trials=1, test_size=40, seed=2)
    rng = np.random.default_rng(np.random.SeedSequence(2).spawn(1)[0])
    order = rng.permutation(120)
    test, labelled, unlabelled = order[:40], order[40:70], order[-50:]
    teacher = fit_ridge(W[labelled], f[labelled] + 1)
    student = fit_ridge(S[unlabelled], W[unlabelled] @ teacher)
    assert frame.loc[0, "student"] == pytest.approx(np.mean((S[test] @ student - f[test]) ** 2))
    assert frame.loc[0, "weak"] == pytest.approx(np.mean((W[test] @ teacher - f[test]) ** 2))


def test_labels_of_the_unlabelled_set_reach_the_ceiling_only():
    _, W, S, f = gaussian_task(rows=200)

    def spoiled(rng):
        return np.where(np.isin(np.arange(200), unlabelled), 1e6, f)

    order = np.random.default_rng(np.random.SeedSequence(3).spawn(1)[0]).permutation(200)
    unlabelled = order[-60:]
    clean, dirty = (
        run_grid(W, S, f, draw, [(40, 60)], trials=1, test_size=50, seed=3)
        for draw in (lambda rng: f, spoiled)
    )
    for model in ("weak", "student", "baseline"):
        assert clean.loc[0, model] == dirty.loc[0, model]
    assert dirty.loc[0, "ceiling"] > 1e6


def test_a_seed_fixes_the_result_and_points_do_not_disturb_one_another():
    _, W, S, f = gaussian_task(rows=300)
    arguments = {"trials": 2, "test_size": 50, "seed": 4}
    one = run_grid(W, S, f, noisy(f, 0.5), [(30, 40)], **arguments)
    two = run_grid(W, S, f, noisy(f, 0.5), [(50, 90), (30, 40)], **arguments)
    np.testing.assert_array_equal(risks_at(one, 30, 40).student, risks_at(two, 30, 40).student)


def test_bad_grids_are_refused():
    _, W, S, f = gaussian_task(rows=100)
    with pytest.raises(ValueError, match="got 50 \\+ 30 \\+ 40 = 120"):
        run_grid(W, S, f, noisy(f, 1), [(30, 40)], trials=1, test_size=50, seed=0)
    with pytest.raises(ValueError, match="strong has 99"):
        run_grid(W, S[:99], f, noisy(f, 1), [(30, 40)], trials=1, test_size=5, seed=0)
    frame = run_grid(W, S, f, noisy(f, 1), [(30, 40)], trials=2, test_size=5, seed=0)
    with pytest.raises(ValueError, match="no point n = 31, N = 40"):
        risks_at(frame, 31, 40)
