"""A diagnosis as text for a terminal, as JSON and as an HTML page."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from html import escape
from textwrap import wrap

import numpy as np
import pandas as pd
from scipy import stats

from w2s_utils._files import printable
from w2s_utils.diagnosis import page, tables
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.meter import Meter
from w2s_utils.diagnosis.prediction import COVERAGE
from w2s_utils.diagnosis.sample import RIDGELESS
from w2s_utils.diagnosis.strict import fields, strict
from w2s_utils.diagnosis.tables import aligned
from w2s_utils.diagnosis.wording import WIDTH, bullets, how_to_read, models
from w2s_utils.metrics import MODELS

NAMES = {"weak": "the teacher", "student": "the student"} | {
    model: f"the {model}" for model in ("baseline", "ceiling")
}


@dataclass(frozen=True, eq=False)
class Report:
    """What a diagnosis says; a notebook shows the short of it.

    Parameters
    ----------
    diagnosis : Diagnosis
    check : DataFrame, optional
        Result of `verify`, put beside the predictions.
    meter : Meter, optional
        What predictions of a trained pair show (`gain_from_misfit`), put beside the gain that is
        predicted of its features.
    teacher, student : str
        Names of the two feature sets.
    """

    diagnosis: Diagnosis
    check: pd.DataFrame | None = None
    _: KW_ONLY
    meter: Meter | None = None
    teacher: str = "weak"
    student: str = "strong"

    @property
    def heading(self) -> str:
        """What was diagnosed."""
        d = self.diagnosis
        told = f"Teacher {self.teacher}, student {self.student}: {d.rows:,} rows"
        if d.groups is not None:
            told += f" in {d.groups:,} groups"
        if d.classes is not None:
            told += printable(f", classes {', '.join(map(str, d.classes))}")
        return f"{told}. {models(d)}"

    @property
    def text(self) -> str:
        """Lines of at most 80 columns."""
        d, middle = self.diagnosis, len(self.diagnosis.n) // 2
        lines = [*wrap(self.heading, WIDTH), ""]
        lines += [*wrap(d.verdict.headline, WIDTH), *bullets(d.verdict.reasons)]
        if d.warnings:
            lines += ["", "Warnings", *bullets(d.warnings)]
        if d.classification is not None:
            for caption, table in tables.of_classes(d.classification):
                lines += ["", caption, *aligned(table)]
        if self.meter is not None:
            lines += ["", *wrap(_metered(self.meter, d), WIDTH)]
        lines += ["", "Measured", *aligned(tables.measured(d.ridgeless, d))]
        lines += ["", f"Predicted at N = {d.N[-1]:,}"]
        lines += aligned(tables.risks_by_n(d)) + aligned(tables.ratios_by_n(d))
        if d.ridge == "tuned":
            lines += aligned(tables.ridges_by_n(d.n, d.ridges))
        lines += ["", f"Predicted at n = {d.n[middle]:,}", *aligned(tables.by_N(d, middle))]
        lines += ["", *wrap(how_to_read(d, d.ridge == "tuned"), WIDTH)]
        if self.check is not None:
            lines += ["", "Predicted / measured (mean over splits ± standard error)"]
            lines += aligned(tables.checked(self.check))
            lines += wrap(_agreement(self.check), WIDTH)
            if d.classification is not None:
                lines += ["", *aligned(tables.checked_classes(self.check))]
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """Every number as strict JSON: what is undefined, unknown or infinite is null."""
        found = {"teacher": self.teacher, "student": self.student, **fields(self.diagnosis)}
        if self.check is not None:
            found["verification"] = self.check
        if self.meter is not None:
            found["misfit_meter"] = self.meter
        return strict(found)

    @property
    def html(self) -> str:
        """A page with its plots inside, no scripts, and no reference to anything outside."""
        from w2s_utils.diagnosis import figures  # only a page waits for matplotlib

        d, check = self.diagnosis, self.check
        last, middle = len(d.N) - 1, len(d.n) // 2
        if check is not None:  # the largest sizes at which much was measured
            points = check[["n", "N"]].drop_duplicates()
            middle, last = (
                int(np.searchsorted(sizes, _largest_common(points[name])))
                for name, sizes in (("n", d.n), ("N", d.N))
            )
        at_N = f"At N = {d.N[-1]:,}"
        body = page.opening(self.heading, d.verdict.headline, d.verdict.reasons, d.warnings)
        if self.meter is not None:
            body.append(f"<h2>By the misfit</h2><p>{escape(_metered(self.meter, d))}</p>")
        if d.classification is not None:
            c = d.classification
            shown = c.errors if c.losses is None else c.losses
            body += [
                "<h2>Predicted, as classifiers</h2><div class=plots>",
                *figures.predictions(shown, None, len(d.N) - 1, len(d.n) // 2),
                "</div>",
                *(page.table(table, caption) for caption, table in tables.of_classes(c)),
            ]
        body += [
            "<h2>Predicted</h2><div class=plots>",
            *figures.predictions(d, check, last, middle),
            "</div>",
            page.table(tables.risks_by_n(d), at_N),
            page.table(tables.ratios_by_n(d), at_N),
            page.table(tables.ridges_by_n(d.n, d.ridges), f"Ridges, N = {d.N[-1]:,}")
            if d.ridge == "tuned"
            else "",
            page.table(tables.by_N(d, middle), f"At n = {d.n[middle]:,}"),
            f"<p class=soft>{escape(how_to_read(d, d.ridge == 'tuned'))}</p>",
        ]
        if check is not None:
            body += [
                "<h2>Predicted / measured</h2>",
                f"<p>{escape(_agreement(check))} Measured: means over splits of the rows ± "
                "standard errors; in the plots, markers with bars of two.</p>",
                "<details><summary>All points</summary>",
                page.table(tables.checked(check, every=True)),
                "</details>",
                page.table(tables.checked_classes(check), "Classifiers", "names")
                if d.classification is not None
                else "",
            ]
        body += [
            "<h2>Measured</h2>",
            page.table(tables.measured(d.ridgeless, d), kind="words"),
            "<div class=plots>",
            *(plot(d.ridgeless) for plot in (figures.correlations, figures.spectra)),
            "</div>",
        ]
        return page.document(f"Will {self.teacher} help {self.student}?", body)

    def _repr_html_(self) -> str:
        shown = f"<p>{escape(self.heading)}</p>{self.diagnosis._repr_html_()}"
        if self.meter is not None:
            shown += f"<p>{escape(_metered(self.meter, self.diagnosis))}</p>"
        if self.check is not None:
            shown += page.table(tables.checked(self.check), "Predicted / measured")
        return shown


def _metered(meter: Meter, d: Diagnosis) -> str:
    """Gain by the misfit, what it overlooks, and the gain that is predicted at these sizes."""
    overlooked = d.prediction.estimate(
        lambda q: q["leaked"] + q["rho_s"] + q["missed"] - q["rho_w"]  # sigma^2 cancels
    )
    told = (
        f"Teacher and student differ by {meter.misfit} (mean square). Read from that, without a "
        f"label, the student's squared error is {meter.gain} below its teacher's. By the labels of "
        f"these rows the reading overlooks {overlooked}: {meter.gain - overlooked} remain."
    )
    if len(d.n) == 1:
        gain = d.gain[-1, -1]
        value, low, high = (float(number) for number in (gain.value, gain.low, gain.high))
        told += f" Predicted at n = {d.n[0]:,}: {value:.4g} ({low:.4g} to {high:.4g})."
    if d.ridge != RIDGELESS:
        told += " All this is for least squares without ridge; with one the reading overlooks more."
    return told


def _agreement(check: pd.DataFrame) -> str:
    off = (check["measured"] - check["predicted"]).abs()
    relative = 100 * off / check["predicted"].abs()
    quantity = check["quantity"]
    told = [
        f"{relative[quantity.isin(MODELS)].median():.1f} % of the four risks",
        f"{relative[quantity == 'opr'].median():.1f} % of OPR",
    ]
    gained = off[(quantity == "pgr") & (check["predicted"] > 0)].dropna()
    if len(gained):  # below zero, its denominator is small
        told.append(f"{gained.median():.3f} of PGR where it is above 0")
    points = len(check[["n", "N"]].drop_duplicates())
    at = "Distance at the point" if points == 1 else f"Median distance over {points} points"
    return f"{at}: {', '.join(told)}. {_beyond_both_errors(check)}"


def _beyond_both_errors(check: pd.DataFrame) -> str:
    """Where prediction and training differ by more than two of their errors together."""
    risks = check[check["quantity"].isin(MODELS)]
    predicted = (risks["high"] - risks["predicted"]) / stats.norm.ppf((1 + COVERAGE) / 2)
    both = np.hypot(predicted, risks["standard_error"])
    far = risks[(risks["measured"] - risks["predicted"]).abs() > 2 * both]
    if far.empty:
        return "No risk differs by more than two standard errors of both."
    worst = far.iloc[int(np.argmax((far["measured"] / far["predicted"] - 1).abs()))]
    return (
        f"{len(far)} of {len(risks)} risks differ by more than two standard errors of both, most "
        f"that of {NAMES[worst['quantity']]} at n = {worst['n']:,}, N = {worst['N']:,}: predicted "
        f"{worst['predicted']:.4g}, measured {worst['measured']:.4g}."
    )


def _largest_common(sizes: pd.Series[int]) -> int:
    """Largest of the sizes that occur at least half as often as the most common one."""
    count = sizes.value_counts()
    return int(count.index[2 * count >= count.max()].max())
