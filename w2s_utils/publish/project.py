"""What a project's files ask for: the pages of its book, and the notebooks of a profile."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from w2s_utils.errors import UserError
from w2s_utils.publish.cache import Task
from w2s_utils.publish.notebook import cells, check_parameters
from w2s_utils.publish.yaml import read_yaml


def pages(root: Path) -> list[Path]:
    """Sources of the pages that the table of contents lists, in its order."""

    def files(entry: Any) -> Iterator[str]:
        if isinstance(entry, dict):
            for key, value in entry.items():
                if key in ("root", "file"):
                    yield value
                else:
                    yield from files(value)
        elif isinstance(entry, list):
            for part in entry:
                yield from files(part)

    pages = []
    for file in files(read_yaml(root / "_toc.yml")):
        candidates = [root / f"{file}{suffix}" for suffix in ("", ".md", ".ipynb")]
        found = [path for path in candidates if path.is_file()]
        if not found:
            raise UserError(f"_toc.yml lists {file}, but there is no {file}.md or {file}.ipynb.")
        pages.append(found[0])
    return pages


def page_names(root: Path) -> list[str]:
    """Names of the book's pages, such as ``notebooks/04_w2s_risk``, in its order."""
    return [page.relative_to(root).with_suffix("").as_posix() for page in pages(root)]


def title(page: Path) -> str:
    """First heading of a page."""
    if page.suffix == ".ipynb":
        text = "\n".join(
            "".join(cell["source"]) for cell in cells(page) if cell["cell_type"] == "markdown"
        )
    else:
        text = page.read_text(encoding="utf-8")
    heading = re.search(r"^# +(.+)$", text, flags=re.MULTILINE)
    return heading[1].strip() if heading else page.stem


def tasks(root: Path, pages: Sequence[Path], profile: str, environment: str) -> list[Task]:
    """Notebooks among the pages, with their parameters in a profile.

    Raises
    ------
    UserError
        If there is no such profile, or it sets what they do not take.
    """
    profiles = root / "notebooks" / "profiles"
    path = profiles / f"{profile}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in profiles.glob("*.yaml")))
        raise UserError(f"There is no profile {profile!r}; choose one of: {known}.")
    values = read_yaml(path) or {}
    notebooks = {page.stem: page for page in pages if page.suffix == ".ipynb"}
    if not isinstance(values, dict) or not all(isinstance(v, dict) for v in values.values()):
        raise UserError(f"{path.name} must map notebook names to mappings of parameters.")
    unknown = sorted(set(values) - set(notebooks))
    if unknown:
        raise UserError(
            f"{path.name} names {', '.join(unknown)}, but _toc.yml lists only the notebooks "
            f"{', '.join(notebooks)}."
        )
    executed = root / "build" / "executed" / profile
    tasks = [
        Task(page, values.get(name, {}), executed / page.name, environment)
        for name, page in notebooks.items()
    ]
    for task in tasks:
        check_parameters(task.notebook, task.parameters)
    return tasks
