"""Numbers in the text lead to the cell that computed them."""

import json
from functools import cache
from pathlib import Path, PurePosixPath
from posixpath import normpath

from docutils import nodes
from myst_nb.ext.glue.roles import PasteTextRole
from sphinx.application import Sphinx

from .chapters import cell_anchor


class TracedNumber(PasteTextRole):
    """``{glue:text}`` as before, inside a link that `link_numbers` completes."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Paste the number."""
        pasted, messages = super().run()
        if not pasted:
            return pasted, messages
        docname = self.document.settings.env.docname
        of, _, key = self.text.rsplit(":", 1)[0].rpartition("::")
        if of:
            path = PurePosixPath(docname).parent / of.removesuffix(".ipynb")
            docname = normpath(str(path))
        link = nodes.reference("", "", *pasted, internal=True, classes=["computed"])
        link["computed_by"] = docname, key
        return [link], messages


@cache
def cells_of(executed: Path) -> dict[str, str]:
    """Id of the cell that glued each name."""
    return {
        output["metadata"]["scrapbook"]["name"]: cell["id"]
        for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }


def link_numbers(app: Sphinx, document: nodes.document, docname: str) -> None:
    """Let each number lead to its cell; in formats without cells it is text."""
    for link in [*document.findall(nodes.reference)]:
        if "computed_by" not in link:
            continue
        page, key = link["computed_by"]
        if app.builder.format != "html":
            link.replace_self(link.children)
            continue
        cell = cells_of(Path(app.env.doc2path(page)))[key]
        uri = "" if page == docname else app.builder.get_relative_uri(docname, page)
        link["refuri"] = f"{uri}#{cell_anchor(cell)}"
        link["reftitle"] = f"Computed by cell {cell}"


def setup(app: Sphinx) -> None:
    """Register the role, the hook and the script that unfolds a cell."""
    app.add_role_to_domain("glue", "text", TracedNumber(), override=True)
    app.connect("doctree-resolved", link_numbers)
    app.add_js_file("unfold.js")
