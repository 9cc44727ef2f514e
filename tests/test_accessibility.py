"""The built book for readers with a screen reader, poor sight or no mouse, as axe judges it."""

from importlib.resources import files

import pytest

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
RUN = "rules => axe.run(document, {resultTypes: ['violations'], ...(rules && {runOnly: rules})})"
GRAVE = ("serious", "critical")
OF_COLOURS = ["color-contrast", "link-in-text-block"]  # the rules that a colour scheme can break


def violations(page, rules=None):
    """List what axe finds on the open page: the rule and the first place that breaks it."""
    page.evaluate("window.MathJax?.startup?.promise")
    page.evaluate(AXE)
    return [
        f"{found['id']} at {found['nodes'][0]['html'][:120]}"
        for found in page.evaluate(RUN, rules)["violations"]
        if found["impact"] in GRAVE
    ]


@pytest.mark.parametrize(("scheme", "rules"), [("light", None), ("dark", OF_COLOURS)])
def test_no_page_has_a_serious_violation(book, chromium, scheme, rules):
    context = chromium.new_context(color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    start, pages = book
    problems = {}
    for place in pages:
        page.goto(place, wait_until="load")
        if found := violations(page, rules):
            problems[place.removeprefix(start)] = found
    context.close()
    assert problems == {}


@pytest.mark.parametrize(
    ("html", "rule"),
    [
        ("<img src='data:,'>", "image-alt"),
        ("<p style='color: #ccc; background: #fff'>pale</p>", "color-contrast"),
        ("<input>", "label"),
        ("<a href='#x'></a>", "link-name"),
    ],
)
def test_violations_are_found(chromium, html, rule):
    page = chromium.new_page()
    page.set_content(f"<!doctype html><html lang=en><title>x</title><main>{html}</main></html>")
    assert [problem.split()[0] for problem in violations(page)] == [rule]
    found = [problem.split()[0] for problem in violations(page, OF_COLOURS)]
    assert found == [rule] * (rule in OF_COLOURS)
    page.close()
