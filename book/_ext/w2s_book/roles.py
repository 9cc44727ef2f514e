"""Roles for screen readers that docutils writes and that browsers no longer accept."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def correct_lists_of_citations(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Drop the role of lists whose entries are no list items, and the entries' outdated one."""
    body = context.get("body", "")
    body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    context["body"] = body.replace(' role="doc-biblioentry"', "")


def setup(app: Sphinx) -> None:
    """Register the hook."""
    app.connect("html-page-context", correct_lists_of_citations)
