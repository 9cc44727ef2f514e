"""The live figures in a browser: their formulas against Python, and that they move."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from w2s_utils.pair import GaussianPair, ShiftedPair
from w2s_utils.theory import accuracy, chain, exact, ridge, shift
from w2s_utils.theory.classes import Score, Sign
from w2s_utils.theory.classes import accuracy as right_signs

STATIC = Path(exact.__file__).parents[2] / "book/_static"
FIGURES = ("angle", "recovery", "labels", "risks", "ridge", "shift", "scale", "chain")


@pytest.fixture(scope="module")
def page(tmp_path_factory, chromium):
    """All live figures on a page of their own."""
    folder = shutil.copytree(STATIC, tmp_path_factory.mktemp("live") / "_static").parent
    figures = "".join(f'<figure class="live" data-live="{name}"></figure>' for name in FIGURES)
    scripts = "".join(f'<script src="_static/{name}.js"></script>' for name in ("engine", "live"))
    (folder / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{figures}{scripts}")
    page = chromium.new_page(viewport={"width": 390, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((folder / "page.html").as_uri())
    yield page
    page.close()
    assert errors == []


def test_effective_ridges_are_those_of_python_at_200_random_settings(page):
    rng = np.random.default_rng(0)
    for _ in range(200):
        spectrum = np.arange(1, rng.integers(2, 60)) ** -rng.uniform(0, 3)
        m = int(10 ** rng.uniform(0, 4))
        alpha = 10 ** rng.uniform(-6, 1) * (rng.random() < 0.8)
        said = page.evaluate("a => w2s.shrinkage(...a)", [spectrum.tolist(), m, alpha])
        expected = ridge.shrinkage(spectrum, m, alpha)
        np.testing.assert_allclose(said["kappa"], expected.kappa, rtol=1e-9)
        np.testing.assert_allclose(said["factors"], expected.factors, rtol=1e-9)
        np.testing.assert_allclose([said["df1"], said["df2"]], [expected.df1, expected.df2], 1e-9)


def test_a_direction_keeps_what_the_theory_keeps_at_200_random_settings(page):
    """Teacher and student of a direction each, at an angle; the teacher's variance is one."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        angle, d_s = rng.uniform(0, 90), int(rng.integers(1, 50))
        N = d_s + 2 + int(10 ** rng.uniform(0, 5))
        said = page.evaluate("a => w2s.kept(...a)", [angle, d_s, N])
        weak, strong = np.zeros((d_s + 1, 1)), np.eye(d_s + 1)[:, :d_s]
        weak[0], weak[-1] = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        pair = GaussianPair(weak, strong, np.zeros(d_s + 1), 1.0)
        terms, variance = exact.student_terms(pair, 5, N), 1 / 3
        np.testing.assert_allclose(said["inherited"], terms.inherited / variance, 1e-9, 1e-15)
        np.testing.assert_allclose(said["reduced"], terms.reduced / variance, 1e-9, 1e-15)


def test_the_papers_pair_is_that_of_python(page):
    for d_sw in (1, 10, 50, 90, 99):
        s = page.evaluate("d_sw => w2s.paper(d_sw)", d_sw) | {"n": 500, "N": 3000}
        said = page.evaluate("s => w2s.evaluate(s)", s)
        expected = exact.expected_risks(GaussianPair.paper(d_sw, 1e-2), 500, 3000)
        for model in ("weak", "student", "baseline", "ceiling"):
            assert said["risks"][model] == pytest.approx(float(expected[model]), rel=1e-9)


def test_a_correlated_pool_keeps_what_the_theory_keeps_at_200_random_settings(page):
    """The other directions of the strong model see nothing of the teacher."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        angle, r, d_s = rng.uniform(0, 90), rng.uniform(-0.99, 0.99), int(rng.integers(1, 20))
        N = d_s + 2 + int(10 ** rng.uniform(0, 5))
        said = page.evaluate("a => w2s.kept(...a)", [angle, d_s, N, r])
        pool, weak, strong = np.eye(d_s + 1), np.zeros((d_s + 1, 1)), np.eye(d_s + 1)[:, :d_s]
        pool[0, -1] = pool[-1, 0] = r
        weak[0], weak[-1] = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        pair = ShiftedPair(
            weak_map=weak,
            strong_map=strong,
            target=np.zeros(d_s + 1),
            noise_variance=1.0,
            labelled=np.eye(d_s + 1),
            unlabelled=pool,
            test=pool,
        )
        kept = float(shift.student_terms(pair, 5, N).variance) * 3
        assert said["inherited"] + said["reduced"] == pytest.approx(kept, rel=1e-9)


def test_signs_and_squares_are_those_of_the_theory_at_200_random_settings(page):
    rng = np.random.default_rng(3)
    labels, linear = Sign(power=1.0), np.sqrt(2 / np.pi)
    for _ in range(200):
        r, scale = rng.uniform(0, 0.999), rng.uniform(0.01, 3)
        said = page.evaluate("a => w2s.signs(...a)", [r, scale])
        score = Score(0.0, linear * scale * r, linear * scale * np.sqrt(1 - r**2))
        risk = float(accuracy.excess_risk(labels, score)) / linear**2
        np.testing.assert_allclose(said["risk"], risk, rtol=1e-9)
        assert said["wrong"] == pytest.approx(np.arccos(r) / np.pi, rel=1e-9)
        # The package integrates, here over a step that is steep where r is close to one.
        assert 1 - said["wrong"] == pytest.approx(float(right_signs(labels, score)), abs=1e-5)


def test_chains_are_those_of_python_at_200_random_settings(page):
    rng = np.random.default_rng(4)
    for _ in range(200):
        d, models = int(rng.integers(1, 15)), int(rng.integers(2, 5))
        angles, at = rng.uniform(0, 90, models), rng.uniform(0, 90)
        sizes = (d + 2 + 10 ** rng.uniform(0, 4, models)).astype(int)
        noise = 10 ** rng.uniform(-3, 1)
        asked = {"d": d, "angles": angles.tolist(), "target": at, "sizes": sizes.tolist()}
        said = page.evaluate("s => w2s.chain(s)", asked | {"noise_variance": noise})

        def turned(angle, d=d):
            return np.vstack(
                [np.cos(np.radians(angle)) * np.eye(d), np.sin(np.radians(angle)) * np.eye(d)]
            )

        target = turned(at).sum(axis=1) / np.sqrt(d)
        expected = chain.expected_risks([turned(a) for a in angles], target, noise, sizes.tolist())
        np.testing.assert_allclose(said, expected, rtol=1e-9)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_moves_by_keyboard_and_says_what_it_shows(page, name):
    figure = page.locator(f"[data-live={name}]")
    for slider in figure.locator("input").all():
        before = figure.locator("svg").inner_html(), figure.locator("[role=status]").inner_text()
        slider.focus()
        for _ in range(8):
            page.keyboard.press("PageUp")
        after = figure.locator("svg").inner_html(), figure.locator("[role=status]").inner_text()
        assert all(one != other for one, other in zip(before, after, strict=True))
        shown = figure.locator(f"output[for={slider.get_attribute('id')}]").inner_text()
        assert slider.get_attribute("aria-valuetext") == shown
    assert figure.locator("path.curve").count() >= 2
    for path in figure.locator("path.curve").all():
        assert "NaN" not in path.get_attribute("d")
    box = figure.locator("svg").bounding_box()
    assert box["width"] <= 390
