"""Ways to teach a student as text for a terminal, as JSON and as an HTML page."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from html import escape
from importlib.metadata import version
from textwrap import wrap

from w2s_utils.diagnosis import page, tables
from w2s_utils.diagnosis.routes import Routes
from w2s_utils.diagnosis.strict import strict
from w2s_utils.diagnosis.tables import aligned
from w2s_utils.diagnosis.wording import WIDTH


@dataclass(frozen=True, eq=False)
class RoutesReport:
    """What a ranking of ways says.

    Parameters
    ----------
    routes : Routes
    teacher, student : str
        Names of the weak and of the strong features.
    """

    routes: Routes
    _: KW_ONLY
    teacher: str = "weak"
    student: str = "strong"

    @property
    def heading(self) -> str:
        """What was measured."""
        r = self.routes
        return (
            f"Teacher {self.teacher}, student {self.student}: n = {r.n:,} labels, N = {r.N:,} "
            f"pseudo-labels, {r.rows:,} rows"
        )

    @property
    def note(self) -> str:
        """How to read the table."""
        return (
            f"student: expected {self.routes.measure}, change: against one step, both ± half of "
            "their 90 % bands; negative changes are better. All ways have the same n and N: "
            "through a model half of the pseudo-labels train it and it labels the other half; "
            "teachers of a committee have half of the labels each, and their answers are averaged. "
            "Ways share the rows, so changes are surer than the bands of the risks look."
        )

    @property
    def text(self) -> str:
        """Lines of at most 80 columns, but for long names."""
        lines = [*wrap(self.heading, WIDTH), "", *aligned(tables.routes(self.routes.table)), ""]
        return "\n".join([*lines, *wrap(self.note, WIDTH), "", *wrap(self.routes.advice, WIDTH)])

    @property
    def json(self) -> str:
        """Every number as strict JSON: what is undefined is null."""
        r = self.routes
        about = {
            "w2s_utils": version("w2s_utils"),
            "teacher": self.teacher,
            "student": self.student,
        }
        sizes = {"n": r.n, "N": r.N, "rows": r.rows, "risk_is": f"expected {r.measure}"}
        return strict(about | sizes | {"advice": r.advice, "routes": r.table})

    @property
    def html(self) -> str:
        """A page as of `Report`."""
        from w2s_utils.diagnosis import figures  # only a page waits for matplotlib

        r = self.routes
        body = [
            f"<p class=soft>{escape(self.heading)}</p>",
            f"<div class=verdict><p>{escape(r.advice)}</p></div>",
            "<h2>Ways</h2>",
            page.table(tables.routes(r.table), kind="names"),
            f"<p class=soft>{escape(self.note)}</p>",
            f"<div class=plots>{figures.ranking(r.table, 'route', r.measure)}</div>",
        ]
        return page.document(f"How to teach {self.student}?", body)

    def _repr_html_(self) -> str:
        shown = f"<p>{escape(self.heading)}</p><p><b>{escape(self.routes.advice)}</b></p>"
        return shown + page.table(tables.routes(self.routes.table))
