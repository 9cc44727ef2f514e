from base64 import b64decode
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from w2s_utils import plots
from w2s_utils.metrics import MODELS, Estimate, Risks


def contrast(one, two):
    def luminance(color):
        rgb = np.array(mpl.colors.to_rgb(color))
        linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_every_model_has_its_own_look_and_enough_contrast():
    for table in (plots.COLORS, plots.ON_DARK, plots.MARKERS, plots.LABELS):
        assert set(table) == set(MODELS)
        assert len(set(table.values())) == len(MODELS)
    assert all(contrast(color, plots.PAPER) >= 3 for color in plots.COLORS.values())
    assert all(contrast(color, "#15181C") >= 3 for color in plots.ON_DARK.values())


def test_points_show_the_mean_and_two_standard_errors():
    ax = Figure().subplots()
    samples = np.array([[1.0, 3.0, 2.0, 2.0], [0.0, 0.0, 4.0, 4.0]])
    plots.points(ax, "student", [1, 2], samples)
    line, _, (bars,) = ax.containers[0]
    np.testing.assert_allclose(line.get_ydata(), [2, 2])
    half = [(s[1, 1] - s[0, 1]) / 2 for s in bars.get_segments()]
    np.testing.assert_allclose(half, 2 * samples.std(axis=1, ddof=1) / 2)
    assert mpl.colors.same_color(line.get_color(), plots.COLORS["student"])
    assert ax.get_legend_handles_labels()[1] == ["W2S student"]


def test_estimates_show_two_standard_errors():
    ax = Figure().subplots()
    plots.estimates(ax, [1, 2], [Estimate(0.5, 0.1), Estimate(0.7, 0.2)], color="k")
    line, _, (bars,) = ax.containers[0]
    np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), [0.5, 0.7])
    half = [(segment[1, 1] - segment[0, 1]) / 2 for segment in bars.get_segments()]
    np.testing.assert_allclose(half, [0.2, 0.4])


def test_risks_are_points_and_lines_in_the_models_looks():
    ax = Figure().subplots()
    level = np.array([1.0, 1.1, 0.9])
    measured = [Risks(4 * level, 2 * level, 3 * level, level), Risks(*4 * [level])]
    plots.risks(ax, [10, 20], measured, [15], Risks(*(np.array([r]) for r in (5.0, 2.5, 3.0, 1.0))))
    lines = [line for line in ax.lines if list(line.get_xdata()) == [15]]
    assert [line.get_ydata()[0] for line in lines] == [5, 2.5, 3, 1]
    for model, line, mean, container in zip(
        MODELS, lines, (4, 2, 3, 1), ax.containers, strict=True
    ):
        np.testing.assert_allclose(np.asarray(container[0].get_ydata(), float), [mean, 1])
        assert container.get_label() == plots.LABELS[model]
        for drawn in (line, container[0]):
            assert mpl.colors.same_color(drawn.get_color(), plots.COLORS[model])


def test_ratios_are_those_of_means_and_an_undefined_one_is_left_out():
    figure = Figure()
    axes = figure.subplots(2, 1, squeeze=False)
    level = np.array([1.0, 1.1, 0.9])
    clear = Risks(3 * level, 2 * level, 4 * level, level)  # PGR 1/2, OPR 2
    no_gap = Risks(level, 2 * level, 2 * level, level)  # OPR 1
    expected = Risks(*(np.array([r]) for r in (5.0, 2.0, 3.0, 1.0)))  # PGR 3/4, OPR 3/2
    plots.ratios(axes[:, 0], [10, 20], [clear, no_gap], [15], expected, color="r", label="one")
    plots.label_ratios(figure, axes, ["labels"], ncols=2)
    for ax, found, line in zip(axes[:, 0], ([0.5, np.nan], [2, 1]), (0.75, 1.5), strict=True):
        np.testing.assert_allclose(np.asarray(ax.containers[0][0].get_ydata(), float), found)
        assert ax.lines[-2].get_ydata() == [line]
        assert mpl.colors.same_color(ax.lines[-2].get_color(), "r")
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["PGR", "OPR"]
    assert axes[1, 0].get_xlabel() == "labels"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one"]


def test_curve_takes_the_models_color_unless_told():
    ax = Figure().subplots()
    plots.curve(ax, "weak", [0, 1], [1, 2], linestyle=":")
    plots.curve(ax, "weak", [0, 1], [1, 2], color="k")
    assert mpl.colors.same_color(ax.lines[0].get_color(), plots.COLORS["weak"])
    assert ax.lines[1].get_color() == "k"


def test_an_unknown_model_is_refused():
    with pytest.raises(KeyError, match="teacher"):
        plots.curve(Figure().subplots(), "teacher", [0], [0])


def test_html_figures_are_reproducible_and_escaped():
    figure = Figure()
    figure.subplots().plot([0, 1])
    with mpl.rc_context({"svg.hashsalt": "fixed"}):
        one, two = (plots.as_html(figure, 'a "line"').data for _ in range(2))
    assert one == two
    assert 'alt="a &quot;line&quot;"' in one
    assert ElementTree.fromstring(b64decode(one.split("base64,")[1][:-2])).tag.endswith("svg")


def test_log_axes_have_plain_labels():
    ax = Figure().subplots()
    ax.plot([15, 2000], [1, 2])
    plots.log_samples_axis(ax)
    ax.set_xlim(15, 2000)
    ax.figure.draw_without_rendering()
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert {"20", "50", "100", "1,000", "2,000"} <= set(labels)
