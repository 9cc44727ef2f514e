"""The plots of a report, as elements of its page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.scale import SymmetricalLogScale
from matplotlib.ticker import FuncFormatter, SymmetricalLogLocator
from numpy.typing import NDArray

from w2s_utils import plots
from w2s_utils._validate import Array
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.study import Study
from w2s_utils.diagnosis.svg import GRID, INK, LOOK, svg
from w2s_utils.metrics import MODELS

_PARTS = {
    "inherited": ("variance inherited from the teacher", plots.PARTS["inherited"], None),
    "reduced": ("variance that pseudo-labels reduce", plots.PARTS["reduced"], None),
    "missed": ("bias: missed by the teacher", plots.PARTS["missed"], None),
    "leaked": ("bias: leaked", plots.PARTS["leaked"], None),
    "unseen": ("bias: unseen by the student", plots.PARTS["unseen"], "////"),
}
_BY = {
    "teacher": "under each teacher",
    "pool": "taught on each pool",
    "route": "taught by each way",
}


class _View(NamedTuple):
    """Points of the grid that a figure shows: along one size, or a single one."""

    name: str
    label: str
    sizes: NDArray[np.int64]
    index: Any
    at: str
    check: pd.DataFrame


@mpl.rc_context(LOOK)
def predictions(f: Predicted, check: pd.DataFrame | None, j: int, i: int) -> list[str]:
    """Predicted numbers against n at N[j] and against N at n[i], measured ones over them.

    There is no figure against a size that does not vary, and none of what is nowhere known.
    """
    at_N, at_n = f"N = {f.N[j]:,} pseudo-labels", f"n = {f.n[i]:,} labels"
    check = _with_ends(check)
    along_n, along_N = check[check["N"] == f.N[j]], check[check["n"] == f.n[i]]
    views = [
        _View("n", "labels n", f.n, np.s_[:, j], at_N, along_n),
        _View("N", "pseudo-labels N", f.N, np.s_[i, :], at_n, along_N),
    ]
    views = [view for view in views if len(view.sizes) > 1]
    draw, against = _curves, "against {0.label}, {0.at}"
    if not views:
        views = [_View("n", "", f.n, np.s_[:, 0], f"{at_n}, {at_N}", along_n)]
        draw, against = _intervals, "at {0.at}"
    found: list[str] = []
    for view in views:
        shown = against.format(view)
        risks, gains = _known(f, view, [MODELS]), _known(f, view, [("pgr",), ("opr",)])
        if risks:
            told = f"Expected {f.many} {shown}, with 90 % bands."
            found.append(draw(f, view, risks, told))
        if gains:
            where = shown if f.many == "risks" else f"in {f.many} {shown}"
            found.append(draw(f, view, gains, _gains(gains, where)))
    return found + (_parts(f, views) if isinstance(f, Forecast) else [])


def _gains(rows: list[list[str]], shown: str) -> str:
    means = {"pgr": "PGR above 0: better than the teacher",
             "opr": "OPR above 1: better than the baseline"}  # fmt: skip
    names = [name for row in rows for name in row]
    told = f"{' and '.join(name.upper() for name in names)} {shown}."
    told += f" {'; '.join(means[name] for name in names)}."
    if "pgr" not in names:
        told += " There is no PGR where the teacher is not surely worse than the ceiling."
    return told


def _curves(f: Predicted, view: _View, rows: Sequence[Sequence[str]], caption: str) -> str:
    """Bands and markers along one size, in one panel for each row of quantities."""
    figure, axes = _figure(rows=len(rows))
    for ax, row in zip(axes, rows, strict=True):
        for quantity in row:
            _band(ax, view.sizes, _predicted(f, quantity)[view.index], **_look(quantity))
            here = _of(view.check, [quantity])
            if len(here):
                color, marker = _look(quantity)["color"], plots.MARKERS[_model(quantity)]
                off = here["measured"] - here["low"], here["high"] - here["measured"]
                ax.errorbar(
                    here[view.name], here["measured"], off,
                    color=color, marker=marker, linestyle="none",
                )  # fmt: skip
        ax.set_ylabel(_axis(f, row[0]))
        _limit(ax, "y", f, view, row)
        _size_axis(ax, view.sizes)
    axes[-1].set_xlabel(view.label)
    if len(rows[0]) > 1:
        figure.legend(loc="outside lower center", ncols=2)
    return svg(figure, caption)


def _intervals(f: Predicted, view: _View, rows: Sequence[Sequence[str]], caption: str) -> str:
    """Bands and markers of one point, each beside its name."""
    figure, axes = _figure(0.8 + 0.4 * sum(map(len, rows)), rows=len(rows), sharex=False)
    for ax, row in zip(axes, rows, strict=True):
        for y, quantity in enumerate(row):
            color, band = _look(quantity)["color"], _predicted(f, quantity)[view.index]
            ax.barh(y, band.high - band.low, 0.7, band.low, color=color, alpha=0.25)
            ax.plot(np.repeat(band.value, 2), [y - 0.35, y + 0.35], color=color, linewidth=2.5)
            here, marker = _of(view.check, [quantity]), plots.MARKERS[_model(quantity)]
            if len(here):
                off = here["measured"] - here["low"], here["high"] - here["measured"]
                ax.errorbar(here["measured"], [y], xerr=off, color=color, marker=marker)
        ax.set_yticks(range(len(row)), [plots.LABELS.get(name, name.upper()) for name in row])
        ax.grid(axis="y", visible=False)
        ax.locator_params(axis="x", nbins=6)
        ax.set_ylim(len(row) - 0.4, -0.6)
        _limit(ax, "x", f, view, row)
        if len(row) > 1:
            ax.set_xlabel(_axis(f, row[0]))
    return svg(figure, caption)


def _parts(f: Forecast, views: list[_View]) -> list[str]:
    """The student's risk by its parts: along one size, or as a bar where one point is known."""
    every = np.maximum([vars(f.terms)[part] for part in _PARTS], 0)
    known = np.isfinite(every).all(axis=0) & (every.sum(axis=0) > 0)
    names, colors, hatches = zip(*_PARTS.values(), strict=True)
    for view in views:
        sizes = view.sizes[known[view.index]]
        if len(sizes) > 1:
            figure, (ax,) = _figure(4.0)
            columns = 2
            parts = every[(slice(None), *view.index)][:, known[view.index]]
            ax.stackplot(
                sizes, parts, labels=names, colors=colors, hatch=hatches, edgecolor=INK,
                linewidth=0,
            )  # fmt: skip
            ax.set(xlabel=view.label, ylabel="student's risk")
            _size_axis(ax, sizes)
            at = view.at
            break
    else:
        if not known.any():
            return []
        i, j = np.argwhere(known)[-1]
        figure, (ax,) = _figure(2.4)
        columns = 1
        parts, at = every[:, i, j], f"n = {f.n[i]:,} labels, N = {f.N[j]:,} pseudo-labels"
        for k, (name, color, hatch) in enumerate(_PARTS.values()):
            ax.barh(
                0, parts[k], 1, parts[:k].sum(), color=color, hatch=hatch, edgecolor=INK,
                linewidth=0, label=f"{name}, {100 * parts[k] / parts.sum():.0f} %",
            )  # fmt: skip
        ax.set(xlabel="student's risk", yticks=[], xlim=(0, None))
    figure.legend(loc="outside lower center", ncols=columns)
    return [svg(figure, f"The student's expected risk by its parts, {at}.")]


