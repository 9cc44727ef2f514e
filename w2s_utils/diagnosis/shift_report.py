"""A diagnosis of three sets as text for a terminal, as JSON and as an HTML page."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from html import escape
from textwrap import wrap

from w2s_utils.diagnosis import page, tables
from w2s_utils.diagnosis.diagnose_shift import ShiftDiagnosis
from w2s_utils.diagnosis.strict import shift_fields, strict
from w2s_utils.diagnosis.tables import aligned
from w2s_utils.diagnosis.wording import WIDTH, bullets, how_to_read, models


@dataclass(frozen=True, eq=False)
class ShiftReport:
    """What a diagnosis of three sets says; a notebook shows the short of it.

    Parameters
    ----------
    diagnosis : ShiftDiagnosis
    teacher, student : str
        Names of the two feature sets.
    """

    diagnosis: ShiftDiagnosis
    _: KW_ONLY
    teacher: str = "weak"
    student: str = "strong"

    @property
    def heading(self) -> str:
        """What was diagnosed."""
        rows = ", ".join(f"{count:,} {role}" for role, count in self.diagnosis.rows.items())
        told = f"Teacher {self.teacher}, student {self.student}: {rows} rows."
        return f"{told} {models(self.diagnosis.unshifted)}"

    @property
    def text(self) -> str:
        """Lines of at most 80 columns, but for long names."""
        d, middle = self.diagnosis, len(self.diagnosis.n) // 2
        lines = [*wrap(self.heading, WIDTH), ""]
        lines += [*wrap(d.verdict.headline, WIDTH), *bullets(d.verdict.reasons)]
        if d.warnings:
            lines += ["", "Warnings", *bullets(d.warnings)]
        lines += ["", f"Predicted on test inputs at N = {d.N[-1]:,}"]
        lines += aligned(tables.risks_by_n(d)) + aligned(tables.shifted_ratios(d))
        lines += ["", f"Predicted on test inputs at n = {d.n[middle]:,}"]
        lines += aligned(tables.by_N(d, middle))
        for caption, table in self._groups():
            lines += ["", caption, *aligned(table)]
        lines += ["", f"If all inputs were like the labelled ones, at N = {d.N[-1]:,}"]
        lines += aligned(tables.risks_by_n(d.alike))
        lines += ["", *wrap(self._how_to_read, WIDTH)]
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """Every number as strict JSON: what is undefined, unknown or infinite is null."""
        names = {"teacher": self.teacher, "student": self.student}
        return strict(names | shift_fields(self.diagnosis))

    @property
    def html(self) -> str:
        """A page with its plots inside, no scripts, and no reference to anything outside."""
        from w2s_utils.diagnosis import figures  # only a page waits for matplotlib

        d, middle = self.diagnosis, len(self.diagnosis.n) // 2
        at_N = f"At N = {d.N[-1]:,}"
        body = page.opening(self.heading, d.verdict.headline, d.verdict.reasons, d.warnings)
        body += [
            "<h2>Predicted on test inputs</h2><div class=plots>",
            *figures.predictions(d, None, len(d.N) - 1, middle),
            "</div>",
            page.table(tables.risks_by_n(d), at_N),
            page.table(tables.shifted_ratios(d), at_N),
            page.table(tables.by_N(d, middle), f"At n = {d.n[middle]:,}"),
        ]
        body += [page.table(table, caption, kind="words") for caption, table in self._groups()]
        body += [
            f"<p class=soft>{escape(self._how_to_read)}</p>",
            "<h2>If all inputs were like the labelled ones</h2>",
            f"<p>{escape(d.unshifted.verdict.headline)}</p>",
            page.table(tables.risks_by_n(d.alike), at_N),
        ]
        return page.document(f"Will {self.teacher} help {self.student} there?", body)

    def _groups(self) -> list[tuple[str, tables.Table]]:
        d = self.diagnosis
        if not d.groups:
            return []
        caption = f"Groups of test inputs at n = {d.n[-1]:,}, N = {d.N[-1]:,}"
        worst = {} if d.worst is None else {"worst": d.worst}
        return [(caption, tables.by_group(d.groups | worst))]

    @property
    def _how_to_read(self) -> str:
        told = how_to_read(self.diagnosis, tuned=False)
        return f"{told} Worst: of each model its worst group." if self.diagnosis.groups else told

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.heading)}</p>{self.diagnosis._repr_html_()}"
