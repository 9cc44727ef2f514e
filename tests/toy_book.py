"""A book of two small notebooks, and what tests of its builds wait for."""

import os
import time
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CONFIG = """
title: Tiny
only_build_toc_files: true
execute: {execute_notebooks: "off"}
"""

TOC = """
format: jb-book
root: book/intro
chapters:
  - file: notebooks/first
  - file: notebooks/second
"""


def write_notebook(path: Path, *sources: str, parameters: str = "n = 1") -> Path:
    cells = [
        new_markdown_cell(f"# The {path.stem}", id="title"),
        new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        *(new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


def outputs(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [output.text for cell in cells for output in cell.get("outputs", [])]


def make_project(root: Path) -> Path:
    write_notebook(root / "notebooks/first.ipynb", "print(n)")
    write_notebook(root / "notebooks/second.ipynb", "print(2 * n)")
    (root / "notebooks/profiles").mkdir()
    (root / "notebooks/profiles/quick.yaml").write_text("first: {n: 5}\n")
    (root / "book").mkdir()
    (root / "book/intro.md").write_text("# Introduction\n")
    (root / "_config.yml").write_text(CONFIG)
    (root / "_toc.yml").write_text(TOC)
    return root


def wait_until(condition: "object", seconds: float = 120) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
