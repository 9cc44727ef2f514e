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

from w2s_utils.checks import Check
from w2s_utils.claims import CLAIMS, in_cells, name, overall, told
from w2s_utils.publish.ledger import Entry, entries

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

    def facts(self) -> dict[str, Any]:
        """Read how the notebooks were executed."""
        self.env.note_reread()
        facts: dict[str, Any] = json.loads((Path(self.env.srcdir) / "build.json").read_text())
        return facts

    def records(self) -> dict[str, Any]:
        """Verdicts on record by profile, the paper's first; a build that finds others fails."""
        return dict(sorted(self.facts()["verdicts"].items(), key=lambda item: item[0] != "paper"))

    def table_of(self, found: Iterable[Entry]) -> str:
        """Give a table with a link to the cell of each row, beside the other profiles' verdicts."""
        ours = self.facts()["profile"]
        others = {profile: record for profile, record in self.records().items() if profile != ours}
        rows = []
        for entry in found:
            number = entry.chapter.partition("_")[0]
            place = escape(f"notebooks/{entry.chapter}.html#{cell_anchor(entry.cell)}")
            rows.append(
                [
                    f'<a href="../{place}">chapter {int(number)}</a>',
                    literally(told(entry.row)),
                    *map(literally, in_cells(entry.row)),
                    *(r.get(entry.chapter, {}).get(name(entry.row), "–") for r in others.values()),
                ]
            )
        header = ["cell", "what was measured", "measured", "expected", f"verdict, {ours} profile"]
        return table([*header, *(f"{profile} profile" for profile in others)], rows)


class Verdicts(MarkdownDirective):
    """``{verdicts}``: each claim, with its verdicts on synthetic and real data by profile."""

    def write(self) -> str:
        """Give a table of the claims."""
        records = self.records()
        kinds = [(profile, data) for data in ("synthetic", "real") for profile in records]
        rows = [
            [
                f"[{claim}](#claim-{claim})",
                text,
                *(
                    overall(on_record(records[p], f"claim {claim}, {data} data"))
                    for p, data in kinds
                ),
            ]
            for claim, text in CLAIMS.items()
        ]
        header = [f"{data} data, {profile} profile" for profile, data in kinds]
        return table(["no.", "claim", *header], rows)


class Findings(MarkdownDirective):
    """``{findings} N``: all that was measured about claim N."""

    required_arguments = 1

    def write(self) -> str:
        """Give a table of the findings on each kind of data."""
        claim = int(self.arguments[0])
        by_data: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.ledger():
            if not isinstance(entry.row, Check) and entry.row.claim == claim:
                by_data[entry.row.data].append(entry)
        return "\n\n".join(
            [f"> {CLAIMS[claim]}"]
            + [
                f"**On {data} data**\n\n{self.table_of(by_data[data])}"
                if by_data[data]
                else f"**On {data} data:** not tested."
                for data in ("synthetic", "real")
            ]
        )


class Checks(MarkdownDirective):
    """``{checks}``: all checks of the book's own formulas."""

    def write(self) -> str:
        """Give a table of the checks."""
        return self.table_of(entry for entry in self.ledger() if isinstance(entry.row, Check))


class BuildFacts(MarkdownDirective):
    """``{build-facts}``: how the notebooks of this book were executed."""

    def write(self) -> str:
        """Give the profile, the machine, the versions and a table of the notebooks."""
        facts = self.facts()
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


def on_record(record: dict[str, dict[str, str]], about: str) -> list[str]:
    """Verdicts of all rows about a claim and a kind of data."""
    return [
        verdict
        for rows in record.values()
        for row, verdict in rows.items()
        if row.startswith(f"{about}: ")
    ]


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
    app.add_directive("checks", Checks)
    app.add_directive("build-facts", BuildFacts)
