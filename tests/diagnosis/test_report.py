"""Reports of diagnoses: text that fits, strict JSON, and pages that stand alone."""

import json
import re
from dataclasses import replace
from html import escape

import numpy as np
import pytest

from tests.conftest import violations
from w2s_utils.diagnosis import (
    Ranking,
    RankingReport,
    Report,
    diagnose,
    rank_teachers,
    tables,
    verify,
)
from w2s_utils.metrics import MODELS

HOSTILE = "<script>document.title='owned'</script>\"'&$\\frac${x}.npy"


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((600, 12))
    y = X @ np.linspace(1, 0.5, 12) + rng.standard_normal(600)
    return X[:, :8], X[:, 5:], y


@pytest.fixture(scope="module")
def checked(arrays):
    d = diagnose(*arrays, n=[8, 20, 60, 200], N=[5, 8, 30, 200, 10_000])
    return d, verify(d, *arrays, trials=3)


@pytest.fixture(scope="module")
def ranking(arrays):
    weak, strong, y = arrays
    return rank_teachers({HOSTILE: weak, "half": weak[:, :4]}, strong, y, n=60, N=200)


@pytest.fixture(scope="module")
def of_classes(arrays):
    weak, strong, y = arrays
    labels = np.where(y > 0.5, "good", "bad")
    sizes = {"n": [60, 200], "N": [100, 300]}
    found = {}
    for loss in ("squared", "cross-entropy"):
        d = diagnose(weak, strong, labels, **sizes, loss=loss)
        found[loss] = Report(d, verify(d, weak, strong, labels, trials=3))
    return found


def test_reports_of_classes_show_accuracies_and_fit_a_terminal(of_classes):
    for loss, report in of_classes.items():
        d, text = report.diagnosis, report.text
        assert [line for line in text.splitlines() if len(line) > 80] == []
        row = next(line for line in text.splitlines() if re.match(r" +200 +\d\d\.\d ± ", line))
        shown = [100 * d.accuracy[model].value[1, -1] for model in MODELS]
        assert numbers(row)[::2] == pytest.approx(shown, abs=0.051)
        assert ("Cross-entropy" in text) == (loss == "cross-entropy")
        assert "In accuracy the student" in text
        models = [line.split()[2] for line in text.splitlines() if re.match(r" +60 +100 +\w", line)]
        assert models[-4:] == ["teacher", "student", "baseline", "ceiling"]
        found = json.loads(report.json, parse_constant=pytest.fail)["classification"]
        assert found["loss"] == loss
        assert len(found["predictions"]) == 4
        last = found["predictions"][-1]
        for model in MODELS:
            assert last[model] == d.accuracy[model].value[-1, -1]
            assert last[f"{model}_low"] <= last[model] <= last[f"{model}_high"]
            assert (f"cross_entropy_{model}" in last) == (loss == "cross-entropy")


def numbers(text):
    return [float(found) for found in re.findall(r"-?\d+\.\d+", text.replace(",", ""))]


def test_the_text_fits_a_terminal_and_says_what_the_diagnosis_says(checked):
    d, check = checked
    text = Report(d, check, teacher="w.npy", student="s.npy").text
    assert [line for line in text.splitlines() if len(line) > 80] == []
    flat = " ".join(text.split())
    for said in (d.verdict.headline, *d.verdict.reasons, *d.warnings):
        assert said in flat
    row = next(line for line in text.splitlines() if re.match(r" +60 +\d+\.\d+ ± ", line))
    shown = numbers(row)
    for k, model in enumerate(("weak", "student", "baseline", "ceiling")):
        band = d.risk[model]
        assert shown[2 * k] == pytest.approx(band.value[2, -1], abs=1e-3)
        assert shown[2 * k + 1] == pytest.approx(band.high[2, -1] - band.value[2, -1], abs=1e-3)


def test_one_point_is_no_choice_of_n_and_no_median_over_points(arrays):
    d = diagnose(*arrays, n=60, N=200)
    text = Report(d, verify(d, *arrays, trials=2)).text
    assert "Best n" not in text
    assert "Distance at the point: " in text


def test_names_of_classes_cannot_command_the_terminal(checked):
    named = replace(checked[0], classes=("\x1b[2Ja", "b\r"))
    assert "classes ?[2Ja, b?." in Report(named, teacher="w.npy", student="s.npy").heading


