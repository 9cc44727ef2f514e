"""Elements of an HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from w2s_utils.diagnosis.tables import Table

TERMS = """<h2>Terms</h2>
<ul><li><b>teacher</b>: weak features fitted to n labels; <b>student</b>: strong features fitted to
the teacher's answers on N further inputs; <b>baseline</b>: strong features fitted to the same n
labels; <b>ceiling</b>: strong features fitted to n + N labels.</li>
<li><b>PGR</b>: share of the gap between teacher and ceiling that the student closes; below 0 it is
worse than its teacher. <b>OPR</b>: risk of the baseline over that of the student; above 1 the
pseudo-labels are worth more than training on the labels.</li>
<li><b>d_w</b>, <b>d_s</b>: directions that carry the stated share of the features' energy;
<b>d_sw</b>: dimensions that the two sets share as functions of the input.</li>
<li>Bands carry the error of estimation from these rows. A single run varies around its
expectation, and real features are not Gaussian: the warnings are about that.</li></ul>"""


def table(rows: Table, caption: str = "", kind: str = "numbers") -> str:
    """Rows of cells, the header first."""
    header, *body = (
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
        for tag, row in zip(["th", *["td"] * (len(rows) - 1)], rows, strict=True)
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f"<div class=wide tabindex=0><table class={kind}>{title}<thead><tr>{header}</tr></thead>"
        f"<tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody></table></div>"
    )


def bullets(sentences: Iterable[str]) -> str:
    """List of sentences."""
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def opening(
    heading: str, headline: str, reasons: Iterable[str], warnings: Iterable[str]
) -> list[str]:
    """What was diagnosed, the verdict with its reasons, and the warnings."""
    body = [
        f"<p class=soft>{escape(heading)}</p>",
        f"<div class=verdict><p>{escape(headline)}</p>{bullets(reasons)}</div>",
    ]
    warned = [*warnings]
    if warned:
        body.append(f"<h2>Warnings</h2><div class=warnings>{bullets(warned)}</div>")
    return body


def document(title: str, body: Iterable[str]) -> str:
    """A whole page with its style, and the terms explained at its end."""
    from w2s_utils import plots  # slow to load, and not needed by a report's text

    style = Path(__file__).with_name("report.css").read_text() + (
        f":root {{ {plots.css(plots.COLORS)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {plots.css(plots.ON_DARK)} }} }}\n"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>\n{style}</style></head>\n"
        f"<body><main><h1>{escape(title)}</h1>\n"
        + "\n".join([*body, TERMS])
        + "</main></body></html>\n"
    )
