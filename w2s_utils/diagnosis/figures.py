"""The plots of a report, as elements of its page."""

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
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.prediction import Band
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
_COLORED = "axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"
_LOOK: dict[Any, Any] = dict.fromkeys(_COLORED, _INK) | {
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "font.size": 9,
    "errorbar.capsize": 2,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
}


@mpl.rc_context(_LOOK)
def predictions(f: Forecast, check: pd.DataFrame | None, j: int, i: int) -> list[str]:
    """Predicted numbers against n at N[j] and against N at n[i], measured ones over them."""
    at_N, at_n = f"N = {f.N[j]:,} pseudo-labels", f"n = {f.n[i]:,} labels"
    found = []
    for name, sizes, index, fixed, value, where in (
        ("n", f.n, np.s_[:, j], "N", f.N[j], at_N),
        ("N", f.N, np.s_[i, :], "n", f.n[i], at_n),
    ):
        here = None if check is None else check[check[fixed] == value].assign(size=check[name])
        label = "labels n" if name == "n" else "pseudo-labels N"

        figure, (ax,) = _figure()
        for model in MODELS:
            _band(ax, sizes, f.risk[model][index], plots.COLORS[model], plots.LABELS[model])
            _markers(ax, here, model, plots.COLORS[model], plots.MARKERS[model])
        ax.set(xlabel=label, ylabel="squared error" if f.noise_variance is None else "excess risk")
        _limit(ax, [f.risk[model].value[index] for model in MODELS], here, MODELS)
        ax.legend()
        caption = f"Expected risks of the four models against {label}, {where}, with 90 % bands."
        found.append(_svg(figure, caption))

        figure, (upper, lower) = _figure(rows=2)
        for ax, ratio, band, even in ((upper, "pgr", f.pgr, 0), (lower, "opr", f.opr, 1)):
            _band(ax, sizes, band[index], plots.COLORS["student"], None)
            _markers(ax, here, ratio, plots.COLORS["student"], "s")
            ax.axhline(even, color=_INK, linewidth=0.8, linestyle=":")
            ax.set_ylabel(ratio.upper())
            _limit(ax, [band.value[index], np.array([even])], here, (ratio,), least=-1)
        lower.set_xlabel(label)
        caption = "PGR above 0: better than the teacher; OPR above 1: better than the baseline."
        found.append(_svg(figure, f"PGR and OPR against {label}, {where}. {caption}"))

    figure, (ax,) = _figure()
    parts = [vars(f.terms)[part][:, j] for part in _PARTS]
    known = np.isfinite(parts).all(axis=0)
    ax.stackplot(
        f.n[known],
        [np.maximum(part[known], 0) for part in parts],
        labels=[label for label, _ in _PARTS.values()],
        colors=[color for _, color in _PARTS.values()],
    )
    plots.log_samples_axis(ax)
    ax.set(xlabel="labels n", ylabel="student's risk")
    ax.legend()
    found.append(_svg(figure, f"The student's expected risk by its parts, {at_N}."))
    return found


@mpl.rc_context(_LOOK)
def correlations(f: Forecast) -> str:
    """Canonical correlations and what chance makes of them."""
    figure, (ax,) = _figure()
    count = np.arange(1, len(f.canonical_correlations) + 1)
    ax.plot(count, f.canonical_correlations, ".", color=plots.COLORS["student"], markersize=4)
    ax.axhline(f.chance_correlation, color=_INK, linewidth=0.8, linestyle="--")
    ax.set(xlabel="direction", ylabel="canonical correlation", ylim=(0, 1.02))
    return _svg(
        figure,
        "Canonical correlations of the two sets. Dashed: the largest one that unrelated Gaussian "
        "features would show on as many rows.",
    )


@mpl.rc_context(_LOOK)
def spectra(f: Forecast) -> str:
    """Spectra of the two sets."""
    figure, (ax,) = _figure()
    for features, model in ((f.weak, "weak"), (f.strong, "student")):
        share = features.spectrum[features.spectrum > 0] / features.spectrum.sum()
        color, name = plots.COLORS[model], f"{features.name} features"
        ax.plot(np.arange(1, len(share) + 1), share, color=color, label=name)
        ax.plot(features.d, share[features.d - 1], "o", color=color)
    ax.set(xlabel="direction", ylabel="share of the energy", yscale="log")
    ax.legend()
    return _svg(figure, "Spectra of the features; a dot marks the last direction that is kept.")


@mpl.rc_context(_LOOK)
def ranking(best_first: pd.DataFrame) -> str:
    """The students' risks by their teachers."""
    table = best_first.iloc[::-1]
    figure, (ax,) = _figure(1.3 + 0.3 * len(table))
    half = table["student_high"] - table["student"]
    ax.errorbar(
        table["student"], range(len(table)), xerr=half, fmt="s", color=plots.COLORS["student"]
    )
    names = [name if len(name) <= 24 else f"{name[:23]}…" for name in table["teacher"]]
    ax.set_yticks(range(len(table)), names, parse_math=False)
    ax.set_xlabel("student's risk")
    return _svg(figure, "The student's expected risk under each teacher, with 90 % bands.")


def _figure(height: float = 3.4, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.6, height), layout="constrained")
    return figure, [*figure.subplots(rows, sharex=True, squeeze=False).flat]


def _band(ax: Axes, sizes: NDArray[np.int64], band: Band, color: str, label: str | None) -> None:
    ax.fill_between(sizes, band.low, band.high, color=color, alpha=0.2, linewidth=0)
    ax.plot(sizes, band.value, color=color, label=label, marker="." if len(sizes) == 1 else None)
    plots.log_samples_axis(ax)


def _markers(ax: Axes, check: pd.DataFrame | None, quantity: str, color: str, marker: str) -> None:
    if check is not None:
        here = _of(check, [quantity])
        ax.errorbar(
            here["size"], here["measured"], 2 * here["standard_error"],
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
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=none)
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