def test_what_is_undefined_is_a_dash_in_text_and_null_in_json(checked):
    d, check = checked
    assert np.isnan(d.pgr.value).any() or np.isinf(d.beats_teacher).any()
    found = json.loads(Report(d, check).json, parse_constant=pytest.fail)
    for i, first in enumerate(found["student_wins_from_N"]):
        exact = d.beats_teacher[i]
        assert first["over_teacher"] == (exact if np.isfinite(exact) else None)
    pgr = np.array([p["pgr"] for p in found["predictions"]], float).reshape(d.pgr.value.shape)
    np.testing.assert_array_equal(pgr, d.pgr.value)
    student = np.array([p["student"] for p in found["predictions"]], float)
    names = [f"student_{part}" for part in ("inherited", "reduced", "missed", "leaked", "unseen")]
    parts = np.array([[p[name] for name in names] for p in found["predictions"]], float)
    exact = d.exact.ravel()
    np.testing.assert_allclose(parts.sum(axis=1)[exact], student[exact])
    assert "nan" not in Report(d, check).text


def test_the_ranking_names_the_best_first_and_the_ties(ranking):
    text = RankingReport(ranking).text
    found = json.loads(RankingReport(ranking).json, parse_constant=pytest.fail)
    assert found["ranking"][0]["teacher"] == ranking.table["teacher"][0] == HOSTILE
    assert found["ranking"][-1]["probability"] is None
    assert f"Take {HOSTILE}" in " ".join(text.split())
    assert tables.ranked(ranking.table, "teacher")[1][1] == HOSTILE


@pytest.mark.parametrize(
    ("probability", "shown", "told"),
    [(0.9499, "94 %", "Not sure at 95 %: b before a."), (0.9501, "95 %", "is sure at 95 %.")],
)
def test_a_ranking_speaks_of_one_level(ranking, probability, shown, told):
    table = ranking.table.assign(teacher=["b", "a"], probability=[probability, np.nan])
    ties = (("b", "a"),) if probability < 0.95 else ()
    both = dict(zip("ba", ranking.diagnoses.values(), strict=True))
    report = RankingReport(Ranking("teacher", 60, 200, table, ties, both))
    header, first, _ = tables.ranked(table, "teacher")
    assert dict(zip(header, first, strict=True))["sure"] == shown
    for text in (report.text, report.html):
        flat = " ".join(text.split())
        assert told in flat
        assert "at 90 %" not in flat
        assert "Above 95 % the 90 % band of their difference leaves out zero" in flat
    assert json.loads(report.json)["sure_above"] == 0.95


def test_a_notebook_shows_the_verdict_and_the_risks(checked):
    d, check = checked
    for shown in (d._repr_html_(), Report(d, check, teacher=HOSTILE)._repr_html_()):
        assert escape(d.verdict.headline) in shown
        assert f"<td>{d.n[-1]}</td><td>{d.risk['weak'].value[-1, -1]:.3f} ± " in shown
        assert not re.search("<html|<style|<script|<svg", shown)


def pages(checked, ranking, of_classes):
    d, check = checked
    return {
        "classes": replace(of_classes["cross-entropy"], teacher="w", student=HOSTILE).html,
        "plain": Report(d, teacher=HOSTILE, student="s").html,
        "verified": Report(d, check, teacher="w", student=HOSTILE).html,
        "ranking": RankingReport(ranking, student=HOSTILE).html,
    }


def test_pages_refer_to_nothing_outside_and_hold_no_scripts(checked, ranking, of_classes):
    for html in pages(checked, ranking, of_classes).values():
        assert not re.search(
            r"https?:|@import|<script|<link(?! rel=\"icon\" href=\"data:,\")", html
        )
        assert html.count("<svg") >= 1
        ids = re.findall(r' id="([^"]+)"', html)
        assert len(set(ids)) == len(ids)
        assert all(re.findall(r'role="img" aria-label="[^"]{20,}"', html))


def test_the_same_diagnosis_gives_the_same_page(checked):
    d, check = checked
    assert Report(d, check).html == Report(d, check).html


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_open_offline_without_a_complaint(
    checked, ranking, of_classes, chromium, tmp_path, width, scheme
):
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    problems, asked = [], []
    sheet = context.new_page()
    sheet.on("console", lambda message: problems.append(message.text))
    sheet.on("pageerror", lambda error: problems.append(str(error)))
    sheet.on("request", lambda request: asked.append(request.url))
    for name, html in pages(checked, ranking, of_classes).items():
        file = tmp_path / f"{name}.html"
        file.write_text(html)
        asked.clear()
        sheet.goto(file.as_uri(), wait_until="load")
        assert asked == [file.as_uri()]
        assert sheet.title() in (f"Will {HOSTILE} help s?", f"Will w help {HOSTILE}?",
                                 f"Which teacher for {HOSTILE}?")  # fmt: skip
        assert sheet.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert sheet.evaluate("document.querySelectorAll('script').length") == 0
        ink, paper = sheet.evaluate(
            "[getComputedStyle(document.querySelector('svg text')).fill,"
            " getComputedStyle(document.body).backgroundColor]"
        )
        assert (sum(rgb(ink)) > sum(rgb(paper))) == (scheme == "dark")
        assert violations(sheet) == []
    context.close()
    assert problems == []


def rgb(color):
    return [int(part) for part in re.findall(r"\d+", color)[:3]]
