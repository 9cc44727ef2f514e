"""Every notebook keeps the book's rules and its reference values, and every command that a page
names would be accepted.
"""

import ast
import inspect
import json
import re
import shlex
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from pydoc import locate

import pytest
import yaml

from w2s_utils import publish
from w2s_utils.diagnosis import Diagnosis, Ranking

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COMMANDS = (ROOT / "w2s_utils/cli").glob("*.py")
PAGES = [ROOT / "README.md", *COMMANDS, *(ROOT / "book").glob("*.md"), *NOTEBOOKS]
STATEMENT = re.compile(
    r"^:::\{prf:(theorem|lemma|corollary|property)\} (.*?)\n(.*?)^:::$", re.M | re.S
)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind):
    found = json.loads(path.read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def tags(cell):
    return cell["metadata"].get("tags", [])


def text(path):
    if path.suffix == ".ipynb":
        return "\n\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    return path.read_text()


@each_notebook
def test_only_reference_cells_keep_outputs(path):
    kept = [cell for cell in cells(path, "code") if "nbval-check-output" in tags(cell)]
    assert kept
    for cell in kept:  # nbval compares nothing without both
        assert cell["outputs"]
        assert cell["execution_count"]
    for cell in cells(path, "code"):
        assert cell in kept or (cell["outputs"] == [] and cell["execution_count"] is None)


def printed(cell):
    return "".join("".join(output["text"]) for output in cell["outputs"])


def changed(path, executed):
    """Reference cells of a notebook that gave something else when it was executed."""
    given = {cell["id"]: cell for cell in cells(executed, "code")}
    kept = (cell for cell in cells(path, "code") if "nbval-check-output" in tags(cell))
    return [cell["id"] for cell in kept if printed(given[cell["id"]]) != printed(cell)]


@each_notebook
def test_the_build_gives_the_reference_values(path, built):
    # The quick profile is the notebooks' own parameters, so nbval would only run them once more.
    assert yaml.safe_load((ROOT / "notebooks/profiles/quick.yaml").read_text()) == {}
    assert changed(path, ROOT / f"build/executed/quick/{path.name}") == []


def test_another_reference_value_is_seen(tmp_path):
    path = NOTEBOOKS[0]
    notebook = json.loads(path.read_text())
    cell = next(c for c in notebook["cells"] if "nbval-check-output" in tags(c))
    cell["outputs"][0]["text"][-1] += "1"
    other = tmp_path / "other.ipynb"
    other.write_text(json.dumps(notebook))
    assert changed(path, path) == []
    assert changed(path, other) == [cell["id"]]


@each_notebook
def test_cell_ids_are_telling_and_parameters_are_declared_once(path):
    ids = [cell["id"] for cell in json.loads(path.read_text())["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z]+(-[A-Za-z0-9]+)*", name) for name in ids)
    publish.check_parameters(path, {})


@each_notebook
def test_every_figure_has_a_caption_and_an_alternative_text(path):
    for cell in cells(path, "code"):
        if re.search(r"plt\.(subplots|figure)\(", "".join(cell["source"])):
            rendering = cell["metadata"]["mystnb"]
            assert rendering["figure"]["caption"], cell["id"]
            assert rendering["figure"]["name"].startswith(f"fig-{path.stem[:2]}-")
            assert len(rendering["image"]["alt"]) > 80, cell["id"]


def missing_support(kind, statement):
    """What a statement lacks: a test that checks it and, but for a lemma, its function."""
    functions = re.findall(r"\{py:(?:func|meth|attr)\}`~?([\w.]+)`", statement)
    lacking = [f"no function {name}" for name in functions if locate(name) is None]
    file = None
    for named, test in re.findall(r"`(tests/[\w/]+\.py)?(?:::)?(test_\w+)`", statement):
        file = named or file  # a bare name is in the file that was named last
        tree = ast.parse((ROOT / file).read_text())
        if test not in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}:
            lacking.append(f"no test {file}::{test}")
    if not functions and kind != "lemma":
        lacking.append("names no function")
    if file is None:
        lacking.append("names no test")
    return lacking


@each_notebook
def test_every_statement_names_its_function_and_its_test(path):
    statements = STATEMENT.findall(text(path))
    assert len(statements) == len(re.findall(r"^:::\{prf:(?!proof|ref)", text(path), re.M))
    lacking = {title: missing_support(kind, body) for kind, title, body in statements}
    assert not {title: problems for title, problems in lacking.items() if problems}


@pytest.mark.parametrize(
    ("body", "lacking"),
    [
        ("Computed by {py:func}`~w2s_utils.theory.exact.student_terms`", ["names no test"]),
        ("`tests/test_notebooks.py::test_absent`", ["no test tests/test_notebooks.py::test_absent",
                                                   "names no function"]),
        ("{py:func}`~w2s_utils.theory.exact.absent` `tests/test_pair.py::test_x`",
         ["no function w2s_utils.theory.exact.absent", "no test tests/test_pair.py::test_x"]),
    ],
)  # fmt: skip
def test_a_statement_without_support_is_found(body, lacking):
    assert missing_support("theorem", body) == lacking


@each_notebook
def test_chapters_of_the_theory_have_two_exercises_with_hidden_solutions(path):
    content = text(path)
    exercises = re.findall(r"^:::\{exercise\}\n:label: (\S+)$", content, re.M)
    solutions = re.findall(r"^:::\{solution-start\} (\S+)\n:class: dropdown$", content, re.M)
    assert exercises == solutions
    if "02" <= path.stem[:2] <= "07":
        assert len(exercises) >= 2


def test_every_command_on_every_page_would_be_accepted():
    checked = 0
    for page in PAGES:
        for command in re.findall(r"\bw2s run (\d\d_\w+[^`\n]*)", text(page)):
            name, *options = shlex.split(command)
            given = {
                options[i + 1]: publish.parse_yaml(options[i + 2])
                for i, option in enumerate(options)
                if option == "-p"
            }
            publish.check_parameters(ROOT / f"notebooks/{name}.ipynb", given)
            checked += 1
    assert checked >= len(NOTEBOOKS)


def test_the_page_on_python_shows_every_field():
    shown = "\n".join(
        "".join(c["source"]) for c in cells(ROOT / "notebooks/21_use_from_python.ipynb", "code")
    )
    for kind, name in ((Diagnosis, "d"), (Ranking, "ranking")):
        public = {f.name for f in fields(kind)} | {
            name
            for name, value in inspect.getmembers(kind)
            if isinstance(value, property | cached_property) or name == "table"
        }
        missing = {field for field in public if not re.search(rf"\b\w+\.{field}\b", shown)}
        assert missing == set(), name


@each_notebook
def test_visible_code_fits_the_page_and_draws_nothing(path):
    """Figures and the ledger are made in folded cells."""
    for cell in cells(path, "code"):
        if "hide-input" not in tags(cell):
            source = "".join(cell["source"])
            assert max(map(len, source.splitlines())) <= 80, cell["id"]
            assert not re.search(r"plt\.(subplots|show)|claims\.record", source), cell["id"]


@each_notebook
def test_a_chapter_says_what_one_knows_after_it(path):
    first = "".join(cells(path, "markdown")[0]["source"])
    assert re.search(r"After this chapter you know(\*\*)? ", first)
