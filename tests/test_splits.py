import numpy as np
import pandas as pd
import pytest

from tests.known import gaussian_task, noisy
from w2s_utils.probes import fit_ridge, probe_sweep
from w2s_utils.splits import Splits


def test_splits_are_those_of_the_sweep():
    _, W, S, f = gaussian_task(rows=100)
    splits = Splits(trials=2, test_size=40, seed=7)
    frame = probe_sweep(W, S, {1: noisy(f, 1)}, f, [(20, 30)], splits)
    for trial, (test, pool, rng) in enumerate(splits.of(100)):
        assert sorted([*test, *pool]) == list(range(100))
        labels = noisy(f, 1)(rng)
        teacher = fit_ridge(W[pool[:20]], labels[pool[:20]])
        error = np.mean((W[test] @ teacher - f[test]) ** 2)
        assert frame.loc[trial, "weak"] == pytest.approx(error)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trials": 0}, "trials must exceed zero"),
        ({"trials": -1}, "trials must exceed zero"),
        ({"trials": 1.5}, "trials must hold whole numbers"),
        ({"trials": np.nan}, "trials must be finite"),
        ({"trials": [1, 2]}, "trials must be one whole number"),
        ({"test_size": 0}, "test_size must exceed zero"),
        ({"test_size": 0.2}, "test_size must hold whole numbers"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"seed": 0.5}, "seed must be a whole number >= 0, got 0.5"),
        ({"seed": None}, "seed must be a whole number >= 0, got None"),
    ],
)
def test_bad_splits_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Splits(**{"trials": 2, "test_size": 40, "seed": 7} | changed)


def test_rows_must_be_left_beside_the_test_set():
    with pytest.raises(ValueError, match="test_size must be below the 100 rows, got 100"):
        list(Splits(2, 100, 7).of(100))


def test_whole_floats_are_whole_numbers():
    _, W, S, f = gaussian_task(rows=100)
    arguments = (W, S, {1: noisy(f, 1)}, f)
    one = probe_sweep(*arguments, [(10, 20)], Splits(2, 50, 0))
    two = probe_sweep(*arguments, [[10.0, 20.0]], Splits(2.0, 50.0, 0))
    pd.testing.assert_frame_equal(one, two)
