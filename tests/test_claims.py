import json

import numpy as np
import pytest

from w2s_utils.claims import (
    CLAIMS,
    LEDGER_KEY,
    Entry,
    Finding,
    NotTested,
    entries,
    on,
    overall,
    record,
)
from w2s_utils.metrics import Estimate
from w2s_utils.thresholds import LIKELY, simultaneous_z


@pytest.mark.parametrize(
    ("measured", "relation", "tolerance", "holds"),
    [
        (1.04, "near", 0.05, True),
        (1.06, "near", 0.05, False),
        (1.1, "above", 0.0, True),
        (1.0, "above", 0.0, False),
        (0.9, "below", 0.0, True),
        (1.0, "below", 0.0, False),
        (np.nan, "near", 0.05, False),
        (np.nan, "above", 0.0, False),
        (np.nan, "below", 0.0, False),
    ],
)
def test_verdicts(measured, relation, tolerance, holds):
    assert Finding(2, "x", measured, 1.0, relation, tolerance).holds is holds


def test_a_failed_claim_is_shown_as_failed():
    data, metadata = record(Finding(3, "gap", 0.1, 1.0, "above"))._repr_mimebundle_()
    assert "does not hold" in data["text/plain"]
    assert "does not hold" in data["text/html"]
    assert metadata[LEDGER_KEY][0]["holds"] is False


def test_a_claim_that_was_not_tested_is_shown_as_such_and_never_as_holding():
    skipped = NotTested(8, "the data are not at hand")
    data, metadata = record(skipped, Finding(1, "x", 1.0, 0.0, "above"))._repr_mimebundle_()
    assert data["text/plain"].splitlines()[0] == "claim 8: the data are not at hand: not tested"
    assert "<td></td><td></td><td>not tested</td>" in data["text/html"]
    assert metadata[LEDGER_KEY][0] == {
        "claim": 8, "statement": "the data are not at hand", "data": "real", "holds": None
    }  # fmt: skip
    assert data["text/plain"].count("holds") == data["text/html"].count("holds") == 1
    with pytest.raises(ValueError, match="claim must be one of"):
        NotTested(9, "x")


def test_the_ledger_survives_strict_json_and_escapes_html():
    findings = (
        Finding(1, "<script>", np.float32(1), np.array(1.0), tolerance=np.float64(0.1)),
        Finding(1, "undefined", np.nan, 1.0, "below"),
    )
    data, metadata = record(*findings)._repr_mimebundle_()
    assert "<script>" not in data["text/html"]
    first, second = json.loads(json.dumps(metadata[LEDGER_KEY], allow_nan=False))
    assert (first["statement"], first["measured"], first["holds"]) == ("<script>", 1.0, True)
    assert (second["measured"], second["holds"]) == (None, False)


def test_the_papers_eight_claims_are_listed():
    assert list(CLAIMS) == list(range(1, 9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((9, "x", 1.0, 1.0, "near", 0.1), "claim must be one of"),
        ((1, "x", 1.0, 1.0, "about", 0.1), "relation must be"),
        ((1, "x", 1.0, 1.0, "near"), "tolerance above zero goes with 'near'"),
        ((1, "x", 1.0, 1.0, "above", 0.1), "tolerance above zero goes with 'near'"),
    ],
)
def test_meaningless_findings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Finding(*arguments)
    with pytest.raises(ValueError, match="at least one"):
        record()


def test_the_ledger_is_read_back_from_an_executed_notebook(tmp_path):
    findings = (
        Finding(1, "x", 1.0, 0.9, tolerance=0.2, data="real"),
        NotTested(8, "no data"),
        Finding(2, "undefined", np.nan, 1.0, "below"),
    )
    _, metadata = record(*findings)._repr_mimebundle_()
    cells = [{"id": "title"}, {"id": "ledger", "outputs": [{}, {"metadata": metadata}]}]
    executed = tmp_path / "04_x.ipynb"
    executed.write_text(json.dumps({"cells": cells}))
    first, second, third = entries(executed)
    assert (first, second) == tuple(Entry("04_x", "ledger", f) for f in findings[:2])
    assert np.isnan(third.finding.measured)
    assert not third.finding.holds


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        ([1.0, 2.0], "holds"),
        ([1.0, -1.0], "holds in part"),
        ([-1.0, np.nan], "does not hold"),
        ([], "not tested"),
    ],
)
def test_the_verdict_on_a_claim_weighs_what_was_tested(measured, verdict):
    findings = [Finding(1, "x", value, 0.0, "above") for value in measured]
    assert overall([*findings, NotTested(1, "y")]) == verdict


