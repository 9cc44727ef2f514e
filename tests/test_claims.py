import json

import numpy as np
import pytest

from w2s_utils.checks import Check
from w2s_utils.claims import (
    CLAIMS,
    LEDGER_KEY,
    Finding,
    NotTested,
    name,
    on,
    overall,
    record,
    verdict,
)
from w2s_utils.metrics import Estimate, Interval, mean
from w2s_utils.publish.ledger import Entry, entries
from w2s_utils.thresholds import simultaneous_z

REAL = on("real")


@pytest.mark.parametrize(
    ("low", "high", "least", "most", "said"),
    [
        (0.1, 0.3, 0.0, np.inf, "holds"),
        (-0.3, -0.1, 0.0, np.inf, "contradicted"),
        (-0.1, 0.3, 0.0, np.inf, "unresolved"),
        (0.0, 0.3, 0.0, np.inf, "unresolved"),
        (0.1, 0.3, -np.inf, 0.2, "unresolved"),
        (0.1, 0.3, -np.inf, 0.4, "holds"),
        (0.1, 0.3, -np.inf, 0.0, "contradicted"),
        (0.1, 0.3, 0.0, 0.2, "unresolved"),
        (0.1, 0.3, 0.0, 0.4, "holds"),
        (0.1, 0.3, 0.4, 0.5, "contradicted"),
        (-1.0, 9.0, 0.4, 0.5, "unresolved"),  # a wide interval never holds
        (np.nan, np.nan, 0.0, np.inf, "unresolved"),
    ],
)
def test_the_interval_decides(low, high, least, most, said):
    found = Finding(2, "x", (low + high) / 2, low, high, least, most)
    assert found.verdict == verdict(found) == said
    outside = Finding(2, "x", (low + high) / 2, low, high, least, most, outside="no gap")
    assert outside.verdict == "outside the claim"


def test_a_finding_without_an_interval_is_refused():
    for found in (0.4, [Estimate(0.4, 0.1), 3.0], np.float64(0.4)):
        with pytest.raises(ValueError, match=r"needs an Estimate or an Interval|not iterable"):
            REAL.above(5, "x", found if isinstance(found, list) else [found])
    with pytest.raises(ValueError, match=r"A finding needs an interval, got 0\.4 to 0\.4"):
        REAL.above(5, "x", Estimate(0.4, 0.0))
    with pytest.raises(ValueError, match="at least one estimate"):
        REAL.above(5, "x", [])


def test_a_finding_that_no_number_could_fail_is_refused():
    with pytest.raises(ValueError, match="No number could fail this finding: x"):
        Finding(5, "x", 0.5, 0.4, 0.6)
    with pytest.raises(ValueError, match="is empty"):
        Finding(5, "x", 0.5, 0.4, 0.6, 1.0, 1.0)


def test_an_interval_knows_the_tails_of_few_trials():
    found = REAL.above(5, "x", mean([0.0, 1.0, 2.0, 3.0]))
    assert (found.value, found.claim, found.data) == (1.5, 5, "real")
    half = simultaneous_z(1, 4) * mean([0.0, 1.0, 2.0, 3.0]).standard_error
    assert (found.low, found.high) == pytest.approx((1.5 - half, 1.5 + half))


def test_of_several_the_worst_counts_in_intervals_that_hold_at_once():
    cells = [Estimate(5.0, 1.0, 7), Estimate(1.0, 0.1, 7), Estimate(4.0, 9.0, 7)]
    halves = [simultaneous_z(3, 8) * cell.standard_error for cell in cells]
    least = REAL.above(5, "x", cells)
    assert least.value == 1.0
    assert least.low == pytest.approx(4.0 - halves[2])
    assert least.high == pytest.approx(1.0 + halves[1])
    most = REAL.below(5, "x", cells, 3)
    assert (most.value, most.most) == (5.0, 3.0)
    assert most.high == pytest.approx(4.0 + halves[2])
    assert most.low == pytest.approx(5.0 - halves[0])


@pytest.mark.parametrize(("trials", "cells"), [(8, 1), (8, 16), (200, 16)])
def test_verdicts_err_as_rarely_as_stated(trials, cells):
    """At the edge of the claim's range a verdict is wrong in at most 1 of 100 runs."""
    rng, runs = np.random.default_rng(1), 2000
    said = []
    for _ in range(runs):
        draws = rng.standard_normal((cells, trials))
        said.append(REAL.above(5, "x", [mean(draw) for draw in draws]).verdict)
    assert 0 <= said.count("contradicted") < runs * 0.01 + 4 * np.sqrt(runs * 0.01)
    assert said.count("holds") < runs * 0.01 + 4 * np.sqrt(runs * 0.01)


