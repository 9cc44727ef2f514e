"""The pages of the book."""

from collections.abc import Iterator

from sphinx.application import Sphinx


def in_order(app: Sphinx, page: str = "") -> Iterator[str]:
    """Name a page and those below it, by default all, as the table of contents has them."""
    page = page or app.config.root_doc
    yield page
    for below in app.env.toctree_includes.get(page, []):
        yield from in_order(app, below)
