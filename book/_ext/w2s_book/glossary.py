"""Link each glossary term where a chapter first uses it."""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

GLOSSARY_PAGE = "book/notation"
# A term inside one of these is no running text, or a link already.
NO_TEXT = (
    nodes.title,
    nodes.reference,
    nodes.literal,
    nodes.math,
    nodes.raw,
    addnodes.pending_xref,
    addnodes.download_reference,
)


def terms(page: str) -> list[str]:
    """List the terms that a glossary in MyST defines, long ones first."""
    glossary = re.search(r"^:::\{glossary\}\n(.*?)^:::$", page, re.M | re.S)
    found = re.findall(r"^(\S.*)$", glossary[1], re.M) if glossary else []
    return sorted(found, key=len, reverse=True)


def link_first_uses(app: Sphinx, document: nodes.document) -> None:
    """Turn the first plain mention of each term in a notebook's text into a link."""
    docname = app.env.docname
    if not docname.startswith("notebooks/"):
        return
    page = Path(app.env.doc2path(GLOSSARY_PAGE)).read_text(encoding="utf-8")
    linked = {
        reference["reftarget"].lower()
        for reference in document.findall(addnodes.pending_xref)
        if reference.get("reftype") == "term"
    }
    left = [term for term in terms(page) if term.lower() not in linked]
    for text in list(document.findall(nodes.Text)):
        if left and is_running_text(text):
            link_terms(text, left, docname)


def is_running_text(text: nodes.Text) -> bool:
    """Tell whether a text belongs to a paragraph and to no link, code or heading in it."""
    parent, inside_paragraph = text.parent, False
    while parent is not None:
        if isinstance(parent, NO_TEXT):
            return False
        inside_paragraph |= isinstance(parent, nodes.paragraph)
        parent = parent.parent
    return inside_paragraph


def link_terms(text: nodes.Text, left: list[str], docname: str) -> None:
    """Split a text at the first use of each term that is left, and strike these terms off."""
    names = "|".join(map(re.escape, left))
    pieces: list[nodes.Node] = []
    end = 0
    for match in re.finditer(rf"\b({names})(?:s|es)?\b", text.astext(), re.IGNORECASE):
        term = next((term for term in left if term.lower() == match[1].lower()), None)
        if term is None:  # struck off by an earlier match in this text
            continue
        left.remove(term)
        pieces += [nodes.Text(text.astext()[end : match.start()]), link(term, match[0], docname)]
        end = match.end()
    if pieces:
        text.parent.replace(text, [*pieces, nodes.Text(text.astext()[end:])])


def link(term: str, shown: str, docname: str) -> addnodes.pending_xref:
    """Give a link to the glossary."""
    return addnodes.pending_xref(
        "",
        nodes.inline("", shown),
        refdomain="std",
        reftype="term",
        reftarget=term,
        refexplicit=True,
        refdoc=docname,
        refwarn=True,
    )


def setup(app: Sphinx) -> None:
    """Register the hook."""
    app.connect("doctree-read", link_first_uses)
