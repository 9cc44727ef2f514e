"""The built book as a reader's browser shows it, with nothing but the book to load from."""

from pathlib import Path

import pytest

from tests.conftest import served, violations
from w2s_utils import publish

ROOT = Path(__file__).parents[1]
RAW_TEX = r"[...document.querySelectorAll('p')].filter(p => /\$\$|\\[([]/.test(p.innerText)).length"
MEGABYTES = """["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0) / 1e6"""
HEAVIEST = 5
SETTLED = """Promise.all(document.getAnimations().map(animation => animation.finished))
    .then(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))"""
IN_THE_DARK = """<style>
@media (prefers-color-scheme: dark) {p {background: #555; color: #666}}
</style>
<p>pale</p>"""
# One equation is like the next, and axe looks at each of their many parts.
LEAVE_TEN_EQUATIONS = """
    [...document.querySelectorAll("mjx-container")].slice(10).forEach(equation => equation.remove())
"""
# How poor eyes look at a page: width in px, colour scheme, and whether colours are all that counts.
LOOKS = ((1280, "light", False), (390, "dark", True))


def problems_of(chromium, site):
    """Open every page of a site; list what is wrong with them.

    A page is loaded once, on a phone. All that axe knows of is looked for on a desktop; what a
    colour scheme can spoil for poor eyes also on the phone, in the dark.
    """
    start, pages = site
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    problems = []
    place = start

    def tell(problem):
        problems.append(f"{place.removeprefix(start)}: {problem}")

    def refuse(route):
        tell(f"asks for {route.request.url}")
        route.abort()

    context.route(lambda url: not url.startswith(("data:", "blob:", start)), refuse)
    page.on("console", lambda m: tell(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: tell(f"script error: {error}"))
    page.on("response", lambda r: tell(f"{r.status}: {r.url}") if r.status >= 400 else None)
    anchors, links = set(), set()
    for place in pages:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 390, "height": 900})
        page.goto(place, wait_until="load")
        page.wait_for_function(
            "!document.querySelector('script[src*=tex-chtml]') || window.MathJax?.startup?.promise"
        )
        page.evaluate("window.MathJax?.startup?.promise")
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(SETTLED)  # sidebars slide
            if (excess := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
                tell(f"{excess} px too wide at {width} px")
        for count, name in (
            (page.locator("mjx-merror").count(), "mathematical errors"),
            (page.locator("article img:not([alt])").count(), "images without alternative text"),
            (page.evaluate(RAW_TEX), "pieces of raw TeX"),
            (page.evaluate(MEGABYTES) - HEAVIEST, f"MB more than {HEAVIEST}"),
        ):
            if count > 0:
                tell(f"{count} {name}")
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        anchors |= {place, *(f"{place}#{name}" for name in ids)}
        links |= set(page.evaluate("[...document.links].map(a => a.href)"))
        page.evaluate(LEAVE_TEN_EQUATIONS)
        for width, scheme, of_colours in LOOKS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.evaluate(SETTLED)
            for violation in violations(page, of_colours):
                tell(f"{violation} ({scheme})")
    context.close()
    for link in links:
        if link.startswith(start) and ".html" in link and link not in anchors:
            target = link.removeprefix(start).removesuffix("#")
            if target != "index.html" and start + target not in anchors:
                problems.append(f"broken link: {target}")
    return problems


def test_every_page_is_whole_offline_and_accessible(book, chromium):
    assert len(book[1]) > len(publish.project.pages(ROOT))  # the search page is none of the sources
    assert problems_of(chromium, book) == []


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ("<script src='https://example.org/x.js'></script>", "asks for https://example.org/x.js"),
        ("<script>null.x</script>", "script error"),
        ("<script>console.error('no')</script>", "console: no"),
        ("<mjx-merror>x</mjx-merror>", "1 mathematical errors"),
        ("<article><img src='data:,'></article>", "1 images without alternative text"),
        ("<div style='width: 2000px'>.</div>", "px too wide"),
        ("<a href='#nowhere'>x</a>", "broken link: index.html#nowhere"),
        ("<a href='absent.html'>x</a>", "broken link: absent.html"),
        ("<img src='absent.png' alt=''>", "404"),
        ("<p>$$x$$</p>", "pieces of raw TeX"),
        ("<script src='heavy.js'></script>", "MB more than 5"),
        ("<img src='data:,'>", 'image-alt at <img src="data:,"> (light)'),
        ("<p style='color: #ccc; background: #fff'>pale</p>", "color-contrast at <p style"),
        (IN_THE_DARK, "color-contrast at <p>pale</p> (dark)"),
        ("<input>", "label at <input> (light)"),
        ("<a href='#x'></a>", "link-name"),
    ],
)
def test_each_kind_of_problem_is_found(chromium, tmp_path, html, problem):
    (tmp_path / "heavy.js").write_text("/" * 5_100_000)
    (tmp_path / "index.html").write_text(
        f"<!doctype html><html lang=en><title>x</title><link rel=icon href=data:,>{html}"
    )
    with served(tmp_path) as site:
        problems = problems_of(chromium, site)
    assert any(problem in found for found in problems), problems