@mpl.rc_context(LOOK)
def correlations(f: Forecast) -> str:
    """Canonical correlations and what chance makes of them."""
    figure, (ax,) = _figure()
    count = np.arange(1, len(f.canonical_correlations) + 1)
    ax.plot(count, f.canonical_correlations, ".", color=plots.COLORS["student"], markersize=4)
    ax.axhline(f.chance_correlation, color=INK, linewidth=0.8, linestyle="--")
    ax.set(xlabel="direction", ylabel="canonical correlation", ylim=(0, 1.02))
    return svg(
        figure,
        "Canonical correlations of the two sets. Dashed: the largest one that unrelated Gaussian "
        "features would show on as many rows.",
    )


@mpl.rc_context(LOOK)
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
    return svg(figure, "Spectra of the features; a dot marks the last direction that is kept.")


@mpl.rc_context(LOOK)
def ranking(best_first: pd.DataFrame, kind: str, measure: str) -> str:
    """What the students are ranked by, for their teachers, pools or ways of being taught."""
    table = best_first.dropna(subset="student").iloc[::-1]
    figure, (ax,) = _figure(1.3 + 0.3 * len(table))
    half = table["student_high"] - table["student"]
    ax.errorbar(
        table["student"], range(len(table)), xerr=half, fmt="s", color=plots.COLORS["student"]
    )
    names = [name if len(name) <= 24 else f"{name[:23]}…" for name in table[kind]]
    ax.set_yticks(range(len(table)), names, parse_math=False)
    ax.set_xlabel(f"student's {measure}")
    return svg(figure, f"The student's expected {measure} {_BY[kind]}, with 90 % bands.")


