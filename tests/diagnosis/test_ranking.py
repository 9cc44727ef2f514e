from itertools import pairwise

import numpy as np
import pytest

from w2s_utils._progress import Watched
from w2s_utils.diagnosis import diagnose, rank_teachers, sample
from w2s_utils.diagnosis.prediction import Prediction
from w2s_utils.diagnosis.rows import FIRST

SIZES = {"n": 60, "N": 1000}


def teachers(rows=1500):
    """Good, the same but for one useless direction, and one that misses half of the target."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((rows, 30))
    y = Z[:, :6] @ np.full(6, 0.5) + 0.7 * rng.standard_normal(rows)
    return {"half": Z[:, 3:12], "good": Z[:, :6], "same": Z[:, :7]}, Z, y


def test_order_ties_and_the_diagnoses_behind_them():
    weak, strong, y = teachers()
    found = rank_teachers(weak, strong, y, **SIZES)
    assert list(found.table["teacher"]) == ["good", "same", "half"] == list(found.diagnoses)
    assert found.table["student"].is_monotonic_increasing
    assert ("same", "half") not in found.ties
    probability = found.table["probability"].to_numpy()
    assert probability[0] > 0.5
    assert probability[1] > 0.999
    assert np.isnan(probability[2])
    alone = diagnose(weak["half"], strong, y, **SIZES)
    last = found.table.iloc[-1]
    assert last["student_high"] == alone.risk["student"].high[0, 0]
    assert last["pgr"] == alone.pgr.value[0, 0]


def test_the_comparison_is_paired():
    """Single bands overlap by far, and the order is sure: the rows are the same."""
    weak, strong, y = teachers()
    better = {"four": weak["good"][:, :4], "five": weak["good"][:, :5]}
    found = rank_teachers(better, strong, y, **SIZES)
    first, second = (found.table.iloc[i] for i in (0, 1))
    assert first["teacher"] == "five"
    assert not found.ties
    gap = second["student"] - first["student"]
    assert first["student_high"] - first["student"] < gap or gap > 0
    twins = rank_teachers({"a": weak["good"], "b": weak["good"] @ np.diag([1, 2, 1, 1, 1, 1])},
                          strong, y, energy=1.0, **SIZES)  # fmt: skip
    assert len(twins.ties) == 1


def test_ties_are_where_the_probability_is_at_most_95_percent_and_the_band_holds_zero():
    rng = np.random.default_rng(1)
    _, strong, y = teachers()
    noisy = {f"{k}": strong[:, :7] + k / 20 * rng.standard_normal((1500, 7)) for k in range(6)}
    found = rank_teachers(noisy, strong, y, **SIZES)
    order = list(found.diagnoses)
    levels = found.table["probability"].to_numpy()[:-1]
    assert 0 < len(found.ties) < len(levels)
    for pair, level in zip(pairwise(order), levels, strict=True):
        first, second = (found.diagnoses[name].prediction for name in pair)
        gap = {
            "noise": first.whole["noise"],
            "gap": second.whole["student"] - first.whole["student"],
        }
        left = {"noise": first.left_out["noise"],
                "gap": second.left_out["student"] - first.left_out["student"]}  # fmt: skip
        band = Prediction(gap, left).band(lambda numbers: numbers["gap"][..., 0, 0])
        assert (pair in found.ties) == (level <= 0.95) == (band.low <= 0)


def test_the_student_is_read_once_more_for_each_teacher():
    weak, strong, y = teachers()
    read = []
    rank_teachers(weak, Watched(strong, read.append), y, **SIZES)
    assert sum(read) == FIRST + (1 + len(weak)) * len(strong)


def test_the_student_is_decomposed_once(monkeypatch):
    weak, strong, y = teachers()
    found, decompose = [], sample.principal_map

    def counted(moment, lengths):
        found.append(len(lengths))
        return decompose(moment, lengths)

    monkeypatch.setattr(sample, "principal_map", counted)
    diagnose(weak["half"], strong, y, **SIZES)
    assert found.count(strong.shape[1]) >= 23  # all rows, both halves, all but each block
    found.clear()
    rank_teachers(weak, strong, y, **SIZES)
    assert found.count(strong.shape[1]) == 23
    assert len(found) >= 4 * 23


def test_the_order_ignores_the_label_noise():
    weak, strong, y = teachers()
    orders = [
        list(rank_teachers(weak, strong, y, noise_variance=v, **SIZES).table["teacher"])
        for v in (None, 0.0, 0.4)
    ]
    assert orders[0] == orders[1] == orders[2]


def test_what_is_wrong_names_the_teacher():
    weak, strong, y = teachers()
    with pytest.raises(ValueError, match="At least two teachers"):
        rank_teachers({"good": weak["good"]}, strong, y, **SIZES)
    with pytest.raises(ValueError, match="Teacher bad: n must be below the number of rows 9"):
        rank_teachers({"bad": strong[:9], "good": weak["good"]}, strong, y, **SIZES)
    with pytest.raises(ValueError, match="Teacher half has no prediction at n = 10, N = 1000"):
        rank_teachers(weak, strong, y, n=10, N=1000, ridge=0)
