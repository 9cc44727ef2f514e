"""The explorer in a browser against Python, and what it says where a risk is not defined."""

import re
import shutil
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from w2s_utils import plots
from w2s_utils.pair import GaussianPair
from w2s_utils.theory import exact

ROOT = Path(exact.__file__).parents[2]
MODELS = ("weak", "student", "baseline", "ceiling")
VISITS = count()
PARTS = ("inherited", "reduced", "missed", "leaked", "unseen")


@pytest.fixture(scope="module")
def page(tmp_path_factory, chromium):
    """The page's own element and script, opened as a file, without the rest of the book."""
    source = (ROOT / "book/explorer.md").read_text()
    html = re.search(r"```\{raw\} html\n(.*?)```", source, re.S)[1]
    folder = tmp_path_factory.mktemp("explorer")
    shutil.copytree(ROOT / "book/_static", folder / "_static")
    (folder / "book").mkdir()
    (folder / "book/explorer.html").write_text(f"<!doctype html><meta charset=utf-8>{html}")
    page = chromium.new_page(viewport={"width": 1000, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((folder / "book/explorer.html").as_uri())
    yield page
    page.close()
    assert errors == []


def open_setting(page, **setting):
    """Follow a link to a setting."""
    page.evaluate(
        """hash => new Promise(done => {
            addEventListener("hashchange", () => done(), {once: true});
            location.hash = hash;
        })""",
        f"{urlencode(setting)}&visit={next(VISITS)}",  # each address is a new one
    )


READ = """() => {
    const value = element => element.value === "" ? null : Number(element.value);
    const values = names => [...document.querySelectorAll(names)].map(value);
    const text = name => document.querySelector(name).textContent;
    return {
        risks: values(".risks data"), parts: values(".parts data"), ratios: values(".ratios data"),
        verdict: text(".verdict"), note: text(".note"),
    };
}"""


def read(page):
    """What the page says: the exact values behind its numbers, None for a missing one."""
    return page.evaluate(READ)


def in_order(result, names):
    return [float(getattr(result, name)) for name in names]


def link_to(pair, n, N):
    """The setting that stands for an aligned pair."""
    d_sw, smaller = round(pair.d_sw), min(pair.rho_w, pair.rho_s)
    unseen = np.sum(pair.target[pair.d_w + pair.d_s - d_sw :] ** 2)
    no_choice = d_sw == min(pair.d_w, pair.d_s) or smaller == 0
    return {
        "d_w": pair.d_w,
        "d_s": pair.d_s,
        "d_sw": d_sw,
        "n": n,
        "N": N,
        "noise_variance": pair.noise_variance,
        "rho_w": pair.rho_w,
        "rho_s": pair.rho_s,
        "both": 100 if no_choice else min(100 * unseen / smaller, 100),
    }


def random_pair(rng):
    d_w, d_s = rng.integers(1, 60, 2)
    d_sw = rng.choice([0, rng.integers(0, min(d_w, d_s) + 1), min(d_w, d_s)])
    only_strong, only_weak = d_s - d_sw, d_w - d_sw
    scale = 10 ** rng.uniform(-3, 1, 4) * (rng.random(4) < 0.8)  # some parts are zero
    sizes = [only_strong, d_sw, only_weak, 2]
    target = rng.standard_normal(sum(sizes)) * np.repeat(scale, sizes)
    noise_variance = 10 ** rng.uniform(-3, 1)
    return GaussianPair.aligned(
        d_w=d_w, d_s=d_s, d_sw=d_sw, target=target, noise_variance=noise_variance
    )


def test_the_browser_agrees_with_python_at_200_random_settings(page):
    rng = np.random.default_rng(7)
    defined = 0
    for _ in range(200):
        pair = random_pair(rng)
        n = max(pair.d_w, pair.d_s) + 2 + int(10 ** rng.uniform(0, 5))
        N = pair.d_s + 2 + int(10 ** rng.uniform(0, 5))
        open_setting(page, **link_to(pair, n, N))
        said = read(page)
        assert said["note"] == ""
        expected = exact.expected_risks(pair, n, N)
        np.testing.assert_allclose(said["risks"], in_order(expected, MODELS), rtol=1e-9)
        terms = exact.student_terms(pair, n, N)
        np.testing.assert_allclose(
            said["parts"], in_order(terms, PARTS), rtol=1e-9, atol=1e-9 * terms.total
        )
        pgr, opr = said["ratios"]
        assert opr == pytest.approx(float(expected.opr), rel=1e-9)
        gap = expected.weak / expected.ceiling - 1
        assert abs(gap) > 1e-6  # or rounding would decide whether PGR is defined
        if gap > 0:
            defined += 1
            assert pgr == pytest.approx(float(expected.pgr), rel=1e-9, abs=1e-9)
        else:
            assert pgr is None
        check_verdict(said["verdict"], expected)
    assert 100 < defined < 200


def check_verdict(verdict, risks):
    student, weak, baseline = risks.student, risks.weak, risks.baseline
    if abs(student - weak) <= 1e-9 * weak:
        assert "equals its teacher" in verdict
    else:
        against = "beats" if student < weak else "is worse than"
        assert verdict.startswith(f"The student {against} its teacher")
    if abs(student - baseline) <= 1e-9 * baseline:
        assert "equals the strong baseline" in verdict
    elif student < baseline:
        assert re.search("(but beats|beats .*(and|,)) the strong baseline", verdict)
    else:
        assert re.search("worse than .*the strong baseline", verdict)


SPACES = {"d_w": 20, "d_s": 10, "d_sw": 5, "noise_variance": 1, "rho_w": 0.5, "rho_s": 0.2}


@pytest.mark.parametrize(
    ("n", "N", "defined", "needs"),
    [
        (22, 12, [True, True, True, True], ""),
        (21, 12, [False, False, True, True], "n > dw + 1 = 21"),
        (22, 11, [True, False, True, True], "N > ds + 1 = 11"),
        (12, 9, [False, False, True, True], "n > dw + 1 = 21 and N > ds + 1 = 11"),
        (11, 12, [False, False, False, True], "n > ds + 1 = 11"),
        (5, 6, [False, False, False, False], "n + N > ds + 1 = 11"),
    ],
)
def test_a_risk_outside_its_limits_is_not_shown_and_says_what_it_needs(page, n, N, defined, needs):
    open_setting(page, **SPACES, n=n, N=N)
    said = read(page)
    assert [value is not None for value in said["risks"]] == defined
    assert needs in page.locator(".risks").text_content()
    assert page.locator(".risks").text_content().count("not defined: needs") == defined.count(False)
    if not defined[1]:
        assert said["ratios"] == [None, None]
        assert said["parts"] == [None] * 5
        assert said["verdict"] == "No verdict."
        assert "not defined: needs" in page.locator(".why").text_content()


def test_the_student_needs_no_baseline(page):
    setting = {**SPACES, "d_w": 5, "n": 10, "N": 40}
    open_setting(page, **setting)
    said = read(page)
    weak, student, baseline, _ = said["risks"]
    assert baseline is None
    v = 1.5 / 4
    assert weak == pytest.approx(0.5 + 5 * v)
    # All of the teacher's space is seen by the student, which therefore misses no more of the
    # target: rho_ws = rho_s, nothing leaks.
    assert student == pytest.approx(5 * v + (0.5 - 0.2) + 0.2)
    assert said["verdict"] == "The student equals its teacher."
    assert said["ratios"][0] in (0, None)  # and not what rounding leaves of zero


def test_the_reasons_add_up_to_the_verdict(page):
    target = np.sqrt(np.repeat([0.1 / 5, 0.3 / 5, 0.4 / 15, 0.2], [5, 5, 15, 1]))
    pair = GaussianPair.aligned(d_w=20, d_s=10, d_sw=5, target=target, noise_variance=1.0)
    open_setting(page, **link_to(pair, 100, 100))
    risks, terms = exact.expected_risks(pair, 100, 100), exact.student_terms(pair, 100, 100)
    teacher_variance = risks.weak - pair.rho_w
    saved, lost = teacher_variance - terms.variance, terms.bias - pair.rho_w
    why = page.locator(".why").text_content()
    assert f"saves {saved:.3g} of variance but loses {lost:.3g} to signal" in why
    assert f"keeps {100 * terms.variance / teacher_variance:.3g}\N{NO-BREAK SPACE}%" in why
    assert "25\N{NO-BREAK SPACE}% inherited" in why
    assert f"pays {risks.baseline - pair.rho_s:.3g}" in why
    assert f"the student {risks.student - pair.rho_s:.3g}" in why
    open_setting(page, **link_to(pair, 100, 20))  # N < 2 d_s + 1
    terms = exact.student_terms(pair, 100, 20)
    why = page.locator(".why").text_content()
    assert f"adds {terms.variance - teacher_variance:.3g} of variance and loses" in why
    assert "do not average down" in why


@pytest.mark.parametrize("d_sw", [10, 50, 90])
def test_the_papers_presets_are_the_papers_pairs(page, d_sw):
    pair = GaussianPair.paper(d_sw)
    page.get_by_role("button", name=f"= {d_sw}").click()
    expected = exact.expected_risks(pair, 400, 4000)
    said = read(page)
    np.testing.assert_allclose(said["risks"], in_order(expected, MODELS), rtol=1e-9)
    check_verdict(said["verdict"], expected)


def test_the_other_presets_do_what_they_say(page):
    page.get_by_role("button", name="Beats the ceiling").click()
    said = read(page)
    weak, student, baseline, ceiling = said["risks"]
    assert student < ceiling < baseline < weak
    assert "even the strong ceiling" in said["verdict"]
    page.get_by_role("button", name="Teacher hurts").click()
    said = read(page)
    weak, student, baseline, ceiling = said["risks"]
    assert student > max(weak, baseline)
    assert "this teacher hurts" in said["verdict"]
    assert said["ratios"][0] < 0


def test_the_address_brings_a_setting_back(page):
    page.get_by_role("button", name="= 50").click()
    page.get_by_label("labels n", exact=True).check()
    page.get_by_label("σ² label noise", exact=True).fill("0.0123")
    page.wait_for_function("location.hash.includes('noise_variance=0.0123')")
    before, address = read(page), page.url
    page.get_by_role("button", name="Teacher hurts").click()
    page.wait_for_function("!location.hash.includes('0.0123')")
    assert read(page) != before
    page.goto("about:blank")
    page.goto(address)
    assert read(page) == before
    assert page.get_by_label("labels n", exact=True).is_checked()


@pytest.mark.parametrize("d_sw", ["-1", "2.5", "99", "x", "", "1e999"])
def test_an_address_that_does_not_fit_is_not_followed(page, d_sw):
    open_setting(page, d_w=20, d_s=30, d_sw=d_sw)
    assert "dsw must be" in read(page)["note"]
    assert "from 0 to 20" in read(page)["note"]
    assert page.locator("#explorer-d_sw").input_value() == "10"
    assert page.locator("#explorer-d_w").input_value() == "20"


def test_controls_stay_possible_and_say_so(page):
    open_setting(page, **SPACES, n=100, N=100)
    page.locator("#explorer-d_w").fill("3")
    assert page.locator("#explorer-d_sw").input_value() == "3"
    assert "dsw is now 3" in read(page)["note"]
    # The teacher's space lies inside the student's: the student cannot miss more.
    page.locator("#explorer-rho_s").fill("0.9")
    assert page.locator("#explorer-rho_w").input_value() == "0.9"
    assert "ρw is now 0.9" in read(page)["note"]
    assert page.locator("#explorer-both").is_disabled()
    page.locator("#explorer-rho_w").fill("0.4")
    assert page.locator("#explorer-rho_s").input_value() == "0.4"
    # What does not fit is named, marked and not used.
    before = read(page)["risks"]
    page.locator("#explorer-n").fill("-5")
    assert "n must be a whole number from 1" in read(page)["note"]
    assert page.locator("#explorer-n").get_attribute("aria-invalid") == "true"
    assert read(page)["risks"] == before
    page.locator("#explorer-n").blur()
    assert page.locator("#explorer-n").input_value() == "100"


def test_the_keyboard_alone_moves_a_setting(page):
    open_setting(page, **SPACES, n=100, N=100)
    page.locator("#explorer-n").focus()
    page.keyboard.press("Tab")
    slider = page.get_by_label("n, labels: slider", exact=True)
    assert slider.evaluate("element => element === document.activeElement")
    before = read(page)["risks"]
    for _ in range(3):  # a step may be less than one label
        page.keyboard.press("ArrowRight")
    assert read(page)["risks"][0] < before[0]
    assert slider.get_attribute("aria-valuetext") == page.locator("#explorer-n").input_value()


def test_colours_are_those_of_the_book():
    css = (ROOT / "book/_static/explorer.css").read_text()
    assert set(re.findall(r"var\(--(\w+)\)", css)) >= plots.COLORS.keys() | plots.PARTS.keys()
    assert not re.findall(r"--(?:weak|student|baseline|ceiling):", css)


def test_without_javascript_the_page_names_the_function():
    sentence = re.search(
        r'id="w2s-explorer"[^>]*><p>(.*?)</p>', (ROOT / "book/explorer.md").read_text()
    )
    assert "needs JavaScript" in sentence[1]
    assert "w2s_utils.theory.exact.expected_risks" in sentence[1]
