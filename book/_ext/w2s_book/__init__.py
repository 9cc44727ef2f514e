"""The book's own Sphinx extension."""

from sphinx.application import Sphinx

from . import chapters, colors, gallery, glossary, live, offline, plain, report, roles, traced


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all parts."""
    for part in (offline, colors, chapters, gallery, glossary, live, plain, report, roles, traced):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