def test_near_and_between():
    near = REAL.near(1, "x", Estimate(0.995, 0.001), 1, "precisely")
    assert (near.least, near.most, near.verdict) == (0.99, 1.01, "holds")
    wide = REAL.near(1, "x", Estimate(0.995, 0.1), 1, "precisely")
    assert wide.verdict == "unresolved"
    between = REAL.above(1, "x", Interval(-0.7, -0.8, -0.6), -1, below=-0.5)
    assert (between.verdict, between.expectation) == ("holds", "-1 to -0.5")
    with pytest.raises(ValueError, match=r"one of identically, .*, got 'nearly'"):
        REAL.near(1, "x", Estimate(1, 1), 1, "nearly")


def test_an_undefined_estimate_settles_nothing():
    undefined = Estimate(np.nan, np.nan)
    for found in (undefined, [undefined, Estimate(1.0, 0.1)], [Estimate(1.0, 0.1), undefined]):
        for word in (REAL.above, REAL.below):
            assert word(5, "x", found).verdict == "unresolved"


FINDING = Finding(3, "gap <s>", 0.1, 0.05, 0.15, 1.0, at="n = 7")


def test_verdicts_are_shown_as_they_are():
    rows = (
        FINDING,
        Finding(3, "away", 0.1, 0.05, 0.15, 1.0, outside="no teacher"),
        NotTested(8, "the data are not at hand"),
        Check("two formulas", 0.5, 0.1),
    )
    data, metadata = record(*rows)._repr_mimebundle_()
    assert data["text/plain"].splitlines() == [
        "claim 3, synthetic data: gap <s>: 0.1 [0.05, 0.15]: above 1: contradicted",
        "claim 3, synthetic data: away: 0.1 [0.05, 0.15]: above 1: outside the claim: no teacher",
        "claim 8, real data: the data are not at hand: not tested",
        "check: two formulas: 0.5: below 0.1: fails",
    ]
    assert "gap &lt;s&gt; (n = 7)" in data["text/html"]
    assert "<s>" not in data["text/html"]
    assert [row["verdict"] for row in metadata[LEDGER_KEY]] == [
        "contradicted", "outside the claim", "not tested", "fails"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="claim must be one of"):
        NotTested(9, "x")
    with pytest.raises(ValueError, match="data must be synthetic or real"):
        NotTested(8, "x", "unreal")


def test_the_papers_eight_claims_are_listed():
    assert list(CLAIMS) == list(range(1, 9))


def test_rows_of_one_name_and_empty_ledgers_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        record()
    with pytest.raises(ValueError, match="one name: claim 3, synthetic data: gap <s>"):
        record(FINDING, Check("x", 0, 1), FINDING)
    record(FINDING, Finding(4, "gap <s>", 0.1, 0.05, 0.15, 1.0))


def test_the_ledger_is_read_back_from_an_executed_notebook(tmp_path):
    rows = (
        Finding(1, "x", np.float32(1), 0.9, np.array(1.1), 0.5, data="real", at="n = 3"),
        NotTested(8, "no data"),
        Check("y", 0.5, 0.1),
        Finding(2, "undefined", np.nan, np.nan, np.nan, most=1.0),
    )
    _, metadata = record(*rows)._repr_mimebundle_()
    json.dumps(metadata, allow_nan=False)
    cells = [{"id": "title"}, {"id": "ledger", "outputs": [{}, {"metadata": metadata}]}]
    executed = tmp_path / "04_x.ipynb"
    executed.write_text(json.dumps({"cells": cells}))
    *others, undefined = entries(executed)
    assert others == [Entry("04_x", "ledger", row) for row in rows[:3]]
    assert np.isnan(undefined.row.value)
    assert (undefined.row.most, undefined.row.verdict) == (1.0, "unresolved")
    assert name(rows[2]) == "check: y"


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (["holds", "holds", "outside the claim"], "holds (2 hold, 1 outside the claim)"),
        (["holds", "unresolved"], "holds in part (1 hold, 1 unresolved)"),
        (["holds", "contradicted"], "holds in part (1 hold, 1 contradicted)"),
        (["contradicted", "unresolved"], "contradicted (1 contradicted, 1 unresolved)"),
        (["unresolved", "not tested"], "unresolved (1 unresolved)"),
        (["outside the claim"], "outside the claim (1 outside the claim)"),
        (["not tested"], "not tested"),
        ([], "not tested"),
    ],
)
def test_the_verdict_on_a_claim_weighs_what_was_found(verdicts, said):
    assert overall(verdicts) == said


def test_the_largest_of_many_z_scores_stays_below_its_limit_in_99_of_100_runs():
    rng = np.random.default_rng(0)
    draws = np.abs(rng.standard_t(9, size=(20_000, 40))).max(axis=1)
    below = np.mean(draws < simultaneous_z(40, trials=10))
    assert abs(below - 0.99) < 4 * np.sqrt(0.99 * 0.01 / 20_000)
