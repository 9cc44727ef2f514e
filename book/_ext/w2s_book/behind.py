"""What is behind a figure: links to its code and to its numbers."""

import json
from pathlib import Path, PurePosixPath
from posixpath import relpath

from docutils import nodes
from sphinx.application import Sphinx

from .chapters import cell_anchor

FOLDER = "_data"


def add_links(app: Sphinx, document: nodes.document) -> None:
    """Lead from each figure of a notebook to the cell that drew it and to its table."""
    docname = app.env.docname
    source = Path(app.env.doc2path(docname))
    if source.suffix != ".ipynb":
        return
    tables = tables_of(source)
    for container in document.findall(nodes.container):
        cell = container.get("nb_element") == "cell_code" and container["ids"][-1]
        for figure in container.findall(nodes.figure) if cell else ():
            links = [f'<a href="#{cell}">Code</a>']
            if cell in tables:
                table = f"{FOLDER}/{figure['ids'][0]}.csv"
                path = relpath(table, str(PurePosixPath(docname).parent))
                links.append(f'<a href="{path}" download>Numbers (CSV)</a>')
                app.env.metadata[docname].setdefault("tables", {})[table] = cell
            figure += nodes.legend(
                "", nodes.raw("", f'<p class="behind">{" · ".join(links)}</p>', format="html")
            )


def tables_of(executed: Path) -> dict[str, str]:
    """Table of the figure that each cell drew, by the cell's anchor."""
    tables = {
        cell_anchor(cell["id"]): output["metadata"]["image/svg+xml"]["table"]
        for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
        if "table" in output.get("metadata", {}).get("image/svg+xml", {})
    }
    return {cell: table for cell, table in tables.items() if table.count("\n") > 1}


def write_tables(app: Sphinx, error: Exception | None) -> None:
    """Put the tables beside the pages."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir) / FOLDER
    folder.mkdir(exist_ok=True)
    for docname, metadata in app.env.metadata.items():
        if "tables" in metadata:
            tables = tables_of(Path(app.env.doc2path(docname)))
            for table, cell in metadata["tables"].items():
                (Path(app.outdir) / table).write_text(tables[cell], encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register the hooks; a cell's anchor is there before its figure is looked for."""
    app.connect("doctree-read", add_links, priority=600)
    app.connect("build-finished", write_tables)
