"""All figures on one page: the directive ``{gallery}``."""

from collections.abc import Iterator
from html import escape
from pathlib import PurePosixPath
from posixpath import relpath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .pages import in_order

NOTHING = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


class Figures(nodes.General, nodes.Element):
    """Stands where the figures will."""


class Gallery(SphinxDirective):
    """Show each figure of the book small, with its caption and a link to its place."""

    def run(self) -> list[nodes.Node]:
        """Leave room: other pages may not be read yet."""
        return [Figures()]


def show_figures(app: Sphinx, document: nodes.document, docname: str) -> None:
    """Put all figures in place."""
    if app.builder.format != "html":
        return
    for place in [*document.findall(Figures)]:
        grid = nodes.container(classes=["gallery", "screen-only"])
        for page in in_order(app):
            if page != docname:
                grid += [entry for entry in _entries(app, page, docname)]
        place.replace_self(grid)


def _entries(app: Sphinx, page: str, gallery: str) -> Iterator[nodes.Element]:
    numbers = app.env.toc_fignumbers.get(page, {}).get("figure", {})
    for figure in app.env.get_doctree(page).findall(nodes.figure):
        image, caption = (next(figure.findall(kind), None) for kind in (nodes.image, nodes.caption))
        if image is None or caption is None or not figure["ids"]:
            continue
        anchor = figure["ids"][0]
        number = ".".join(map(str, numbers.get(anchor, ())))
        _, file = app.env.images[image["uri"]]
        source = relpath(f"_images/{file}", str(PurePosixPath(gallery).parent))
        place = f"{app.builder.get_relative_uri(gallery, page)}#{anchor}"
        alt = escape(image.get("alt", ""))
        shown = f'<img src="{NOTHING}" data-later="{source}" alt="{alt}">'
        entry = nodes.container(classes=["gallery-entry", anchor])
        text = f"Fig. {number}: {caption.astext()}" if number else caption.astext()
        entry += nodes.raw("", f'<a href="{place}">{shown}</a>', format="html")
        entry += nodes.paragraph("", text)
        yield entry


def setup(app: Sphinx) -> None:
    """Register the directive and the hook."""
    app.add_node(Figures)
    app.add_directive("gallery", Gallery)
    app.connect("doctree-resolved", show_figures)