@mpl.rc_context(LOOK)
def study(s: Study) -> list[str]:
    """Heat maps of what each student gains on each teacher: in risk, and of classes in accuracy."""
    shown = [("", 100 / s.table["variance"].iloc[0], "risk, in per cent of the labels' variance")]
    if "errors_gain" in s.table:
        shown.append(("errors_", 100.0, "accuracy, in points"))
    return [_heat(s, *one) for one in shown]


def _heat(s: Study, prefix: str, unit: float, what: str) -> str:
    import seaborn as sns  # slow to load

    gain = unit * s.matrix(f"{prefix}gain")
    sure = (s.matrix(f"{prefix}gain_low") > 0) | (s.matrix(f"{prefix}gain_high") < 0)
    told = (
        gain.map("{:.2g}".format).where(sure, gain.map("({:.2g})".format)).where(gain.notna(), "")
    )
    rows, columns = gain.shape
    figure = Figure(figsize=(1.6 + 0.46 * max(columns, 6), 1.3 + 0.3 * rows), layout="constrained")
    ax = figure.subplots()
    most = float(np.nanmax(np.abs(gain.to_numpy()))) or 1.0
    sns.heatmap(
        gain, annot=told if max(rows, columns) <= 16 else None, fmt="", ax=ax, cmap="RdBu",
        vmin=-most, vmax=most, annot_kws={"fontsize": 7}, linewidths=0.5, linecolor=GRID,
        cbar=False, xticklabels=False, yticklabels=False,
    )  # fmt: skip
    ax.set(xlabel="student", ylabel="teacher")
    for axis, names in ((ax.xaxis, gain.columns), (ax.yaxis, gain.index)):
        short = [name if len(name) <= 24 else f"{name[:23]}…" for name in names]
        axis.set_ticks(np.arange(len(short)) + 0.5, short, parse_math=False)
    ax.tick_params(axis="x", rotation=90 if columns > 4 else 0)
    ax.tick_params(axis="y", rotation=0)
    return svg(
        figure,
        f"What each student is expected to gain on its teacher in {what}: blue is better than the "
        "teacher, red worse. In brackets: the 90 % band holds zero.",
    )


def _figure(height: float = 3.4, rows: int = 1, sharex: bool = True) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.6, height), layout="constrained")
    return figure, [*figure.subplots(rows, sharex=sharex, squeeze=False).flat]


def _model(quantity: str) -> str:
    """Whose look a quantity has."""
    return quantity if quantity in MODELS else "student"


def _look(quantity: str) -> dict[str, Any]:
    return {"color": plots.COLORS[_model(quantity)], "label": plots.LABELS.get(quantity)}


def _axis(f: Predicted, quantity: str) -> str:
    if quantity not in MODELS:
        return quantity.upper()
    return f.measure


def _predicted(f: Predicted, quantity: str) -> Band:
    return f.risk[quantity] if quantity in MODELS else getattr(f, quantity)


