"""The numbers behind a figure, as a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, LineCollection, PathCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

COLUMNS = ("panel", "series", "x", "y", "low", "high", "value")
Row = tuple[str, object, object, object, object, object]  # all of COLUMNS but the panel


def as_csv(figure: Figure) -> str:
    """Read the data of a figure back from what it draws.

    Parameters
    ----------
    figure : matplotlib Figure

    Returns
    -------
    str
        Comma-separated, with a header. `panel` is the number of the axes and their title. `series`
        is the label of a line or of marks, or else their colour. Error bars are `low` and `high`;
        `value` is the height of a map at x and y. Of an area x and y are the outline. What is no
        data, such as a line across the whole panel, is left out.

    Examples
    --------
    >>> ax = Figure().subplots()
    >>> _ = ax.plot([1, 2], [0.5, 0.25], label="student")
    >>> print(as_csv(ax.figure))
    panel,series,x,y,low,high,value
    1,student,1,0.5,,,
    1,student,2,0.25,,,
    <BLANKLINE>
    """
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, ax in enumerate(figure.axes, start=1):
        panel = f"{number} {ax.get_title()}".strip()
        writer.writerows([panel, row[0], *map(_shown, row[1:])] for row in _rows(ax))
    return table.getvalue()


def _rows(ax: Axes) -> Iterator[Row]:
    drawn: set[int] = set()  # parts of containers
    for container in ax.containers:
        if isinstance(container, ErrorbarContainer) and container[0] is not None:
            yield from _with_bars(container)
            line, caps, bars = container
            drawn |= {id(part) for part in (line, *caps, *bars)}
        elif isinstance(container, BarContainer) and container.patches:
            name = _name(container, container.patches[0].get_facecolor())
            for bar in container.patches:
                middle, end = bar.get_x() + bar.get_width() / 2, bar.get_y() + bar.get_height()
                yield name, middle, end, "", "", ""
    for line in ax.lines:
        along_both = all(line.get_transform().contains_branch_seperately(ax.transData))
        if id(line) in drawn or not along_both:
            continue
        x, y = np.broadcast_arrays(line.get_xdata(), line.get_ydata())
        name = _name(line, line.get_color())
        yield from ((name, *point, "", "", "") for point in zip(x, y, strict=True))
    for part in ax.collections:
        if id(part) not in drawn:
            yield from _collected(part)


def _with_bars(container: ErrorbarContainer) -> Iterator[Row]:
    line, _, bars = container
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    ends: list[Any] = [("", "")] * len(x)
    for part in bars:
        segments = [np.asarray(segment) for segment in part.get_segments()]  # of no number: empty
        if all(len(segment) == 0 or segment[0, 0] == segment[-1, 0] for segment in segments):
            ends = [sorted(segment[:, 1]) if len(segment) else ("", "") for segment in segments]
    name = _name(container, line.get_color())
    yield from ((name, *point, *end, "") for *point, end in zip(x, y, ends, strict=True))


def _collected(part: Collection) -> Iterator[Row]:
    if isinstance(part, QuadMesh):
        corners = np.asarray(part.get_coordinates())
        centres = (corners[:-1, :-1] + corners[1:, 1:]) / 2
        values: Any = np.ma.filled(np.ma.asarray(part.get_array(), dtype=float), np.nan)
        for (x, y), value in zip(centres.reshape(-1, 2), values.ravel(), strict=True):
            yield "", x, y, "", "", value
    elif isinstance(part, PathCollection):
        name = _name(part, part.get_facecolor())
        offsets = np.asarray(part.get_offsets(), dtype=float)
        yield from ((name, x, y, "", "", "") for x, y in offsets)
    else:
        colors = part.get_edgecolor() if isinstance(part, LineCollection) else part.get_facecolor()
        levels = getattr(part, "levels", None)  # of contours
        for i, path in enumerate(part.get_paths()):
            name = _name(part, colors) if levels is None else f"level {levels[i]:g}"
            yield from ((name, x, y, "", "", "") for x, y in np.asarray(path.vertices))


def _name(artist: Any, color: Any) -> str:
    label = str(artist.get_label() or "")
    if label and not label.startswith("_"):
        return label
    colors = np.atleast_2d(np.asarray(color, dtype=object))
    return to_hex(color if isinstance(color, str) else tuple(colors[0])) if colors.size else ""


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, (int, float, np.number)) else str(value)
