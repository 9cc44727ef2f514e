"""Rows that belong together: bands leave them out together, and copies without a word are seen."""

import numpy as np
import pytest

from tests.diagnosis.test_against_training import rows
from w2s_utils.diagnosis import diagnose, rank_teachers
from w2s_utils.diagnosis.partition import Partition
from w2s_utils.measure.correlation import BLOCKS
from w2s_utils.metrics import MODELS

SIZES = {"n": [30, 100], "N": [60, 800]}


def test_groups_of_one_row_are_rows():
    """The same up to the blocks, which are drawn by chance in both."""
    W, S, y = rows(800, 0)
    alone, each = diagnose(W, S, y, **SIZES), diagnose(W, S, y, group=np.arange(800), **SIZES)
    assert each.groups == 800
    for name, values in alone.table().filter(regex="^(weak|student|baseline|ceiling)$").items():
        np.testing.assert_allclose(each.table()[name], values, rtol=0.02)
    for name in MODELS:
        of_rows, of_groups = (d.risk[name].high - d.risk[name].low for d in (alone, each))
        np.testing.assert_allclose(of_groups, of_rows, rtol=0.6)
    assert each.verdict.outcome == alone.verdict.outcome


def test_blocks_hold_whole_groups_and_are_even():
    rng = np.random.default_rng(0)
    group = rng.choice([f"author {i}" for i in range(90)], 3000, p=rng.dirichlet(np.full(90, 3.0)))
    partition = Partition.of(3000, group)
    blocks = partition.numbers(slice(0, 3000))
    assert all(len(set(blocks[group == name])) == 1 for name in set(group))
    assert (partition.sizes.min(), partition.sizes.max()) >= (140, 140)
    assert partition.sizes.max() < 165
    assert partition.independent == len(set(group))
    assert set(blocks) == set(range(BLOCKS))
    np.testing.assert_array_equal(partition.numbers(slice(1000, 1400)), blocks[1000:1400])


def copied(distinct, times, seed):
    """Each input several times, in an order by chance."""
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(distinct), times))
    W, S, y = rows(distinct, seed)
    return (W[order], S[order], y[order]), order


def test_copies_change_nothing_where_they_are_named():
    """Of copies bands and values are those of the distinct rows; unnamed, they are far too sure."""
    (W, S, y), order = copied(600, 5, seed=1)
    plain = diagnose(*rows(600, 1), **SIZES)
    named = diagnose(W, S, y, group=order, **SIZES)
    silent = diagnose(W, S, y, **SIZES)
    for name in MODELS:
        widths = [d.risk[name].high - d.risk[name].low for d in (plain, named, silent)]
        np.testing.assert_allclose(widths[1], widths[0], rtol=0.6)
        assert np.all(widths[2] < 0.75 * widths[1])
        np.testing.assert_allclose(named.risk[name].value, plain.risk[name].value, rtol=0.03)
    assert (named.groups, len(named.copies)) == (600, 600)
    (said,) = (w for w in silent.warnings if w.startswith("Repeated rows"))
    assert "2,400 of 3,000 inputs repeat an earlier one" in said
    assert "bands are about 2.2 times too narrow" in said
    assert not any(w.startswith("Repeated rows") for d in (plain, named) for w in d.warnings)


def test_bands_of_named_copies_hold_the_truth():
    """Of unequal numbers of copies, in the paper's setting too, where formulas correct for rows."""
    truth = diagnose(*rows(100_000, 0), **SIZES)
    inside = {name: [] for name in (*MODELS, "d_sw")}
    for seed in range(60):
        times = np.random.default_rng(seed).integers(1, 8, 600)
        (W, S, y), order = copied(600, times, seed=1000 + seed)
        d = diagnose(W, S, y, group=order, **SIZES)
        for name in MODELS:
            band = d.risk[name]
            inside[name].append(
                (band.low <= truth.risk[name].value) & (truth.risk[name].value <= band.high)
            )
        found = d.ridgeless.correlation
        gap = abs(found.estimate - truth.ridgeless.correlation.estimate)
        inside["d_sw"].append(gap <= 1.73 * found.standard_error)
    for name, held in inside.items():
        assert 0.8 <= np.mean(held) <= 0.98, (name, np.mean(held))


def test_classes_with_copies_have_honest_accuracies():
    """A held-out row whose copies are not held out would be known by heart."""
    (W, S, _), order = copied(300, 6, seed=3)
    noise = np.random.default_rng(0).permutation(np.arange(300) % 2)[order]  # nothing tells these
    d = diagnose(W, S, noise, group=order, n=1000, N=3000)
    silent = diagnose(W, S, noise, n=1000, N=3000)
    named, unnamed = d.accuracy["baseline"], silent.accuracy["baseline"]
    assert named.low[0, 0] < 0.5 < named.high[0, 0] < 0.54 < unnamed.low[0, 0]
    assert d.verdict.outcome == "no signal"


def test_rankings_leave_out_the_same_groups():
    (W, S, y), order = copied(400, 3, seed=2)
    how = {"n": 60, "N": 600}
    ranked = rank_teachers({"a": W, "b": W[:, :8]}, S, y, group=order, **how)
    for name, X in (("a", W), ("b", W[:, :8])):
        alone = diagnose(X, S, y, group=order, **how)
        np.testing.assert_allclose(ranked.diagnoses[name].table(), alone.table(), rtol=1e-12)


@pytest.mark.parametrize(
    ("group", "wrong"),
    [
        (np.arange(5), r"group must name one for each of 60 rows, got \(5,\)"),
        (np.arange(60) % 19, "at least 20 are needed, got 19"),
        (np.maximum(np.arange(60) - 20, 0), "largest group holds 21 of 60 rows"),
    ],
)
def test_groups_that_tell_nothing_are_refused(group, wrong):
    with pytest.raises(ValueError, match=wrong):
        Partition.of(60, group)
