"""Build the book from the executed notebooks and put it in place."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from w2s_utils._files import digest
from w2s_utils.publish import project, verdicts
from w2s_utils.publish.cache import Task, environment_key, files_in
from w2s_utils.publish.execution import ANSI_STYLE, BuildError
from w2s_utils.publish.kernel import kernel_environment
from w2s_utils.publish.notebook import check_parameters
from w2s_utils.publish.parallel import execute_all

# The program that builds the pages. It reads what nobody writes, so it ends with its parent.
BUILDER = """
import os, threading
threading.Thread(target=lambda: os._exit(len(os.read(0, 1)) + 1), daemon=True).start()
from jupyter_book.cli.main import main
main()
"""


def build_book(
    root: Path,
    profile: str = "quick",
    jobs: int | None = None,
    before_execution: Callable[[], object] = lambda: None,
    report: Callable[[str], None] = print,
    name: str = "html",
    record_verdicts: bool = False,
) -> Path:
    """Execute the notebooks of the table of contents and build the book from them.

    Parameters
    ----------
    root : Path
        The project's folder, with ``_config.yml``, ``_toc.yml``, ``book/`` and ``notebooks/``.
    profile : str
        Name of a file in ``notebooks/profiles``, which gives the notebooks their parameters.
    jobs : int, optional
        How many notebooks run at the same time. Default: one a core.
    before_execution : callable
        Called once if anything is to be executed, to fetch what the notebooks share.
    report : callable
        Receives each line of progress.
    name : str
        Where the book appears in ``build``; books of other names stay.
    record_verdicts : bool
        Record the verdicts of this build instead of comparing them with the recorded ones.

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    UserError
        If the profile, the table of contents or a parameter is wrong; nothing has run then.
    BuildError
        If a notebook or a page fails, or a verdict is not the recorded one; the last good book
        stays where it is.
    """
    from joblib import cpu_count

    began = time.monotonic()
    build = root / "build"
    with _alone(build, report):
        pages = project.pages(root)
        environment = environment_key()
        tasks = project.tasks(root, pages, profile, environment)
        todo = [task for task in tasks if not task.is_done()]
        report(f"Profile {profile}: {len(todo)} of {len(tasks)} notebooks to execute.")
        if todo:
            before_execution()
        seconds = execute_all(todo, jobs or cpu_count(), report)
        if todo and environment_key() != environment:
            raise BuildError(
                "The package or its libraries changed while the notebooks ran: the same command "
                "runs them again."
            )
        record = root / "notebooks" / "verdicts" / f"{profile}.yaml"
        verdicts.check(record, [task.output for task in tasks], record_verdicts)
        _assemble(root, profile, tasks)
        _show(_built(build, environment), build / name)
    for page in pages:
        if page.suffix == ".ipynb":
            time_taken = f"{seconds[page.stem]:.1f} s" if page.stem in seconds else "unchanged"
        else:
            time_taken = "text"
        report(f"  {time_taken:>10}  {project.title(page)}")
    first_page = build / name / "index.html"
    report(f"The book is ready after {time.monotonic() - began:.1f} s: {first_page}")
    return first_page


def unstable_verdicts(
    root: Path,
    profile: str,
    seeds: int,
    jobs: int | None = None,
    before_execution: Callable[[], object] = lambda: None,
    report: Callable[[str], None] = print,
) -> int:
    """Execute the notebooks with other seeds and report each verdict that is not the recorded one.

    What is finished is kept, as in a build: an interrupted run goes on where it was.

    Parameters
    ----------
    root, profile, jobs, before_execution, report
        As in `build_book`.
    seeds : int
        How many other seeds: 1000, 2000 and so on.

    Returns
    -------
    int
        Number of differences. Rows that are recorded as unresolved do not count.

    Raises
    ------
    UserError
        If the profile, the table of contents, a parameter or the record is wrong.
    BuildError
        If a notebook fails.
    """
    from joblib import cpu_count

    record = root / "notebooks" / "verdicts" / f"{profile}.yaml"
    flips: list[str] = []
    with _alone(root / "build", report):
        tasks = project.tasks(root, project.pages(root), profile, environment_key())
        for task in tasks:
            check_parameters(task.notebook, {"seed": 0})
        for seed in range(1000, 1000 * (seeds + 1), 1000):
            others = [
                replace(
                    task,
                    parameters={**task.parameters, "seed": seed},
                    output=root / "build" / "seeds" / profile / str(seed) / task.output.name,
                )
                for task in tasks
            ]
            todo = [task for task in others if not task.is_done()]
            report(f"Seed {seed}: {len(todo)} of {len(others)} notebooks to execute.")
            if todo:
                before_execution()
            execute_all(todo, jobs or cpu_count(), report)
            flipped = verdicts.flips(record, [task.output for task in others])
            flips += [f"seed {seed}, {line}" for line in flipped]
    report(f"Of the verdicts on record {len(flips)} differ at {seeds} other seeds.")
    for line in flips:
        report(f"  {line}")
    return len(flips)


@contextmanager
def _alone(build: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of the build's folder; wait for another build to finish."""
    from filelock import FileLock, Timeout

    build.mkdir(exist_ok=True)
    lock = FileLock(build / ".lock")
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        report("Another build of this book is running; waiting for it to finish.")
        held = lock.acquire()
    with held:
        yield


