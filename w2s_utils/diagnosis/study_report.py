"""A study of many pairs as text for a terminal, as JSON and as an HTML page."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from html import escape
from textwrap import wrap
from typing import Any

import pandas as pd

from w2s_utils.diagnosis import page, tables
from w2s_utils.diagnosis.strict import fields, strict
from w2s_utils.diagnosis.study import Study
from w2s_utils.diagnosis.tables import aligned
from w2s_utils.diagnosis.wording import WIDTH, bullets, models, risk_name

SHOWN = 10


@dataclass(frozen=True, eq=False)
class StudyReport:
    """What a study says.

    Parameters
    ----------
    study : Study
    teachers, students : str
        Names of the two models, or of what their features are.
    """

    study: Study
    _: KW_ONLY
    teachers: str = "weak"
    students: str = "strong"

    @property
    def text(self) -> str:
        """Lines of at most 80 columns, but for long names."""
        s = self.study
        lines = [*wrap(self._heading, WIDTH), "", *wrap(_sentence(s), WIDTH), ""]
        lines += [
            _least(s),
            *aligned(tables.pairs(_best_first(s).head(SHOWN))),
            "",
            *wrap(_note(s), WIDTH),
        ]
        lines += ["", *wrap(f"{_named(s.first)}: {s.best.verdict.headline}", WIDTH)]
        lines += bullets(s.best.verdict.reasons)
        if s.best.warnings:
            lines += ["", "Warnings", *bullets(s.best.warnings)]
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """All pairs, and the diagnosis of the best one as of `Report`."""
        s = self.study
        return strict({"n": s.n, "N": s.N, "pairs": s.table, "best": fields(s.best)})

    @property
    def html(self) -> str:
        """A page as of `Report`."""
        from w2s_utils.diagnosis import figures  # only a page waits for matplotlib

        s, best = self.study, self.study.best
        body = [
            f"<p class=soft>{escape(self._heading)}</p>",
            f"<div class=verdict><p>{escape(_sentence(s))}</p></div>",
            f"<h2>Gain of each student</h2><div class=plots>{''.join(figures.study(s))}</div>",
            f"<h2>{_least(s)}</h2>",
            page.table(tables.pairs(_best_first(s).head(SHOWN)), kind="names"),
            f"<p class=soft>{escape(_note(s))}</p>",
            "<details><summary>All pairs</summary>",
            page.table(tables.pairs(_best_first(s)), kind="names"),
            "</details>",
            f"<h2>{escape(_named(s.first))}</h2><p>{escape(best.verdict.headline)}</p>",
            page.bullets(best.verdict.reasons),
        ]
        if best.warnings:
            body.append(f"<div class=warnings>{page.bullets(best.warnings)}</div>")
        return page.document(f"Which of {self.teachers} for which of {self.students}?", body)

    @property
    def _heading(self) -> str:
        s = self.study
        teachers, students = (s.table[kind].nunique() for kind in ("teacher", "student"))
        return (
            f"{teachers} teachers ({self.teachers}) with {students} students ({self.students}): "
            f"{s.best.rows:,} rows, n = {s.n:,} labels, N = {s.N:,} pseudo-labels. "
            f"{models(s.best)}"
        )


def _best_first(s: Study) -> pd.DataFrame:
    return s.table.sort_values("risk", kind="stable")


def _least(s: Study) -> str:
    return f"The {min(SHOWN, len(s.table))} students of least risk"


def _named(pair: dict[str, Any]) -> str:
    return f"Teacher {pair['teacher']}, student {pair['student']}"


def _sentence(s: Study) -> str:
    t, first = s.table, s.first
    most = t.sort_values("gain", ascending=False, kind="stable").to_dict("records")[0]
    sure, worse = int((t["gain_low"] > 0).sum()), int((t["gain_high"] < 0).sum())
    known = int(t["gain"].notna().sum())
    share = 100 * most["gain"] / most["variance"]
    told = (
        f"The student of least risk is {first['student']}, taught by {first['teacher']}. In "
        f"{sure} of {known} pairs the student is surely better than its teacher, in {worse} surely "
        "worse. "
    )
    if most["gain"] <= 0:
        return told + "No student is expected to gain on its teacher."
    return told + (
        f"The most is gained by {most['student']} on {most['teacher']}: {share:.3g} % of the "
        "labels' variance."
    )


def _note(s: Study) -> str:
    errors = ", and points of accuracy" if "errors_gain" in s.table else ""
    return (
        f"risk: the student's {risk_name(s.best)} ± half of its 90 % band; gain: what it is below "
        f"the teacher's, in per cent of the labels' variance{errors}; PGR and OPR of the risks. "
        "All pairs share the rows, so differences are surer than the bands look."
    )
