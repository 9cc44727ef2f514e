"""A diagnosis or a ranking as text for a terminal, as JSON and as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, is_dataclass
from functools import partial
from html import escape
from importlib.metadata import version
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from w2s_utils._files import printable
from w2s_utils.diagnosis import page, tables
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.prediction import COVERAGE
from w2s_utils.diagnosis.ranking import SURE, Ranking
from w2s_utils.diagnosis.tables import MISSING, aligned
from w2s_utils.metrics import MODELS

WIDTH = 80
NAMES = {"weak": "the teacher", "student": "the student"} | {
    model: f"the {model}" for model in ("baseline", "ceiling")
}
_SURE = f"{100 * SURE:.0f} %"


@dataclass(frozen=True, eq=False)
class Report:
    """What a diagnosis says; a notebook shows the short of it.

    Parameters
    ----------
    diagnosis : Diagnosis
    check : DataFrame, optional
        Result of `verify`, put beside the predictions.
    teacher, student : str
        Names of the two feature sets.
    """

    diagnosis: Diagnosis
    check: pd.DataFrame | None = None
    _: KW_ONLY
    teacher: str = "weak"
    student: str = "strong"

    @property
    def heading(self) -> str:
        """What was diagnosed."""
        d = self.diagnosis
        told = f"Teacher {self.teacher}, student {self.student}: {d.rows:,} rows"
        if d.classes is not None:
            told += printable(f", classes {', '.join(map(str, d.classes))}")
        return f"{told}. {_models(d)}"

    @property
    def text(self) -> str:
        """Lines of at most 80 columns."""
        d, middle = self.diagnosis, len(self.diagnosis.n) // 2
        lines = [*wrap(self.heading, WIDTH), ""]
        lines += [*wrap(d.verdict.headline, WIDTH), *_bullets(d.verdict.reasons)]
        if d.warnings:
            lines += ["", "Warnings", *_bullets(d.warnings)]
        lines += ["", "Measured", *aligned(tables.measured(d.ridgeless, d))]
        lines += ["", f"Predicted at N = {d.N[-1]:,}"]
        lines += aligned(tables.risks_by_n(d)) + aligned(tables.ratios_by_n(d))
        if d.ridge == "tuned":
            lines += aligned(tables.ridges_by_n(d))
        lines += ["", f"Predicted at n = {d.n[middle]:,}", *aligned(tables.by_N(d, middle))]
        lines += ["", *wrap(_how_to_read(d), WIDTH)]
        if self.check is not None:
            lines += ["", "Predicted / measured (mean over splits ± standard error)"]
            lines += aligned(tables.checked(self.check))
            lines += wrap(_agreement(self.check), WIDTH)
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """Every number as strict JSON: what is undefined, unknown or infinite is null."""
        found = {"teacher": self.teacher, "student": self.student, **_fields(self.diagnosis)}
        if self.check is not None:
            found["verification"] = self.check
        return _strict(found)

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
        at_N, reasons = f"At N = {d.N[-1]:,}", page.bullets(d.verdict.reasons)
        body = [
            f"<p class=soft>{escape(self.heading)}</p>",
            f"<div class=verdict><p>{escape(d.verdict.headline)}</p>{reasons}</div>",
        ]
        if d.warnings:
            body.append(f"<h2>Warnings</h2><div class=warnings>{page.bullets(d.warnings)}</div>")
        body += [
            "<h2>Predicted</h2><div class=plots>",
            *figures.predictions(d, check, last, middle),
            "</div>",
            page.table(tables.risks_by_n(d), at_N),
            page.table(tables.ratios_by_n(d), at_N),
            page.table(tables.ridges_by_n(d), f"Ridges, N = {d.N[-1]:,}")
            if d.ridge == "tuned"
            else "",
            page.table(tables.by_N(d, middle), f"At n = {d.n[middle]:,}"),
            f"<p class=soft>{escape(_how_to_read(d))}</p>",
        ]
        if check is not None:
            body += [
                "<h2>Predicted / measured</h2>",
                f"<p>{escape(_agreement(check))} Measured: means over splits of the rows ± "
                "standard errors; in the plots, markers with bars of two.</p>",
                "<details><summary>All points</summary>",
                page.table(tables.checked(check, every=True)),
                "</details>",
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
        if self.check is not None:
            shown += page.table(tables.checked(self.check), "Predicted / measured")
        return shown


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
        told = f"Teachers at n = {r.n:,}, N = {r.N:,}, by the student's {_risk_name(r.best)}"
        lines = [
            *wrap(told, WIDTH),
            "",
            *aligned(tables.ranked(r.table)),
            "",
            *wrap(_ranking_note(r), WIDTH),
        ]
        lines += ["", *wrap(_ranking_sentence(r), WIDTH)]
        for name, d in r.diagnoses.items():
            if d.warnings:
                lines += ["", *wrap(f"Warnings for {name}", WIDTH), *_bullets(d.warnings)]
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """The ranking with the diagnoses that it rests on, as of `Report`."""
        r = self.ranking
        diagnoses = {name: _fields(d) for name, d in r.diagnoses.items()}
        sizes = {"n": r.n, "N": r.N, "sure_above": SURE}
        return _strict(sizes | {"ranking": r.table, "ties": r.ties, "diagnoses": diagnoses})

    @property
    def html(self) -> str:
        """A page as of `Report`."""
        from w2s_utils.diagnosis import figures  # only a page waits for matplotlib

        r = self.ranking
        sizes = f"n = {r.n:,} labels, N = {r.N:,} pseudo-labels, {r.best.rows:,} rows"
        body = [
            f"<p class=soft>{sizes}</p>",
            f"<div class=verdict><p>{escape(_ranking_sentence(r))}</p></div>",
            "<h2>Teachers</h2>",
            page.table(tables.ranked(r.table), kind="names"),
            f"<p class=soft>{escape(_ranking_note(r))}</p>",
            f"<div class=plots>{figures.ranking(r.table)}</div>",
        ]
        for name, d in r.diagnoses.items():
            body.append(f"<h2>{escape(name)}</h2><p>{escape(d.verdict.headline)}</p>")
            body.append(page.bullets(d.verdict.reasons))
            if d.warnings:
                body.append(f"<div class=warnings>{page.bullets(d.warnings)}</div>")
        return page.document(f"Which teacher for {self.student}?", body)


def _models(d: Diagnosis) -> str:
    """What the models are."""
    columns = "an intercept, standardised columns" if d.intercept else "columns as given"
    kept = (
        "all directions" if d.energy == 1 else f"directions of {100 * d.energy:g} % of the energy"
    )
    if d.ridge == "tuned":
        ridge = "each model at the ridge that is best for its labels"
    else:
        ridge = "ridge " + ", ".join(f"{value:g}" for value in dict.fromkeys(d.ridge))
    return f"Models: {columns}, {kept}, {ridge}."


def _risk_name(d: Diagnosis) -> str:
    unknown = d.noise_variance is None
    return "expected squared error against noisy labels" if unknown else "expected excess risk"


def _how_to_read(d: Diagnosis) -> str:
    told = f"Models: {_risk_name(d)} ± half of its 90 % band. PGR, OPR: with 90 % bands"
    if d.noise_variance is None:
        told += ", that of OPR for any label noise"
    if np.isnan(d.pgr.value).any():
        told += f"; no PGR ({MISSING}) where the teacher is not surely worse than the ceiling"
    if d.ridge == "tuned":
        told += ". Ridges: penalty on the mean squared loss"
    if len(d.n) == 1:
        return f"{told}."
    best = {"PGR": d.best_n_pgr, "OPR": d.best_n_opr}
    listed = ", ".join(f"{n:,} for {name}" for name, n in best.items() if n)
    return f"{told}. Best n at N = {d.N[-1]:,}: {listed or 'none'}."


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


def _ranking_sentence(r: Ranking) -> str:
    told = f"Take {r.table['teacher'].iloc[0]}: its student has the lowest predicted risk."
    if not r.ties:
        return f"{told} The order is sure at {_SURE}."
    pairs = ", ".join(f"{a} before {b}" for a, b in r.ties)
    return f"{told} Not sure at {_SURE}: {pairs}."


def _ranking_note(r: Ranking) -> str:
    return (
        f"student: {_risk_name(r.best)} ± half of its 90 % band, PGR likewise; sure: probability "
        f"that this student's risk is below the next one's. Above {_SURE} the 90 % band of their "
        "difference leaves out zero. All teachers share the rows, so differences are surer than "
        "the bands look."
    )


def _largest_common(sizes: pd.Series[int]) -> int:
    """Largest of the sizes that occur at least half as often as the most common one."""
    count = sizes.value_counts()
    return int(count.index[2 * count >= count.max()].max())


def _bullets(sentences: Iterable[str]) -> list[str]:
    return [
        line
        for sentence in sentences
        for line in wrap(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    ]


def _fields(d: Diagnosis) -> dict[str, Any]:
    def own(*names: str, of: Forecast = d) -> dict[str, Any]:
        return {name: getattr(of, name) for name in names}

    paper = partial(own, of=d.ridgeless)

    terms = {f"student_{name}": values.ravel() for name, values in vars(d.terms).items()}
    used = {f"ridge_{name}": r.ravel() for name, r in zip(MODELS, d.ridges, strict=True)}
    wins = {"n": d.n, "over_teacher": d.beats_teacher, "over_baseline": d.beats_baseline}
    return {
        "w2s_utils": version("w2s_utils"),
        **own("verdict", "warnings", "rows", "classes", "intercept", "ridge", "energy"),
        "explained": d.explained,
        "signal": d.signal,
        **paper("d_w", "d_s"),
        "correlation_dimension": d.ridgeless.correlation,
        **own("noise_variance"),
        **paper("chance_correlation", "residual_w", "residual_s", "rho_w", "rho_s"),
        **paper("missed", "leaked"),
        "leverage_w": d.weak.leverage,
        "leverage_s": d.strong.leverage,
        "inflation_w": d.weak.inflation,
        "inflation_s": d.strong.inflation,
        "risk_is": _risk_name(d),
        **own("best_n_pgr", "best_n_opr"),
        "student_wins_from_N": pd.DataFrame(wins),
        "predictions": d.table().assign(**terms, **used, exact=d.exact.ravel()),
        "joint": None if d.joint is None else d.joint._asdict(),
        "ridgeless": d.ridgeless.table(),
        **paper("canonical_correlations"),
        **own("spectrum_w", "spectrum_s"),
    }


def _strict(content: Any) -> str:
    return json.dumps(_plain(content), allow_nan=False, indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Values as JSON has them."""
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if is_dataclass(value) and not isinstance(value, type):
        fields = asdict(value)
        fields.pop("degrees", None)  # of an estimate: no number of the report
        return _plain(fields)
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return _plain(value.item())
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
