"""The book's Sphinx extension, on a small book that is built with it."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from w2s_utils.publish import build_book

ROOT = Path(__file__).parents[1]

INTRO = """# Introduction

An excess risk outside of a chapter stays as it is.

The chapter finds {glue:text}`../notebooks/04_chapter.ipynb::answer:.1f`.
"""
NOTATION = """# Notation

:::{glossary}
excess risk
  What it says.

risk
  Shorter than the other.

PGR
  A ratio.
:::
"""
CHAPTER = """# The excess risk

The `excess risk`, and excess risks in words. An excess risk again, and a Risk alone.

A {term}`PGR` that the author has linked, and a PGR that he has not.

The answer is {glue:text}`answer:.1f`.

```{live} angle
Move it:
```
"""
FIGURE = """from matplotlib import pyplot as plt
from w2s_utils import plots
plots.use_style()
plt.figure().add_subplot().plot([1, 2], [0.5, 0.25], label="student");"""
AS_FIGURE = {"figure": {"name": "fig-04-line", "caption": "A line."}, "image": {"alt": "A line"}}
SUMMARY = """## Summary

- Found.

The ledger of this chapter:
"""
HOSTILE = "`<img src=x onerror=alert(1)> | &lt;"
STATEMENT = "<b>&lt;x&gt;</b>\n\n<script>alert(1)</script> [a](b) ::: {raw}"
LEDGER = f"""STATEMENT = {STATEMENT!r}
from w2s_utils import checks, claims
from w2s_utils.metrics import Interval
measured, real, synthetic = Interval(1, 0.9, 1.1), claims.on("real"), claims.on("synthetic")
claims.record(
    synthetic.above(2, "a|b < $c$ *d* e_f", measured, 0.5, at="n = 3"),
    real.above(4, "first", measured, 2),
    real.above(4, "second", measured, 0.5),
    real.above(4, "third", measured, 1),
    real.above(4, "fourth", measured, 2, outside="no <teacher>"),
    synthetic.above(2, STATEMENT, measured, 0.5),
    claims.NotTested(8, "no photographs"),
    checks.within("two | formulas", 0.001, "well"),
)"""
REPORT = """# Report

```{verdicts}
```

(claim-1)=
(claim-2)=
(claim-3)=
(claim-4)=
(claim-5)=
(claim-6)=
(claim-7)=
(claim-8)=
## Findings

```{findings} 2
```

```{findings} 4
```

```{checks}
```

