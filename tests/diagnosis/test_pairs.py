import numpy as np
import pytest

from tests.diagnosis import pairs
from tests.diagnosis.pairs import PAIRS, truth
from w2s_utils.metrics import MODELS


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_is_complete_and_the_same_each_time(name):
    pair, again = PAIRS[name](), PAIRS[name]()
    rows = len(pair.labels)
    for columns, same in zip(pair[:3], again[:3], strict=True):
        assert columns.shape[0] == rows
        assert columns.ndim == 2
        assert columns.dtype == np.float64
        assert np.isfinite(columns).all()
        assert np.array_equal(columns, same)
    assert np.array_equal(np.unique(pair.diagnosed), pair.diagnosed)
    assert 0 <= pair.diagnosed[0] <= pair.diagnosed[-1] < rows
    if pair.fresh:
        first, second = (pair.fresh(np.random.default_rng(5), 4) for _ in range(2))
        assert all(map(np.array_equal, first, second))
        assert not np.isin(first[0], pair.weak).any()


@pytest.mark.parametrize("name", ["digits: pixels, lite0-14", "rare class"])
def test_splits_keep_their_parts_apart(name):
    pair = PAIRS[name]()
    tested = []
    for columns, labelled, unlabelled, test in pairs._splits(pair, 8, 0):
        parts = np.concatenate([labelled, unlabelled, test])
        assert (len(labelled), len(unlabelled)) == (pair.n, pair.N)
        assert len(np.unique(parts)) == len(parts)
        if pair.fresh:
            assert parts.max() < len(columns[2])
        else:
            assert not np.isin(parts, pair.diagnosed).any()
            tested.extend(test)
    assert len(set(tested)) == len(tested) == (0 if pair.fresh else 3000)


@pytest.mark.parametrize("name", ["colours: lite0-7, lite2-12", "features t3"])
def test_truth_is_that_of_its_seed(name):
    pair = PAIRS[name]()
    found, again, other = (truth(pair, 8, seed) for seed in (0, 0, 1))
    assert found == again != other
    assert set(found) == {*MODELS, "weak - student", "baseline - student", "opr"}
    assert all(0 < estimate.standard_error < np.inf for estimate in found.values())


def test_errors_of_a_pair_that_is_known():
    """A single feature: each fit of a line to m labels of variance 1 has the error 1 + 2/m."""

    def draw(rng, rows):
        z = rng.standard_normal((rows, 1))
        return z + 7, 3 - z, 10 * z + rng.standard_normal((rows, 1))

    pair = pairs.Pair(*draw(np.random.default_rng(0), 10), 50, 200, np.arange(10), draw)
    found = truth(pair, 60, 0)
    for model, labels in zip(MODELS, (50, 50, 50, 250), strict=True):
        assert abs(found[model].z_score(1 + 2 / labels)) < 4
    assert abs(found["opr"].value - 1) < 1e-6


def test_too_few_rows_are_refused():
    pair = PAIRS["colours: lite0-7, lite2-12"]()._replace(N=3000)
    with pytest.raises(ValueError, match="3150 rows are needed to train on, 2625 are left"):
        truth(pair, 8, 0)
