"""A figure as an element of a page, in the page's own colours."""

from __future__ import annotations

import re
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from w2s_utils import plots

INK, GRID = "#010203", "#010204"  # stand for the page's own colours, which follow its scheme
_VARIABLES = {INK: "currentColor", GRID: "var(--grid)"} | {
    color.lower(): f"var(--{model})" for model, color in plots.COLORS.items()
}
_COLORED = "axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"
LOOK: dict[Any, Any] = dict.fromkeys(_COLORED, INK) | {
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "font.size": 9,
    "errorbar.capsize": 2,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
}


def svg(figure: Figure, caption: str) -> str:
    """Figure as an element of the page, with its colours, its text as text, and ids of its own."""
    file = StringIO()
    with mpl.rc_context({"svg.hashsalt": caption}):
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=none)
    found = file.getvalue()
    found = found[found.index("<svg") :]
    found = re.sub(r' xmlns(:\w+)?="[^"]*"', "", found)
    for size in ("width", "height"):  # the page sets them
        found = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", found, count=1)
    found = re.sub(r' id="([^"]+)"', lambda m: m[0] if f"#{m[1]}" in found else "", found)
    for color, variable in _VARIABLES.items():
        found = found.replace(color, variable)
    label = escape(caption)
    found = found.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return f"<figure>{found}<figcaption>{label}</figcaption></figure>"
