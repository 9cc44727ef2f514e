"""The book's own Sphinx extension."""

from sphinx.application import Sphinx

from . import (
    behind,
    chapters,
    colors,
    gallery,
    glossary,
    live,
    offline,
    plain,
    report,
    roles,
    traced,
)

PARTS = (offline, colors, chapters, behind, gallery, glossary, live, plain, report, roles, traced)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all parts."""
    for part in PARTS:
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
