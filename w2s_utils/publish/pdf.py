"""Print a built book, all pages in one PDF."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any
from urllib.parse import urldefrag

from w2s_utils._files import write_atomically
from w2s_utils.errors import UserError

STYLE = """
  article { break-before: page; }
  .headerlink, .chapter-tools, details.hide, .copybtn, .d-print-none,
  div.cell:not(.tag_parameters) > div.cell_input { display: none !important; }
  figure, table, mjx-container { break-inside: avoid; }
  h1, h2, h3 { break-after: avoid; }
  pre { white-space: pre-wrap !important; }
  .bd-article table { display: table; font-size: 8.5pt; }
  .cells, .behind { color: #666; font-size: 6.5pt; }
  .cover { break-before: avoid; padding-top: 30vh; text-align: center; }
"""
FOOTER = (
    '<div style="font-size: 8px; width: 100%; text-align: center">'
    '<span class="pageNumber"></span></div>'
)


def print_book(book: Path, pages: Sequence[str], target: Path) -> None:
    """Print pages of a built book.

    Parameters
    ----------
    book : Path
        Folder of the built book.
    pages : sequence of str
        Names of the pages, such as ``notebooks/04_w2s_risk``, in the order of printing.
    target : Path
        The PDF; it appears when it is whole. Links within the book lead to pages of the PDF, its
        outline lists all headings, and code is left to the notebooks.

    Raises
    ------
    UserError
        If there is no Chromium to print with.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise UserError("Printing needs Chromium: install it, so that 'chromium' is a command.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        whole = Path(folder) / "book.html"
        whole.write_text(one_page(book, pages), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        page = browser.new_page(color_scheme="light")
        page.goto(whole.as_uri(), wait_until="load")
        page.evaluate("window.MathJax?.startup?.promise")
        page.evaluate("document.fonts.ready.then(() => null)")
        pdf = page.pdf(
            format="A4",
            scale=0.85,
            margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
        browser.close()
    write_atomically(target, pdf)


def one_page(book: Path, pages: Sequence[str]) -> str:
    """Join pages of a built book into one HTML document whose links stay within it.

    Pages with an element of the class `screen-only` are left out.
    """
    from bs4 import BeautifulSoup

    texts = {name: (book / f"{name}.html").read_text(encoding="utf-8") for name in pages}
    pages = [name for name in pages if "screen-only" not in texts[name]]
    document: Any = BeautifulSoup(
        "<!doctype html><html lang='en' data-theme='light'><head><meta charset='utf-8'>"
        "<title></title></head><body><h1 class='cover'></h1></body></html>",
        "html.parser",
    )
    for number, name in enumerate(pages):
        soup: Any = BeautifulSoup(texts[name], "html.parser")
        folder = PurePosixPath(name).parent
        if number == 0:
            title = soup.title.string.rpartition(" — ")[2].strip()
            for heading in document.find_all(["title", "h1"]):
                heading.string = title
            # The styles and scripts of one page serve all.
            for part in soup.select("head link[rel=stylesheet], script[src*=tex-chtml]"):
                _absolute(part, book, folder)
                document.head.append(part)
            document.head.insert(1, soup.find("script", string=re.compile("window.MathJax =")))
            style = document.new_tag("style")
            style.string = STYLE
            document.head.append(style)
        article = soup.select_one("article.bd-article")
        for part in article.select("[src]"):
            _absolute(part, book, folder)
        for part in article.select("[id]"):
            part["id"] = _anchor(name, part["id"])
        for link in article.select("a[href]"):
            link["href"] = _target(link["href"], name, pages)
        _name_cells(article, document)
        article["id"] = _anchor(name, "")
        document.body.append(article)
    return str(document)


def _name_cells(article: Any, document: Any) -> None:
    """Say in words, on paper, which cells computed a text's numbers and drew a figure."""
    cells: dict[int, tuple[Any, list[str]]] = {}
    for link in article.select("a.computed"):
        text = link.find_parent(["p", "li", "td", "dd", "div"])
        _, names = cells.setdefault(id(text), (text, []))
        name = link["title"].rpartition(" ")[2]
        if name not in names:
            names.append(name)
    for text, names in cells.values():
        said = document.new_tag("small", attrs={"class": "cells"})
        said.string = f" [{', '.join(names)}]"
        text.append(said)
    for links in article.select(".behind"):
        links.string = f"[{links.a['href'].rpartition('cell-')[2]}]"


def _absolute(part: Any, book: Path, folder: PurePosixPath) -> None:
    """Let a file of the book be found from anywhere."""
    attribute = "src" if part.has_attr("src") else "href"
    path = part[attribute].partition("?")[0]
    if not path.startswith("data:"):
        part[attribute] = (book / normpath(folder / path)).resolve().as_uri()


def _target(href: str, page: str, pages: Sequence[str]) -> str:
    """Turn a link to another page into one within the document."""
    path, anchor = urldefrag(href)
    if not path:
        return f"#{_anchor(page, anchor)}"
    name = normpath(PurePosixPath(page).parent / path).removesuffix(".html")
    return f"#{_anchor(name, anchor)}" if name in pages else href


def _anchor(page: str, anchor: str) -> str:
    return f"{page.replace('/', '-')}--{anchor}"
