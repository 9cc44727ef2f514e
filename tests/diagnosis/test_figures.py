"""Figures of a report: each shows something, whatever sizes were asked for, without a warning."""

import re
from functools import partial

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from w2s_utils import diagnosis, plots
from w2s_utils.diagnosis import Report, figures, verify
from w2s_utils.metrics import MODELS

# Without ridge, since tuned models have a prediction at every size.
diagnose = partial(diagnosis.diagnose, ridge=0.0, as_given=True)
RNG = np.random.default_rng(7)
X = RNG.standard_normal((600, 12))
Y = X @ np.linspace(1, 0.5, 12) + RNG.standard_normal(600)
PAIR = X[:, :8], X[:, 5:], Y
GRIDS = {  # n, N and the axes that the figures of risks have; the least sizes are below thresholds
    "one of both": (60, 200, ["at n = 60"]),
    "one n": (60, [20, 60, 200], ["against pseudo-labels N"]),
    "one N": ([20, 60, 200], 200, ["against labels n"]),
    "ranges": (
        [8, 20, 60, 200], [5, 8, 30, 200, 10_000], ["against labels n", "against pseudo-labels N"],
    ),
    "one known n": ([8, 60], 200, ["against labels n"]),
    "nothing known": (8, 5, ["at n = 8"]),
    "close": ([60, 61], [200, 201], ["against labels n", "against pseudo-labels N"]),
}  # fmt: skip


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that a page is made of, by their captions."""
    found, svg = {}, figures.svg

    def keep(figure, caption):
        found[caption] = figure
        return svg(figure, caption)

    monkeypatch.setattr(figures, "svg", keep)
    return found


def shows_data(ax):
    """Whether something that was drawn with the data's coordinates has an extent to be seen."""
    lines = [line for line in ax.lines if line.get_transform() == ax.transData]
    seen = [
        np.isfinite(np.array(line.get_xydata(), float)).all(axis=1).sum()
        > (line.get_marker() in ("None", None))
        for line in lines
    ]
    areas = [path.get_extents() for c in ax.collections for path in c.get_paths()]
    areas += [patch.get_bbox() for patch in ax.patches]
    return any(seen) or any(area.width * area.height > 0 for area in areas)


def in_sight(marks, ax):
    """Whether all markers and the ends of their bars are inside the axes."""
    line, _, bars = marks
    ends = [end for bar in bars for segment in bar.get_segments() for end in segment]
    points = np.array([*line.get_xydata(), *ends], float)
    points = points[np.isfinite(points).all(axis=1)]
    limits = np.sort([ax.get_xlim(), ax.get_ylim()])
    return np.all((points >= limits[:, 0]) & (points <= limits[:, 1]))


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("grid", GRIDS)
def test_every_figure_shows_something_and_nothing_is_hidden(drawn, grid, check):
    n, N, axes = GRIDS[grid]
    d = diagnose(*PAIR, n=n, N=N)
    assert Report(d, verify(d, *PAIR, trials=2) if check else None).html.count("<svg") == len(drawn)
    told = [caption.split(",")[0] for caption in drawn if caption.startswith("Expected risks")]
    assert told == [f"Expected risks {axis}" + " labels" * ("=" in axis) for axis in axes]
    by_parts = [caption for caption in drawn if "risk by its parts" in caption]
    assert len(by_parts) == np.isfinite(d.risk["student"].value).any()
    for figure in drawn.values():
        figure.draw_without_rendering()
        assert all(shows_data(ax) for ax in figure.axes)
        for ax in figure.axes:
            bars = [marks for marks in ax.containers if isinstance(marks, ErrorbarContainer)]
            assert all(in_sight(marks, ax) for marks in bars)
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert not any(box.overlaps(ax.get_window_extent()) for ax in figure.axes)
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_one_point_shows_the_predicted_and_the_measured_numbers(drawn):
    d = diagnose(*PAIR, n=60, N=200)
    check = verify(d, *PAIR, trials=2)
    assert Report(d, check).html
    risks, parts = (
        next(figure for caption, figure in drawn.items() if caption.startswith(start)).axes[0]
        for start in ("Expected risks", "The student's expected risk by its parts")
    )
    assert [tick.get_text() for tick in risks.get_yticklabels()] == [*plots.LABELS.values()]
    measured = check.set_index("quantity")["measured"]
    for model, bar, marks in zip(MODELS, risks.patches, risks.containers[1::2], strict=True):
        band = d.risk[model]
        np.testing.assert_allclose(bar.get_bbox().intervalx, [band.low[0, 0], band.high[0, 0]])
        np.testing.assert_allclose(np.asarray(marks[0].get_xdata(), float), measured[model])
    ends = np.cumsum([getattr(d.terms, part)[0, 0] for part in figures._PARTS])
    np.testing.assert_allclose([bar.get_bbox().x1 for bar in parts.patches], ends)
    assert ends[-1] == pytest.approx(d.risk["student"].value[0, 0])


@pytest.mark.parametrize("n", [60, [20, 60]])
def test_what_the_student_does_not_see_differs_from_the_page_by_more_than_a_grey(drawn, n):
    html = Report(diagnose(*PAIR, n=n, N=200)).html
    (ax,) = next(figure for caption, figure in drawn.items() if "by its parts" in caption).axes
    *others, unseen = [*ax.collections, *ax.patches]
    assert unseen.get_hatch()
    assert not any(other.get_hatch() for other in others)
    (pattern,) = re.findall("<pattern.*?</pattern>", html, re.S)
    assert "currentColor" in pattern  # the ink of the page's scheme
