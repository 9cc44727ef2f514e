"""The page on reliability names tests that exist, for each of its promises."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book/reliability.md").read_text()


@cache
def functions(file):
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_named_test_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
    assert len(named) == PAGE.count("tests/") > 20
    assert not [f"{file}::{test}" for file, test in named if test not in functions(file)]


def test_every_promise_names_a_test():
    promises = re.findall(r"^- .*$", PAGE, re.M)
    assert len(promises) > 15
    assert not [promise for promise in promises if "`tests/" not in promise]
