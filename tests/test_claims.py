import json

import numpy as np
import pytest

from w2s_utils.claims import CLAIMS, LEDGER_KEY, Entry, Finding, NotTested, entries, overall, record


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
