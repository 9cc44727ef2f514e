"""The table of a figure holds what the figure was drawn from."""

from csv import DictReader
from io import StringIO

import numpy as np
import pytest
from matplotlib.figure import Figure

from w2s_utils import plots
from w2s_utils.figure_data import COLUMNS, as_csv
from w2s_utils.metrics import Estimate


@pytest.fixture
def ax():
    return Figure().subplots()


def rows(ax):
    return [*DictReader(StringIO(as_csv(ax.figure)))]


def numbers(ax, *columns):
    return [[float(row[column]) for column in columns] for row in rows(ax)]


def test_marks_come_with_their_bars_and_once(ax):
    plots.estimates(ax, [1, 2], [Estimate(0.5, 0.1), Estimate(0.7, 0.2)], label="student")
    assert [row["series"] for row in rows(ax)] == ["student", "student"]
    found = numbers(ax, "x", "y", "low", "high")
    np.testing.assert_allclose(found, [[1, 0.5, 0.3, 0.7], [2, 0.7, 0.3, 1.1]])


def test_a_mark_without_a_number_has_no_bar_and_the_others_keep_theirs(ax):
    ax.errorbar([1, 2, 3], [3, np.nan, 5], [0.1, np.nan, 0.2])
    assert [(row["y"], row["low"]) for row in rows(ax)] == [("3", "2.9"), ("nan", ""), ("5", "4.8")]


def test_bars_without_marks_and_marks_without_points_are_no_trouble(ax):
    ax.errorbar([1], [3], [0.5], fmt="none", ecolor="#123456")
    ax.bar([], [])
    ax.scatter([], [])
    ax.plot([], [])
    assert [(row["series"], row["y"]) for row in rows(ax)] == [
        ("#123456", "2.5"),
        ("#123456", "3.5"),
    ]


def test_bars_to_the_side_are_no_interval_of_y(ax):
    ax.errorbar([1, 2], [3, 4], xerr=0.1)
    assert numbers(ax, "x", "y") == [[1, 3], [2, 4]]
    assert {row["low"] for row in rows(ax)} == {""}


def test_marks_without_bars_are_named_by_their_colour(ax):
    ax.scatter([1, 2], [3, 4], color="#123456")
    assert [row["series"] for row in rows(ax)] == ["#123456"] * 2
    assert numbers(ax, "x", "y") == [[1, 3], [2, 4]]


def test_a_line_across_the_panel_is_no_data(ax):
    ax.axhline(1)
    ax.axvline(2)
    assert as_csv(ax.figure) == ",".join(COLUMNS) + "\n"


def test_a_map_gives_its_height_at_the_centre_of_each_cell(ax):
    height = np.ma.masked_equal(np.arange(6).reshape(2, 3), 4)
    ax.pcolormesh([0, 1, 2, 3], [0, 2, 4], height)
    found = np.array(numbers(ax, "x", "y", "value"))
    np.testing.assert_allclose(found[:4], [[0.5, 1, 0], [1.5, 1, 1], [2.5, 1, 2], [0.5, 3, 3]])
    assert np.isnan(found[4, 2])


def test_contours_are_named_by_their_level(ax):
    ax.contour(np.arange(9).reshape(3, 3), levels=[2.5])
    assert {row["series"] for row in rows(ax)} == {"level 2.5"}
    for x, y in numbers(ax, "x", "y"):
        assert x + 3 * y == pytest.approx(2.5, abs=1e-5)


def test_an_area_gives_its_outline_and_bars_their_tops(ax):
    ax.fill_between([1, 2], [0, 0], [3, 4], label="band")
    ax.bar([5], [6], label="bar")
    table = rows(ax)
    assert {(row["x"], row["y"]) for row in table if row["series"] == "band"} >= {
        ("1", "0"), ("2", "0"), ("1", "3"), ("2", "4")
    }  # fmt: skip
    assert [(row["x"], row["y"]) for row in table if row["series"] == "bar"] == [("5", "6")]


def test_panels_have_numbers_and_titles():
    left, right = Figure().subplots(1, 2)
    for ax in (left, right):
        ax.plot([1], [2])
    left.set_title("moderate noise")
    assert [row["panel"] for row in rows(left)] == ["1 moderate noise", "2"]