def _known(f: Predicted, view: _View, rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The rows without quantities of which nothing is known here."""
    kept = [
        [
            name
            for name in row
            if np.isfinite(_predicted(f, name).value[view.index]).any()
            or _of(view.check, [name])["measured"].notna().any()
        ]
        for row in rows
    ]
    return [row for row in kept if row]


def _with_ends(check: pd.DataFrame | None) -> pd.DataFrame:
    """What was measured, and the ends of its bars, cut at zero as bands of risks are."""
    if check is None:
        return pd.DataFrame(columns=["n", "N", "quantity", "measured", "low", "high"])
    value, half = check["measured"], 2 * check["standard_error"]
    cut = (value >= 0) & (check["quantity"] != "pgr")
    return check.assign(low=np.maximum(value - half, np.where(cut, 0, -np.inf)), high=value + half)


def _band(ax: Axes, sizes: NDArray[np.int64], band: Band, color: str, label: str | None) -> None:
    ax.fill_between(sizes, band.low, band.high, color=color, alpha=0.2, linewidth=0)
    ax.plot(sizes, band.value, color=color, label=label)
    alone = _alone(band)
    if alone.any():
        value, low, high = band.value[alone], band.low[alone], band.high[alone]
        ax.vlines(sizes[alone], low, high, color=color, alpha=0.4, linewidth=5)
        ax.plot(sizes[alone], value, "_", color=color, markersize=9, markeredgewidth=1.6)


def _alone(band: Band) -> NDArray[np.bool_]:
    """Known points that no line leads to."""
    known = np.pad(np.isfinite(band.value), 1)
    alone: NDArray[np.bool_] = known[1:-1] & ~known[:-2] & ~known[2:]
    return alone


def _limit(ax: Axes, axis: str, f: Predicted, view: _View, row: Sequence[str]) -> None:
    """Keep all that was measured in sight, and most of the curves whatever thresholds do."""
    bands, here = [_predicted(f, name)[view.index] for name in row], _of(view.check, row)
    curves = np.concatenate([band.value for band in bands])
    kept = here[["measured", "low", "high"]].to_numpy(float).ravel()
    alone = [part[_alone(band)] for band in bands for part in vars(band).values()]
    kept = np.concatenate([kept, *alone])
    even = {"pgr": 0.0, "opr": 1.0}.get(row[0])
    if even is not None:
        line = ax.axhline if axis == "y" else ax.axvline
        line(even, color=INK, linewidth=0.8, linestyle=":")
        curves = np.append(curves, even)
    curves, kept = curves[np.isfinite(curves)], kept[np.isfinite(kept)]
    if row[0] == "pgr":
        curves = np.maximum(curves, -1)
    else:
        points = np.concatenate([curves, here["measured"].dropna()])
        typical = float(np.median(points))
        if kept.max(initial=0) > 5 * typical > 0:
            least = float(points[points > 1e-3 * typical].min())
            _logarithmic(ax, axis, least, np.concatenate([curves, kept]))
            return
        if typical > 0:
            curves = np.minimum(curves, 5 * typical)
    every = np.concatenate([curves, kept])
    low, high = float(every.min()), float(every.max())
    margin = max(0.08 * (high - low), 0 if even is None else 0.05) or 0.1
    least = 0 if row[0] != "pgr" and low >= 0 else -np.inf
    ax.set(**{f"{axis}lim": (max(low - margin, least), high + margin)})


def _logarithmic(ax: Axes, axis: str, least: float, values: Array) -> None:
    """Set an axis up for values of several sizes: logarithmic from `least` on, zero below."""
    low, high = min(float(values.min()), 0), 1.3 * float(values.max())
    locator = SymmetricalLogLocator(
        base=10, linthresh=least, subs=(1, 3) if high < 1e4 * least else (1,)
    )
    locator.set_params(numticks=6)
    ax.set(
        **{f"{axis}scale": SymmetricalLogScale(None, linthresh=least), f"{axis}lim": (low, high)}
    )
    one = ax.yaxis if axis == "y" else ax.xaxis
    one.set_major_locator(locator)
    # Labels well below `least` would touch that of zero.
    one.set_major_formatter(FuncFormatter(lambda x, _: "" if 0 < x < least / 3 else f"{x:g}"))


def _size_axis(ax: Axes, sizes: NDArray[np.int64]) -> None:
    plots.log_samples_axis(ax)
    margin = (sizes[-1] / sizes[0]) ** 0.05
    low, high = sizes[0] / margin, sizes[-1] * margin
    ax.set_xlim(low, high)
    ticks = [m * 10**k for k in range(12) for m in (1, 2, 5) if low <= m * 10**k <= high]
    if len(ticks) > 8:  # their labels would touch
        ticks = [tick for tick in ticks if str(tick)[0] == "1"]
    ax.set_xticks(ticks if len(ticks) > 1 else sizes[[0, -1]])


def _of(check: pd.DataFrame, quantities: Iterable[str]) -> pd.DataFrame:
    return check[check["quantity"].isin(quantities)]
