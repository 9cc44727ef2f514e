"""What every chapter gets that is a notebook: tools, an anchor for each cell, a boxed summary."""

import json
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

RERUN_PAGE = "book/rerun"
AFTER_SUMMARY = "The ledger of this chapter", "The checks of this chapter"


def cell_anchor(cell: str) -> str:
    """Give the HTML id of a cell of code."""
    return f"cell-{cell}"


def anchor_cells(app: Sphinx, document: nodes.document) -> None:
    """Let links lead to a cell of code by its id."""
    source = Path(app.env.doc2path(app.env.docname))
    if source.suffix != ".ipynb":
        return
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    for container in document.findall(nodes.container):
        if container.get("nb_element") == "cell_code":
            container["ids"].append(cell_anchor(cells[container["cell_index"]]["id"]))


def add_tools(app: Sphinx, document: nodes.document) -> None:
    """Offer the executed notebook and the command that reruns it, under the title."""
    docname = app.env.docname
    title = next(document.findall(nodes.title), None)
    if title is None or Path(app.env.doc2path(docname)).suffix != ".ipynb":
        return
    name = docname.rpartition("/")[2]
    source = escape(f"../_sources/{docname}.ipynb")
    download = f'<a href="{source}" download>Download this notebook</a>'
    rerun = addnodes.pending_xref(
        "",
        nodes.inline("", "Rerun it"),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{RERUN_PAGE}",
        refexplicit=True,
        refdoc=docname,
        refwarn=True,
    )
    tools = nodes.paragraph(classes=["chapter-tools"])
    tools += nodes.raw("", download, format="html")
    tools += [nodes.Text(" · "), rerun, nodes.Text(": ")]
    tools += nodes.literal("", f"w2s run {name} -p NAME VALUE")
    title.parent.insert(title.parent.index(title) + 1, tools)


def box_summary(app: Sphinx, document: nodes.document) -> None:
    """Put what a chapter found into a box: its summary up to the ledger."""
    for section in document.findall(nodes.section):
        title, *content = section.children
        if title.astext() != "Summary":
            continue
        box = nodes.container(classes=["found"])
        for node in content:
            if isinstance(node, nodes.container) or node.astext().startswith(AFTER_SUMMARY):
                break
            section.remove(node)
            box += node
        section.insert(1, box)


def setup(app: Sphinx) -> None:
    """Register the hooks."""
    app.connect("doctree-read", box_summary)
    app.connect("doctree-read", anchor_cells)
    app.connect("doctree-read", add_tools)
    app.add_js_file("figures.js")