def _assemble(root: Path, profile: str, tasks: Sequence[Task]) -> None:
    """Bring the sources of the book together, with how its notebooks were executed."""
    source = root / "build" / "book_src"
    shutil.rmtree(source, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "book", source / "book", ignore=ignore)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, source / name)
    for task in tasks:
        destination = source / task.notebook.relative_to(root)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(task.output, destination)
    records = (root / "notebooks" / "verdicts").glob("*.yaml")
    facts = {
        "profile": profile,
        "verdicts": {record.stem: verdicts.recorded(record) for record in sorted(records)},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "notebooks": {
            task.name: {"seconds": task.seconds, "parameters": task.parameters} for task in tasks
        },
    }
    (source / "build.json").write_text(json.dumps(facts), encoding="utf-8")


def _built(build: Path, environment: str) -> Path:
    """Build the book from its sources unless that is done already; give its folder."""
    for left in build.glob("sphinx-*"):  # by a killed build
        shutil.rmtree(left, ignore_errors=True)
    source = build / "book_src"
    # A book is named by all that went into it, so one that is there need not be built again.
    book = build / "books" / digest(files_in(source, "*"), environment)[:16]
    if not book.is_dir():
        _run_jupyter_book(source, book)
    return book


def _show(book: Path, link: Path) -> None:
    """Let the link lead to the book, in one step, and remove books that none leads to."""
    build = link.parent
    new_link = link.with_suffix(".new")
    new_link.unlink(missing_ok=True)
    new_link.symlink_to(book.relative_to(build), target_is_directory=True)
    new_link.replace(link)
    shown = {path.resolve() for path in build.iterdir() if path.is_symlink()}
    for other in set(book.parent.resolve().iterdir()) - shown:
        shutil.rmtree(other)


def _run_jupyter_book(source: Path, book: Path) -> None:
    # Always a new folder: Sphinx forgets the warnings of pages it does not read again, and that of
    # a killed build may still be running.
    with tempfile.TemporaryDirectory(prefix="sphinx-", dir=source.parent) as workspace:
        options = ["-W", "-n", "--keep-going", "--path-output", workspace]
        files = ["--config", str(source / "_config.yml"), "--toc", str(source / "_toc.yml")]
        reading, writing = os.pipe()
        try:
            result = subprocess.run(
                [sys.executable, "-c", BUILDER, "build", str(source), *files, *options],
                stdin=reading,
                env=kernel_environment(workspace),
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(reading)
            os.close(writing)
        if result.returncode != 0:
            # Paths in book_src mirror the repository's, so without the prefix they name the sources
            problems = ANSI_STYLE.sub("", result.stderr).replace(f"{source}{os.sep}", "")
            raise BuildError(f"The pages could not be built:\n{problems.strip()}")
        book.parent.mkdir(exist_ok=True)
        (Path(workspace) / "_build" / "html").replace(book)