ESTIMATE = Estimate(0.4, 0.1)


@pytest.mark.parametrize(
    ("word", "arguments", "measured", "relation", "expected", "tolerance"),
    [
        ("above", (1.2, 1), 1.2, "above", 1, 0),
        ("below", (0.8, 1), 0.8, "below", 1, 0),
        ("clearly_above", (ESTIMATE,), 4, "above", 3, 0),
        ("clearly_above", (ESTIMATE, 0.2), 2, "above", 3, 0),
        ("clearly_above", (ESTIMATE, 0.1, LIKELY), 3, "above", 2, 0),
        ("clearly_above", ([ESTIMATE, 7.0, Estimate(0.1, 0.1)],), 1, "above", 3, 0),
        ("clearly_below", ([-5.0, ESTIMATE],), 4, "below", -3, 0),
        ("not_above", ([-5.0, ESTIMATE],), 4, "below", 3, 0),
        ("not_above", (1.0, LIKELY), 1, "below", 2, 0),
        ("not_below", ([-5.0, ESTIMATE],), -5, "above", -3, 0),
        ("agrees", ([1.0, -3.5],), 3.5, "below", 4, 0),
        ("agrees", (-2.0, 3.7), 2, "below", 3.7, 0),
        ("near", (ESTIMATE, 0.5), 0.4, "near", 0.5, 0.4),
        ("near", (ESTIMATE, 0.5, "fairly"), 0.4, "near", 0.5, 0.5),
        ("near", (0.995, 1, "precisely"), 0.995, "near", 1, 0.01),
        ("matches", (0.04, "well"), 0.04, "below", 0.05, 0),
        ("differs", (0.2,), 0.2, "above", 0.1, 0),
        ("never", (0,), 0, "below", 1, 0),
        ("same_law", ([0.5, 0.01],), 0.01, "above", 1e-3, 0),
        ("correlates", (0.7,), 0.7, "above", 0.6, 0),
        ("same_order", (0.97,), 0.97, "above", 0.95, 0),
    ],
)
def test_the_words_of_the_ledger(word, arguments, measured, relation, expected, tolerance):
    found = getattr(on("real"), word)(5, "x", *arguments)
    assert (found.claim, found.statement, found.data) == (5, "x", "real")
    assert (found.relation, found.expected) == (relation, expected)
    assert (found.measured, found.tolerance) == pytest.approx((measured, tolerance))


@pytest.mark.parametrize("word", ["clearly_above", "clearly_below", "not_above", "not_below"])
def test_an_undefined_estimate_settles_nothing(word):
    undefined = Estimate(np.nan, np.nan)
    for found in (undefined, [undefined, 0.0], [0.0, undefined]):
        assert not getattr(on("synthetic"), word)(5, "x", found).holds


def test_unknown_words_for_a_tolerance_are_refused():
    for word in (on("real").matches, on("real").near):
        arguments = (0.1, "nearly") if word.__name__ == "matches" else (0.1, 0.1, "nearly")
        with pytest.raises(ValueError, match=r"one of identically, .*, got 'nearly'"):
            word(1, "x", *arguments)


def test_the_largest_of_many_z_scores_stays_below_its_limit_in_99_of_100_runs():
    rng = np.random.default_rng(0)
    draws = np.abs(rng.standard_t(9, size=(20_000, 40))).max(axis=1)
    below = np.mean(draws < simultaneous_z(40, trials=10))
    assert abs(below - 0.99) < 4 * np.sqrt(0.99 * 0.01 / 20_000)
