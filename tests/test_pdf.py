"""Joining the pages of a book, and printing them."""

import os
import re
import shutil

import pytest

from w2s_utils.errors import UserError
from w2s_utils.publish.pdf import one_page, print_book

PAGE = """<!doctype html><head><title>{title} — The book</title>
<link rel="stylesheet" href="{up}_static/style.css?v=1">
<script>window.MathJax = {{}}</script><script src="{up}_static/tex-chtml-full.js"></script></head>
<body><nav>menu</nav><article class="bd-article"><section id="top"><h1>{title}</h1>{body}</section>
</article></body>"""
PAGES = ["book/intro", "notebooks/04_risk"]


@pytest.fixture
def book(tmp_path):
    links = '<a href="../notebooks/04_risk.html#top">in</a> <a href="#top">same</a>'
    bodies = [
        links + ' <a href="../notebooks/04_risk.html">page</a> <a href="https://x.org/y">out</a>',
        '<img src="../_images/figure.png" alt="f"><a href="../book/absent.html">left out</a>',
    ]
    for name, body in zip(PAGES, bodies, strict=True):
        path = tmp_path / f"{name}.html"
        path.parent.mkdir()
        path.write_text(PAGE.format(title=f"Title of {name}", up="../", body=body))
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static/style.css").write_text("article { color: black; }")
    (tmp_path / "_static/tex-chtml-full.js").write_text("")
    return tmp_path


def test_links_stay_inside_the_document_and_files_are_found(book):
    html = one_page(book, PAGES)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    targets = re.findall(r'<a href="([^"]+)"', html)
    inside = [target for target in targets if target.startswith("#")]
    assert {target[1:] for target in inside} <= set(ids)
    assert len(inside) == 3
    assert targets[3:] == ["https://x.org/y", "../book/absent.html"]
    assert f'src="{(book / "_images/figure.png").as_uri()}"' in html
    assert html.count("style.css") == html.count("tex-chtml-full.js") == 1
    assert "<title>The book</title>" in html
    assert "menu" not in html


def test_cells_are_named_on_paper_once_a_paragraph(book):
    number = '<a class="computed" href="#cell-{0}" title="Computed by cell {0}">1</a>'
    body = f"<p>{number.format('fit')} and {number.format('fit')}, {number.format('draw')}.</p>"
    body += (
        '<figure><p class="behind"><a href="#cell-draw">Code</a> · <a href="x">CSV</a></p></figure>'
    )
    page = PAGE.format(title="Numbers", up="../", body=body)
    (book / "notebooks/05_numbers.html").write_text(page)
    html = one_page(book, [*PAGES, "notebooks/05_numbers"])
    assert '<small class="cells"> [fit, draw]</small></p>' in html
    assert '<p class="behind">[draw]</p>' in html


def test_what_is_for_screens_alone_is_left_out(book):
    page = PAGE.format(title="Moves", up="../", body='<div class="screen-only">slider</div>')
    (book / "book/explorer.html").write_text(page)
    html = one_page(book, [*PAGES, "book/explorer"])
    assert "slider" not in html
    assert html == one_page(book, PAGES)


@pytest.mark.skipif(
    not (shutil.which("chromium") or os.environ.get("CI")), reason="Chromium is not installed."
)
def test_the_print_has_an_outline_and_appears_whole(book, tmp_path):
    target = tmp_path / "book.pdf"
    print_book(book, PAGES, target)
    content = target.read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/Outlines" in content
    assert content.rstrip().endswith(b"%%EOF")


def test_without_chromium_one_sentence_says_what_to_do(book, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="needs Chromium: install it"):
        print_book(book, PAGES, tmp_path / "book.pdf")
