"""The built book as a reader's browser shows it, with nothing but the book to load from."""

from pathlib import Path

import pytest

from tests.conftest import served
from w2s_utils import publish

ROOT = Path(__file__).parents[1]
RAW_TEX = r"[...document.querySelectorAll('p')].filter(p => /\$\$|\\[([]/.test(p.innerText)).length"
MEGABYTES = """["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0) / 1e6"""
HEAVIEST = 5
WIDTHS = {"desktop": 1280, "phone": 390}


def problems_of(chromium, site, width, scheme):
    """Open every page of a site; list what is wrong with them."""
    start, pages = site
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    problems = []
    place = start

    def tell(problem):
        problems.append(f"{place.removeprefix(start)}: {problem}")

    def local_only(route):
        if route.request.url.startswith(start):
            route.continue_()
        else:
            tell(f"asks for {route.request.url}")
            route.abort()

    context.route(lambda url: not url.startswith(("data:", "blob:")), local_only)
    page.on("console", lambda m: tell(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: tell(f"script error: {error}"))
    page.on("response", lambda r: tell(f"{r.status}: {r.url}") if r.status >= 400 else None)
    anchors, links = set(), set()
    for place in pages:
        page.goto(place, wait_until="load")
        page.wait_for_function(
            "!document.querySelector('script[src*=tex-chtml]') || window.MathJax?.startup?.promise"
        )
        page.evaluate("window.MathJax?.startup?.promise")
        for count, name in (
            (page.locator("mjx-merror").count(), "mathematical errors"),
            (page.locator("article img:not([alt])").count(), "images without alternative text"),
            (page.evaluate(RAW_TEX), "pieces of raw TeX"),
            (page.evaluate("document.documentElement.scrollWidth - innerWidth"), "px too wide"),
            (page.evaluate(MEGABYTES) - HEAVIEST, f"MB more than {HEAVIEST}"),
        ):
            if count > 0:
                tell(f"{count} {name}")
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        anchors |= {place, *(f"{place}#{name}" for name in ids)}
        links |= set(page.evaluate("[...document.links].map(a => a.href)"))
    context.close()
    for link in links:
        if link.startswith(start) and ".html" in link and link not in anchors:
            target = link.removeprefix(start).removesuffix("#")
            if target != "index.html" and start + target not in anchors:
                problems.append(f"broken link: {target}")
    return problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
def test_every_page_is_whole_offline(book, chromium, device, scheme):
    assert len(book[1]) > len(publish.project.pages(ROOT))  # the search page is none of the sources
    assert problems_of(chromium, book, WIDTHS[device], scheme) == []


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
    ],
)
def test_each_kind_of_problem_is_found(chromium, tmp_path, html, problem):
    (tmp_path / "heavy.js").write_text("/" * 5_100_000)
    (tmp_path / "index.html").write_text(f"<!doctype html><link rel=icon href=data:,>{html}")
    with served(tmp_path) as site:
        problems = problems_of(chromium, site, 800, "light")
    assert any(problem in found for found in problems), problems
