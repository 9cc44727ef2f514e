"""The built book for readers with a screen reader, poor sight or no mouse, as axe judges it."""

import pytest

from tests.conftest import violations

OF_COLOURS = ["color-contrast", "link-in-text-block"]  # the rules that a colour scheme can break


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
