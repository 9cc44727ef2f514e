"""Directives of the reproduction report and of the page on this build.

They read the executed notebooks, from which the book is made, and ``build.json``, in which the
publisher has written how they were executed.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from w2s_utils.claims import CLAIMS, Entry, entries, in_cells, overall

from .chapters import cell_anchor

MARKUP = re.compile(r"([\\`*_{}\[\]<>#|$&])")
LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "papermill", "jupyter-book", "w2s-utils")


class MarkdownDirective(SphinxDirective):
    """A directive that is replaced by Markdown which it writes."""

    def run(self) -> list[nodes.Node]:
        """Write and parse."""
        part = nodes.Element()
        lines = StringList(self.write().splitlines(), self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset, part)
        return part.children

    def write(self) -> str:
        """Give the Markdown."""
        raise NotImplementedError

    def ledger(self) -> list[Entry]:
        """Collect the entries of all chapters, in their order."""
        notebooks = sorted((Path(self.env.srcdir) / "notebooks").glob("*.ipynb"))
        self.env.note_reread()
        return [entry for notebook in notebooks for entry in entries(notebook)]


class Verdicts(MarkdownDirective):
    """``{verdicts}``: each claim, with its verdict on synthetic and on real data."""

    def write(self) -> str:
        """Give a table of the claims."""
        kept = self.ledger()
        rows = []
        for claim, text in CLAIMS.items():
            row = [f"[{claim}](#claim-{claim})", text]
            for data in ("synthetic", "real"):
                findings = [
                    e.finding for e in kept if e.finding.claim == claim and e.finding.data == data
                ]
                tested = [f for f in findings if f.holds is not None]
                held = sum(bool(f.holds) for f in tested)
                count = f" ({held} of {len(tested)})" if tested else ""
                row.append(f"{overall(findings)}{count}")
            rows.append(row)
        return table(["no.", "claim", "synthetic data", "real data"], rows)


class Findings(MarkdownDirective):
    """``{findings} N``: all that was measured about claim N."""

    required_arguments = 1

    def write(self) -> str:
        """Give a table of the findings on each kind of data."""
        claim = int(self.arguments[0])
        by_data: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.ledger():
            if entry.finding.claim == claim:
                by_data[entry.finding.data].append(entry)
        return "\n\n".join(
            [f"> {CLAIMS[claim]}"]
            + [
                f"**On {data} data**\n\n{findings_table(by_data[data])}"
                if by_data[data]
                else f"**On {data} data:** not tested."
                for data in ("synthetic", "real")
            ]
        )


class BuildFacts(MarkdownDirective):
    """``{build-facts}``: how the notebooks of this book were executed."""

    def write(self) -> str:
        """Give the profile, the machine, the versions and a table of the notebooks."""
        facts: dict[str, Any] = json.loads((Path(self.env.srcdir) / "build.json").read_text())
        self.env.note_reread()
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
        rows = [
            [
                f"{{doc}}`/notebooks/{name}`",
                f"{notebook['seconds']:.1f}",
                ", ".join(code(f"{p}={value}") for p, value in notebook["parameters"].items())
                or "those of the notebook",
            ]
            for name, notebook in facts["notebooks"].items()
        ]
        total = sum(notebook["seconds"] for notebook in facts["notebooks"].values())
        return (
            f"Profile {code(facts['profile'])}, on {facts['machine']}, with Python "
            f"{facts['python']}, {versions}. All {len(rows)} notebooks ran without an error, "
            f"in {total:.0f} seconds taken together.\n\n"
            + table(["notebook", "seconds", "parameters"], rows)
        )


def findings_table(found: Iterable[Entry]) -> str:
    """Give a table with a link to the cell of each finding."""
    rows = []
    for entry in found:
        number = entry.chapter.partition("_")[0]
        place = escape(f"notebooks/{entry.chapter}.html#{cell_anchor(entry.cell)}")
        link = f'<a href="../{place}">chapter {int(number)}</a>'
        rows.append([link, literally(entry.finding.statement), *in_cells(entry.finding)])
    return table(["cell", "what was measured", "measured", "expected", "verdict"], rows)


def literally(text: str) -> str:
    """Give Markdown that shows a text as it is, in one line."""
    return MARKUP.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Give HTML that shows a text as code: Markdown's own code ends at a backtick."""
    return f"<code>{literally(text)}</code>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def setup(app: Sphinx) -> None:
    """Register the directives."""
    app.add_directive("verdicts", Verdicts)
    app.add_directive("findings", Findings)
    app.add_directive("build-facts", BuildFacts)
