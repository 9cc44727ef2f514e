"""A ranking as text for a terminal, as JSON and as an HTML page."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from html import escape
from textwrap import wrap

from w2s_utils.diagnosis import page, tables
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.ranking import SURE, Ranking
from w2s_utils.diagnosis.strict import fields, shift_fields, strict
from w2s_utils.diagnosis.tables import aligned
from w2s_utils.diagnosis.wording import WIDTH, bullets

_SHORT = {"risk": "risk", "accuracy": "share of wrong answers", "cross-entropy": "cross-entropy"}
_SURE = f"{100 * SURE:.0f} %"


@dataclass(frozen=True, eq=False)
class RankingReport:
    """What a ranking says.

    Parameters
    ----------
    ranking : Ranking
    student : str
        Name of the strong features.
    """

    ranking: Ranking
    _: KW_ONLY
    student: str = "strong"

    @property
    def text(self) -> str:
        """Lines of at most 80 columns, but for long names."""
        r = self.ranking
        kind, risk = r.kind.capitalize(), r.measure
        told = f"{kind}s at n = {r.n:,}, N = {r.N:,}, by the student's {risk}"
        lines = [
            *wrap(told, WIDTH),
            "",
            *aligned(tables.ranked(r.table, r.kind)),
            "",
            *wrap(_ranking_note(r), WIDTH),
        ]
        lines += ["", *wrap(_ranking_sentence(r), WIDTH)]
        for name, d in r.diagnoses.items():
            if d.warnings:
                lines += ["", *wrap(f"Warnings for {name}", WIDTH), *bullets(d.warnings)]
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """The ranking with the diagnoses that it rests on, as of `Report`."""
        r = self.ranking
        diagnoses = {
            name: fields(d) if isinstance(d, Diagnosis) else shift_fields(d)
            for name, d in r.diagnoses.items()
        }
        sizes = {"n": r.n, "N": r.N, "by": r.by, "sure_above": SURE}
        return strict(sizes | {"ranking": r.table, "ties": r.ties, "diagnoses": diagnoses})

    @property
    def html(self) -> str:
        """A page as of `Report`."""
        from w2s_utils.diagnosis import figures  # only a page waits for matplotlib

        r = self.ranking
        rows = r.best.rows if isinstance(r.best, Diagnosis) else sum({**r.best.rows}.values())
        sizes = f"n = {r.n:,} labels, N = {r.N:,} pseudo-labels, {rows:,} rows"
        body = [
            f"<p class=soft>{sizes}</p>",
            f"<div class=verdict><p>{escape(_ranking_sentence(r))}</p></div>",
            f"<h2>{r.kind.capitalize()}s</h2>",
            page.table(tables.ranked(r.table, r.kind), kind="names"),
            f"<p class=soft>{escape(_ranking_note(r))}</p>",
            f"<div class=plots>{figures.ranking(r.table, r.kind, _SHORT[r.by])}</div>",
        ]
        for name, d in r.diagnoses.items():
            body.append(f"<h2>{escape(name)}</h2><p>{escape(d.verdict.headline)}</p>")
            body.append(page.bullets(d.verdict.reasons))
            if d.warnings:
                body.append(f"<div class=warnings>{page.bullets(d.warnings)}</div>")
        return page.document(f"Which {r.kind} for {self.student}?", body)


def _ranking_sentence(r: Ranking) -> str:
    first = r.table[r.kind].iloc[0]
    if r.kind == "teacher":
        told = f"Take {first}: its student has the lowest predicted {_SHORT[r.by]}."
    else:
        told = f"Pseudo-label {first}: the student has the lowest predicted risk on test inputs."
    if not r.ties:
        return f"{told} The order is sure at {_SURE}."
    pairs = ", ".join(f"{a} before {b}" for a, b in r.ties)
    return f"{told} Not sure at {_SURE}: {pairs}."


def _ranking_note(r: Ranking) -> str:
    shared = "the rows" if r.kind == "teacher" else "labelled and test rows"
    return (
        f"student: {r.measure} ± half of its 90 % band, PGR likewise; sure: probability "
        f"that this student's is below the next one's. Above {_SURE} the 90 % band of their "
        f"difference leaves out zero. All {r.kind}s share {shared}, so differences are surer than "
        "the bands look."
    )
