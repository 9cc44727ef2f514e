"""A diagnosis or a ranking as one HTML file with its plots, which needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from w2s_utils import plots
from w2s_utils.diagnosis import report
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.ranking import Ranking
from w2s_utils.metrics import MODELS

_INK, _GRID = "#010203", "#010204"  # stand for the page's own colours, which follow its scheme
_VARIABLES = {_INK: "currentColor", _GRID: "var(--grid)"} | {
    color.lower(): f"var(--{model})" for model, color in plots.COLORS.items()
}
_PARTS = {
    "inherited": ("variance inherited from the teacher", plots.PARTS["inherited"]),
    "reduced": ("variance that pseudo-labels reduce", plots.PARTS["reduced"]),
    "missed": ("bias: missed by the teacher", plots.PARTS["missed"]),
    "leaked": ("bias: leaked", plots.PARTS["leaked"]),
    "unseen": ("bias: unseen by the student", plots.PARTS["unseen"]),
}
_LOOK: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "font.size": 9,
    "errorbar.capsize": 2,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fcfcfa; --soft: #5a5f66;
  --grid: #e0e0dc; --card: #f3f3ef; --warn: #8a4b00;
  --weak: #d55e00; --student: #0072b2; --baseline: #008a64; --ceiling: #5a5a5a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e4; --paper: #15181c; --soft: #a4abb3;
  --grid: #33383f; --card: #1e2227; --warn: #f0b060;
  --weak: #f08040; --student: #56b4e9; --baseline: #2fbf93; --ceiling: #b4b4b4; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p, ul { max-width: 46rem; } .soft { color: var(--soft); }
.verdict { padding: .1rem 1rem; background: var(--card); border-left: .3rem solid var(--student); }
.verdict p:first-child { font-size: 1.1rem; font-weight: 600; }
.warnings { color: var(--warn); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.5rem 2rem; }
figure { margin: 0; min-width: 0; max-width: 36rem; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--grid); overflow-wrap: normal; }
th { color: var(--soft); font-weight: 600; }
.words td:last-child, .words td:first-child, .words th:first-child, .names td:nth-child(2),
.names th:nth-child(2) { text-align: left; }
.words td:last-child { white-space: normal; min-width: 12rem; }
caption { text-align: left; padding: 1rem 0 .3rem; }
summary { cursor: pointer; margin: 1rem 0; }
"""


@mpl.rc_context(_LOOK)
def html(
    d: Diagnosis,
    check: pd.DataFrame | None = None,
    *,
    teacher: str = "weak",
    student: str = "strong",
) -> str:
    """Write a diagnosis as an HTML document.

    Parameters
    ----------
    d : Diagnosis
    check : DataFrame, optional
        Result of `verify`, drawn over the predictions.
    teacher, student : str
        Names of the two feature sets.

    Returns
    -------
    str
        With its plots inside, no scripts, and no reference to anything outside.
    """
    last, middle = len(d.N) - 1, len(d.n) // 2
    if check is not None:  # the largest sizes at which much was measured
        points = check[["n", "N"]].drop_duplicates()
        middle, last = (
            int(np.searchsorted(sizes, _largest_common(points[name])))
            for name, sizes in (("n", d.n), ("N", d.N))
        )
    body = [
        f"<p class=soft>{escape(report.heading(d, teacher, student))}</p>",
        f"<div class=verdict><p>{escape(d.verdict.headline)}</p>{_list(d.verdict.reasons)}</div>",
    ]
    if d.warnings:
        body.append(f"<h2>Warnings</h2><div class=warnings>{_list(d.warnings)}</div>")
    body += ["<h2>Predicted</h2><div class=plots>", *_prediction_plots(d, check, last, middle)]
    body += [
        "</div>",
        _table(report.risks_by_n(d, len(d.N) - 1), f"At N = {d.N[-1]:,}"),
        _table(report.ratios_by_n(d, len(d.N) - 1), f"At N = {d.N[-1]:,}"),
        _table(report.by_N(d, middle), f"At n = {d.n[middle]:,}"),
        f"<p class=soft>{escape(report.how_to_read(d))}</p>",
    ]
    if check is not None:
        body += [
            "<h2>Predicted / measured</h2>",
            f"<p>{escape(report.agreement(check))} Measured: means over splits of the rows ± "
            "standard errors; in the plots, markers with bars of two.</p>",
            "<details><summary>All points</summary>",
            _table(report.checked(check, every=True)),
            "</details>",
        ]
    body += [
        "<h2>Measured</h2>",
        _table(report.measured(d), kind="words"),
        f"<div class=plots>{_correlations(d)}{_spectra(d)}</div>",
        _MEANINGS,
    ]
    return _document(f"Will {teacher} help {student}?", body)


