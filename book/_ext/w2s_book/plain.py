"""The book as plain text beside its pages: llms.txt names them, llms-full.txt holds them all."""

from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString, Tag
from sphinx.application import Sphinx

from .pages import in_order

LEFT_OUT = ".headerlink, .chapter-tools, .behind, details.hide, style, script, button, .live"
HEADINGS = {"h1", "h2", "h3", "h4"}
BLOCKS = HEADINGS | {"p", "li", "dt", "dd", "pre", "table", "figcaption", "summary", "img"}


def lines_of(element: Tag) -> Iterator[str]:
    """Text of an element, a block at a time; TeX and code as they are."""
    for child in element.children:
        if not isinstance(child, Tag):
            continue
        name = child.name
        if name not in BLOCKS or child.find(["p", "li", "pre", "table", "img"]):
            if name == "li":
                yield "-"
            yield from lines_of(child)
        elif name == "pre":
            yield f"```\n{child.get_text().rstrip()}\n```"
        elif name == "table":
            for row in child.find_all("tr"):
                yield " | ".join(_words(cell) for cell in row.find_all(["th", "td"]))
        elif name == "img":
            yield f"[Figure: {child.get('alt', '')}]"
        else:
            mark = f"{'#' * int(name[1])} " if name in HEADINGS else "- " if name == "li" else ""
            yield mark + _words(child)


def _words(element: Tag) -> str:
    parts = (part for part in element.descendants if isinstance(part, NavigableString))
    return " ".join("".join(parts).split())


def write_text(app: Sphinx, error: Exception | None) -> None:
    """Write both files in the order of the table of contents."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    pages = [*in_order(app)]
    index, texts = [f"# {app.config.html_title}", ""], []
    for page in pages:
        soup = BeautifulSoup((folder / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        article = soup.select_one("article.bd-article")
        for part in article.select(LEFT_OUT):
            part.decompose()
        found = [line for line in lines_of(article) if line.strip("#- ")]
        texts.append("\n\n".join(found))
        first = next((line for line in found[1:] if line[0] not in "#[-`"), "")
        index.append(f"- [{app.env.titles[page].astext()}]({page}.html): {first}")
    index += ["", "The whole text: [llms-full.txt](llms-full.txt)"]
    (folder / "llms.txt").write_text("\n".join(index) + "\n", encoding="utf-8")
    (folder / "llms-full.txt").write_text("\n\n\n".join(texts) + "\n", encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register the hook."""
    app.connect("build-finished", write_text)
