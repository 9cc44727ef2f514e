"""No number in a chapter's prose is typed where the chapter computes it: such numbers are glued."""

import ast
import json
import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

NUMBER = re.compile(r"(?<![\w.^{/-])\d[\d,]*(?:\.\d+)?(?!\w)")
NO_PROSE = re.compile(r"\{glue:\w*\}`[^`]*`|```.*?```|`[^`]*`", re.S)


def typed_results(cells):
    """Numbers of the prose, of three digits or with decimals, that are outputs and no settings."""
    settings, computed, typed = set(), set(), []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            nodes = ast.walk(ast.parse(source))
            settings |= {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
            computed |= {value(found) for text in texts(cell) for found in NUMBER.findall(text)}
        elif cell["cell_type"] == "markdown":
            typed += NUMBER.findall(NO_PROSE.sub("", source))
    return [
        number
        for number in typed
        if is_telling(number)
        and number.replace(",", "") not in settings
        and any(round(result, decimals(number)) == value(number) for result in computed)
    ]


def texts(cell):
    for output in cell["outputs"]:
        yield "".join(output.get("data", {}).get("text/plain", output.get("text", "")))


def value(number):
    return float(number.replace(",", ""))


def decimals(number):
    return len(number.partition(".")[2])


def is_telling(number):
    return "." in number or len(number.replace(",", "").rstrip("0")) >= 3


def test_prose_holds_no_typed_result(built):
    chapters = sorted((built.parents[1] / "book_src/notebooks").glob("*.ipynb"))
    typed = {path.stem: typed_results(json.loads(path.read_text())["cells"]) for path in chapters}
    assert len(typed) > 10
    assert {chapter: numbers for chapter, numbers in typed.items() if numbers} == {}


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("The slope is 0.73 here.", ["0.73"]),
        ("It took 1,234 draws.", ["1,234"]),
        ("Of 384 features, `0.73` and {glue:text}`slope:.2f`, 12 remain.", []),
        ("The slope is 0.74.", []),
    ],
)
def test_a_typed_result_is_found(prose, found):
    output = new_output("stream", text="slope 0.7312 draws 1234 left 12 width 384")
    cells = [new_code_cell("width = 384", outputs=[output]), new_markdown_cell(prose)]
    assert typed_results(cells) == found