```{build-facts}
```
"""


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    shutil.copytree(ROOT / "book/_ext", root / "book/_ext")
    shutil.copytree(ROOT / "book/_static", root / "book/_static")
    shutil.copy(ROOT / "book/references.bib", root / "book")
    shutil.copy(ROOT / "_config.yml", root)
    pages = {"intro": INTRO, "notation": NOTATION, "report": REPORT, "rerun": "# Rerun\n"}
    for name, content in pages.items():
        (root / f"book/{name}.md").write_text(content)
    cells = [
        new_markdown_cell(CHAPTER, id="text"),
        new_code_cell("n = ''", id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell(
            "from myst_nb import glue\nglue('answer', 42.0, display=False)",
            id="computes",
            metadata={"tags": ["hide-input"]},
        ),
        new_code_cell(FIGURE, id="draws", metadata={"mystnb": AS_FIGURE}),
        new_markdown_cell(SUMMARY, id="summary"),
        new_code_cell(LEDGER, id="ledger"),
    ]
    (root / "notebooks/profiles").mkdir(parents=True)
    (root / "notebooks/profiles/quick.yaml").write_text(
        f"04_chapter: {{n: {json.dumps(HOSTILE)}}}\n"
    )
    nbformat.write(new_notebook(cells=cells), root / "notebooks/04_chapter.ipynb")
    files = ["notebooks/04_chapter", "book/notation", "book/report", "book/rerun"]
    toc = {"format": "jb-book", "root": "book/intro", "chapters": [{"file": f} for f in files]}
    (root / "_toc.yml").write_text(json.dumps(toc))
    (root / "notebooks/verdicts").mkdir()
    (root / "notebooks/verdicts/paper.yaml").write_text(
        "04_chapter: {'claim 4, real data: first': unresolved}\n"
    )
    page = build_book(root, report=lambda line: None, record_verdicts=True)
    return page.parent.resolve()


class Cells(HTMLParser):
    """Collects the texts of the cells of all tables, row by row."""

    def __init__(self, html):
        super().__init__()
        self.rows = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data.strip()


def test_first_use_of_each_term_is_linked_and_no_other(html):
    page = (html / "notebooks/04_chapter.html").read_text()
    links = re.findall(r'href="\.\./book/notation\.html#term-([\w-]+)"[^>]*>(.*?)</a>', page)
    shown = [(term, re.sub("<.*?>", "", text)) for term, text in links]
    assert shown == [("excess-risk", "excess risks"), ("risk", "Risk"), ("PGR", "PGR")]
    assert "term-" not in (html / "index.html").read_text() + (html / "book/intro.html").read_text()


def test_a_chapter_offers_its_executed_notebook_and_the_command_that_reruns_it(html):
    page = (html / "notebooks/04_chapter.html").read_text()
    (target,) = re.findall(r'href="([^"]+)" download>Download this notebook', page)
    executed = nbformat.read(html / "notebooks" / target, as_version=4)
    assert any(cell.get("outputs") for cell in executed.cells)
    assert "w2s run 04_chapter -p NAME VALUE" in re.sub("<.*?>", "", page)
    assert "download>" not in (html / "book/rerun.html").read_text()


def test_report_gives_the_verdicts_of_both_profiles_and_leads_to_the_cells(html):
    page = (html / "book/report.html").read_text()
    rows = Cells(page).rows
    claims = {row[0]: row[2:] for row in rows if len(row) == 6 and row[0].isdigit()}
    assert rows[0][2:] == [
        f"{data} data, {profile} profile"
        for data in ("synthetic", "real")
        for profile in ("paper", "quick")
    ]
    assert claims["2"] == ["not tested", "holds (2 hold)", "not tested", "not tested"]
    assert claims["4"][2:] == [
        "unresolved (1 unresolved)",
        "holds in part (1 hold, 1 contradicted, 1 unresolved, 1 outside the claim)",
    ]
    assert claims["8"] == ["not tested"] * 4
    found = {row[1]: row for row in rows if row[0] == "chapter 4"}
    measured = "1 [0.9, 1.1]"
    assert found["first"][2:] == [measured, "above 2", "contradicted", "unresolved"]
    assert found["fourth"][2:] == [measured, "above 2", "outside the claim: no <teacher>", "–"]
    assert found["a|b < $c$ *d* e_f (n = 3)"][2:] == [measured, "above 0.5", "holds", "–"]
    assert found["two | formulas"][2:] == ["0.001", "below 0.05", "passes", "–"]
    (place,) = set(re.findall(r'href="\.\./notebooks/04_chapter\.html#([\w-]+)"', page))
    assert f'id="{place}"' in (html / "notebooks/04_chapter.html").read_text()


def test_build_facts_name_profile_and_parameters(html):
    page = (html / "book/report.html").read_text()
    assert "Profile <code" in page
    (row,) = [row for row in Cells(page).rows if row[0] == "The excess risk"]
    assert float(row[1]) > 0
    assert row[2] == f"n={HOSTILE}"


def test_markup_in_statements_and_parameters_is_shown_and_not_obeyed(html):
    report = (html / "book/report.html").read_text()
    for page in (report, (html / "notebooks/04_chapter.html").read_text()):
        assert "<b>" not in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    row = [" ".join(STATEMENT.split()), "1 [0.9, 1.1]", "above 0.5", "holds", "–"]
    assert ["chapter 4", *row] in Cells(report).rows


def test_numbers_lead_to_the_cell_that_computed_them(html):
    link = '<a class="computed reference internal" href="{}" title="Computed by cell computes">'
    number = '<span class="pasted-text">{}</span></a>'
    chapter = (html / "notebooks/04_chapter.html").read_text()
    assert link.format("#cell-computes") + number.format("42.0") in chapter
    assert 'id="cell-computes"' in chapter
    intro = (html / "book/intro.html").read_text()
    place = "../notebooks/04_chapter.html#cell-computes"
    assert link.format(place) + number.format("42.0") in intro


def test_a_link_to_a_cell_opens_its_code(html, chromium):
    page = chromium.new_page()
    page.goto((html / "notebooks/04_chapter.html").as_uri())
    code = page.locator("#cell-computes > details")
    assert code.get_attribute("open") is None
    page.locator("a.computed").click()
    page.wait_for_function("document.querySelector('#cell-computes > details').open")
    page.close()


def test_a_figure_leads_to_its_cell_and_to_its_numbers(html):
    page = (html / "notebooks/04_chapter.html").read_text()
    figure = page[page.index('<figure class="align-default" id="fig-04-line"') :]
    links = re.findall(r'<a href="([^"]+)"', figure[: figure.index("</figure>")])
    assert links[-2:] == ["#cell-draws", "../_data/fig-04-line.csv"]
    assert 'id="cell-draws"' in page
    table = (html / "_data/fig-04-line.csv").read_text().splitlines()
    assert table[1:] == ["1,student,1,0.5,,,", "1,student,2,0.25,,,"]


def test_a_summary_is_boxed_without_the_ledger(html):
    chapter = (html / "notebooks/04_chapter.html").read_text()
    box = re.search(r'<div class="found.*?</div>', chapter, re.S)[0]
    assert "Found." in box
    assert "The ledger of this chapter" not in box
    assert "The ledger of this chapter" in chapter


def test_a_live_figure_has_its_scripts(html):
    chapter = (html / "notebooks/04_chapter.html").read_text()
    assert '<figure class="live" data-live="angle">' in chapter
    for file in ("engine.js", "live.js", "live.css", "unfold.js"):
        assert f"_static/{file}" in chapter
        assert (html / "_static" / file).exists()
