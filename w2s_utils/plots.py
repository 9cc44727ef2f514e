"""One look for every figure: a colour, a line and a marker for each model."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from IPython.core.getipython import get_ipython
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import ArrayLike, NDArray

from w2s_utils.figure_data import as_csv
from w2s_utils.metrics import MODELS, Estimate, Risks, opr, pgr

# Okabe and Ito's colours, those of models with a contrast of at least 3:1 on the page.
COLORS = {"weak": "#D55E00", "student": "#0072B2", "baseline": "#008A64", "ceiling": "#5A5A5A"}
ON_DARK = {"weak": "#F08040", "student": "#56B4E9", "baseline": "#2FBF93", "ceiling": "#B4B4B4"}
PARTS = {  # of the student's risk
    "unseen": "#999999",
    "missed": "#E69F00",
    "inherited": "#D55E00",
    "reduced": "#56B4E9",
    "leaked": "#CC79A7",
}
PAPER = "#FCFCFA"
MARKERS = {"weak": "o", "student": "s", "baseline": "^", "ceiling": "D"}
LABELS = {
    "weak": "weak teacher",
    "student": "W2S student",
    "baseline": "strong baseline",
    "ceiling": "strong ceiling",
}


def use_style() -> None:
    """Set the book's style and make notebooks draw reproducible SVG."""
    sns.set_theme(context="notebook", style="ticks", font_scale=0.95)
    mpl.rcParams.update(
        {
            "figure.facecolor": PAPER,
            "axes.facecolor": PAPER,
            "savefig.facecolor": PAPER,
            "figure.figsize": (7.2, 4.2),
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#E4E4E0",
            "axes.titlesize": "medium",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
            "svg.hashsalt": "w2s",
        }
    )
    set_matplotlib_formats("svg", metadata={"Date": None})
    shell = get_ipython()
    if shell and shell.display_formatter:  # the notebook keeps a figure's numbers with its picture
        svg = shell.display_formatter.formatters["image/svg+xml"]
        draw = svg.lookup_by_type(Figure)
        svg.for_type(Figure, lambda figure: (draw(figure), {"table": as_csv(figure)}))


def css(colors: Mapping[str, str]) -> str:
    """Declare colours as properties of a page: ``--weak: #D55E00;`` and so on."""
    return " ".join(f"--{name}: {color};" for name, color in colors.items())


def curve(ax: Axes, model: str, x: ArrayLike, y: ArrayLike, **style: Any) -> None:
    """Draw a theoretical curve in the model's colour.

    Parameters
    ----------
    ax : matplotlib Axes
    model : str
        A key of `COLORS`.
    x, y : (points,) array_like
    **style
        Passed to ``Axes.plot``.
    """
    ax.plot(x, y, **{"color": COLORS[model], **style})


def points(
    ax: Axes, model: str, x: ArrayLike, samples: ArrayLike, label: str | None = None, **style: Any
) -> None:
    """Draw means over trials with bars of two standard errors in the model's colour and marker.

    Parameters
    ----------
    ax : matplotlib Axes
    model : str
        A key of `COLORS`.
    x : (points,) array_like
    samples : (points, trials) array_like
        At least two trials.
    label : str, optional
        Legend entry; the model's name if None.
    **style
        Passed to ``Axes.errorbar``.
    """
    samples = np.asarray(samples, dtype=float)
    error = 2 * samples.std(axis=1, ddof=1) / np.sqrt(samples.shape[1])
    ax.errorbar(
        x,
        samples.mean(axis=1),
        yerr=error,
        **{
            "color": COLORS[model],
            "marker": MARKERS[model],
            "linestyle": "none",
            "capsize": 2,
            "label": LABELS[model] if label is None else label,
            **style,
        },
    )


def estimates(ax: Axes, x: ArrayLike, found: Sequence[Estimate], **style: Any) -> None:
    """Draw estimates, of ratios for example, with bars of two standard errors.

    Parameters
    ----------
    ax : matplotlib Axes
    x : (points,) array_like
    found : sequence of Estimate
        One a point.
    **style
        Passed to ``Axes.errorbar``.
    """
    ax.errorbar(
        x,
        [e.value for e in found],
        yerr=[2 * e.standard_error for e in found],
        **{"linestyle": "none", "capsize": 2, **style},
    )


def risks(
    ax: Axes, x: ArrayLike, measured: Sequence[Risks], fine_x: ArrayLike, expected: Risks
) -> None:
    """Draw the four models: measured with bars of two standard errors, expected as lines.

    Parameters
    ----------
    ax : matplotlib Axes
    x : (points,) array_like
    measured : sequence of Risks
        Of (trials,) arrays, one a point.
    fine_x : (m,) array_like
    expected : Risks of (m,) arrays
    """
    for model, samples, line in zip(MODELS, Risks.stack(measured), expected, strict=True):
        curve(ax, model, fine_x, line, linewidth=1.3)
        points(ax, model, x, samples)


def ratios(
    column: Sequence[Axes],
    x: ArrayLike,
    measured: Sequence[Risks],
    fine_x: ArrayLike,
    expected: Risks,
    **style: Any,
) -> None:
    """Draw PGR and OPR of one series: measured with bars of two standard errors, expected as lines.

    Parameters
    ----------
    column : two matplotlib Axes
        For PGR and OPR.
    x : (points,) array_like
    measured : sequence of Risks
        Of (trials,) arrays, one a point. A ratio that is undefined is not drawn.
    fine_x : (m,) array_like
    expected : Risks of (m,) arrays
    **style
        Passed to ``Axes.errorbar``; the line takes its color.
    """
    for ax, ratio, line in zip(column, (pgr, opr), (expected.pgr, expected.opr), strict=True):
        estimates(ax, x, [ratio(one) for one in measured], **style)
        ax.plot(fine_x, line, color=style.get("color"), linewidth=1.2)


def label_ratios(
    figure: Figure, axes: NDArray[Any], x_labels: Sequence[str], **legend: Any
) -> None:
    """Label panels of `ratios`, mark where nothing is gained, and put one legend above them.

    Parameters
    ----------
    figure : matplotlib Figure
    axes : (2, columns) array of matplotlib Axes
        PGR in the upper row, OPR in the lower.
    x_labels : sequence of str
        One a column.
    **legend
        Passed to ``Figure.legend``.
    """
    for row, name, nothing in zip(axes, ("PGR", "OPR"), (0, 1), strict=True):
        row[0].set_ylabel(name)
        for ax in row:
            ax.axhline(nothing, color=COLORS["ceiling"], linewidth=0.8, linestyle=":")
    for ax, label in zip(axes[1], x_labels, strict=True):
        ax.set_xlabel(label)
        ax.xaxis.set_major_locator(MaxNLocator(5))
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, **{"loc": "outside upper center", **legend})


def as_html(figure: Figure, alt: str) -> HTML:
    """Turn a figure into HTML, to show it on another page than the notebook's own.

    Parameters
    ----------
    figure : matplotlib Figure
    alt : str
        What the figure shows, for readers who cannot see it.

    Returns
    -------
    IPython HTML object
        An ``img`` element that holds the SVG; its text cannot run scripts.
    """
    svg = BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    source = b64encode(svg.getvalue()).decode()
    return HTML(f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{source}">')


def log_samples_axis(ax: Axes) -> None:
    """Give a logarithmic x axis of sample sizes plain labels at 1, 2 and 5 times powers of ten.

    Parameters
    ----------
    ax : matplotlib Axes
    """
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