@mpl.rc_context(_LOOK)
def ranking_html(r: Ranking, *, student: str = "strong") -> str:
    """Write a ranking as an HTML document.

    Parameters
    ----------
    r : Ranking
    student : str
        Name of the strong features.

    Returns
    -------
    str
        As of `html`.
    """
    known = next(iter(r.diagnoses.values()))
    body = [
        f"<p class=soft>n = {r.n:,} labels, N = {r.N:,} pseudo-labels, {known.rows:,} rows</p>",
        f"<div class=verdict><p>{escape(report.ranking_sentence(r))}</p></div>",
        "<h2>Teachers</h2>",
        _table(report.ranked(r), kind="names"),
        f"<p class=soft>{escape(report.ranking_note(r))}</p>",
        f"<div class=plots>{_ranking_plot(r)}</div>",
    ]
    for name, d in r.diagnoses.items():
        body.append(f"<h2>{escape(name)}</h2><p>{escape(d.verdict.headline)}</p>")
        body.append(_list(d.verdict.reasons))
        if d.warnings:
            body.append(f"<div class=warnings>{_list(d.warnings)}</div>")
    return _document(f"Which teacher for {student}?", [*body, _MEANINGS])


_MEANINGS = """<h2>Terms</h2>
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


def _largest_common(sizes: pd.Series[int]) -> int:
    """Largest of the sizes that occur at least half as often as the most common one."""
    count = sizes.value_counts()
    return int(count.index[2 * count >= count.max()].max())


# --- Plots ----------------------------------------------------------------------------------------


def _prediction_plots(d: Diagnosis, check: pd.DataFrame | None, j: int, i: int) -> list[str]:
    at_N, at_n = f"N = {d.N[j]:,} pseudo-labels", f"n = {d.n[i]:,} labels"
    found = []
    for along, sizes, where in (("n", d.n, at_N), ("N", d.N, at_n)):
        index = np.s_[:, j] if along == "n" else np.s_[i, :]
        fixed = ("N", d.N[j]) if along == "n" else ("n", d.n[i])
        here = None if check is None else check[check[fixed[0]] == fixed[1]]
        name = "labels n" if along == "n" else "pseudo-labels N"

        figure, ax = _figure()
        for model in MODELS:
            _band(ax, sizes, d.risk[model], index, plots.COLORS[model], plots.LABELS[model])
            _markers(ax, here, along, model, plots.COLORS[model], plots.MARKERS[model])
        ax.set(xlabel=name, ylabel="squared error" if d.noise_variance is None else "excess risk")
        _limit(ax, [d.risk[model].value[index] for model in MODELS], here, MODELS)
        ax.legend()
        found.append(
            _svg(
                figure,
                f"Expected risks of the four models against {name}, {where}, with 90 % bands.",
            )
        )

        figure, upper, lower = _two()
        for ax, ratio, band, even in ((upper, "pgr", d.pgr, 0), (lower, "opr", d.opr, 1)):
            _band(ax, sizes, band, index, plots.COLORS["student"], None)
            _markers(ax, here, along, ratio, plots.COLORS["student"], "s")
            ax.axhline(even, color=_INK, linewidth=0.8, linestyle=":")
            ax.set_ylabel(ratio.upper())
            _limit(ax, [band.value[index], np.array([even])], here, (ratio,), least=-1)
        lower.set_xlabel(name)
        caption = "PGR above 0: better than the teacher; OPR above 1: better than the baseline."
        found.append(_svg(figure, f"PGR and OPR against {name}, {where}. {caption}"))

    figure, ax = _figure()
    parts = [getattr(d.terms, part)[:, j] for part in _PARTS]
    known = np.isfinite(parts).all(axis=0)
    ax.stackplot(
        d.n[known],
        [np.maximum(part[known], 0) for part in parts],
        labels=[label for label, _ in _PARTS.values()],
        colors=[color for _, color in _PARTS.values()],
    )
    plots.log_samples_axis(ax)
    ax.set(xlabel="labels n", ylabel="student's risk")
    ax.legend()
    found.append(_svg(figure, f"The student's expected risk by its parts, {at_N}."))
    return found


def _correlations(d: Diagnosis) -> str:
    figure, ax = _figure()
    count = np.arange(1, len(d.canonical_correlations) + 1)
    ax.plot(count, d.canonical_correlations, ".", color=plots.COLORS["student"], markersize=4)
    ax.axhline(d.chance_correlation, color=_INK, linewidth=0.8, linestyle="--")
    ax.set(xlabel="direction", ylabel="canonical correlation", ylim=(0, 1.02))
    return _svg(
        figure,
        "Canonical correlations of the two sets. Dashed: the largest one that unrelated Gaussian "
        "features would show on as many rows.",
    )


def _spectra(d: Diagnosis) -> str:
    figure, ax = _figure()
    for spectrum, kept, model in (
        (d.spectrum_w, d.d_w, "weak"),
        (d.spectrum_s, d.d_s, "student"),
    ):
        share = spectrum[spectrum > 0] / spectrum.sum()
        name = "weak features" if model == "weak" else "strong features"
        ax.plot(np.arange(1, len(share) + 1), share, color=plots.COLORS[model], label=name)
        ax.plot(kept, share[kept - 1], "o", color=plots.COLORS[model])
    ax.set(xlabel="direction", ylabel="share of the energy", yscale="log")
    ax.legend()
    return _svg(figure, "Spectra of the features; a dot marks the last direction that is kept.")


def _ranking_plot(r: Ranking) -> str:
    table = r.table.iloc[::-1]
    figure, ax = _figure(1.3 + 0.3 * len(table))
    half = table["student_high"] - table["student"]
    ax.errorbar(
        table["student"], range(len(table)), xerr=half, fmt="s", color=plots.COLORS["student"]
    )
    names = [name if len(name) <= 24 else f"{name[:23]}…" for name in table["teacher"]]
    ax.set_yticks(range(len(table)), names, parse_math=False)
    ax.set_xlabel("student's risk")
    return _svg(figure, "The student's expected risk under each teacher, with 90 % bands.")


def _figure(height: float = 3.4) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, height), layout="constrained")
    return figure, figure.subplots()


def _two() -> tuple[Figure, Axes, Axes]:
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    return figure, upper, lower


def _band(
    ax: Axes,
    sizes: NDArray[np.int64],
    band: Band,
    index: tuple[slice | int, ...],
    color: str,
    label: str | None,
) -> None:
    ax.fill_between(sizes, band.low[index], band.high[index], color=color, alpha=0.2, linewidth=0)
    marker = "." if len(sizes) == 1 else None
    ax.plot(sizes, band.value[index], color=color, label=label, marker=marker)
    plots.log_samples_axis(ax)


def _markers(
    ax: Axes, check: pd.DataFrame | None, along: str, quantity: str, color: str, marker: str
) -> None:
    if check is None:
        return
    here = _of(check, [quantity])
    ax.errorbar(
        here[along], here["measured"], 2 * here["standard_error"],
        color=color, marker=marker, linestyle="none",
    )  # fmt: skip


def _limit(
    ax: Axes,
    curves: Iterable[NDArray[np.float64]],
    check: pd.DataFrame | None,
    quantities: Iterable[str],
    least: float = 0.0,
) -> None:
    """Keep most of the curves and markers in sight, whatever bands and thresholds do."""
    values = np.concatenate([*curves, [] if check is None else _of(check, quantities)["measured"]])
    values = values[np.isfinite(values)]
    low, high = max(float(values.min()), least), float(values.max())
    if least == 0:
        high = min(high, 5 * float(np.median(values)))
    margin = 0.08 * (high - low) or 0.1
    ax.set_ylim(max(low - margin, least), high + margin)


def _of(check: pd.DataFrame, quantities: Iterable[str]) -> pd.DataFrame:
    return check[check["quantity"].isin(quantities)]


def _svg(figure: Figure, caption: str) -> str:
    """Figure as an element of the page, with its colours, its text as text, and ids of its own."""
    file = StringIO()
    with mpl.rc_context({"svg.hashsalt": caption}):
        figure.savefig(
            file,
            format="svg",
            transparent=True,
            metadata={"Creator": None, "Date": None, "Format": None, "Type": None},
        )
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    for size in ("width", "height"):  # the page sets them
        svg = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' id="([^"]+)"', lambda m: m[0] if f"#{m[1]}" in svg else "", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    label = escape(caption)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return f"<figure>{svg}<figcaption>{label}</figcaption></figure>"


# --- Elements -------------------------------------------------------------------------------------


def _table(table: report.Table, caption: str = "", kind: str = "numbers") -> str:
    header, *rows = (
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
        for tag, row in zip(["th", *["td"] * (len(table) - 1)], table, strict=True)
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f"<div class=wide tabindex=0><table class={kind}>{title}<thead><tr>{header}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _document(title: str, body: Iterable[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main><h1>{escape(title)}</h1>\n" + "\n".join(body) + "</main></body></html>\n"
    )
