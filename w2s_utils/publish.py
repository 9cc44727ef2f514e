"""Execute the notebooks and turn them into a book.

::

    notebooks/*.ipynb  --papermill-->  build/executed/PROFILE/  --+
    book/, _config.yml, _toc.yml  --------------------------------+-->  build/book_src
    build/book_src     --jupyter-book-->  build/books/ID/  <--  build/html (a symbolic link)

Between the two steps the findings of the notebooks are compared with ``notebooks/verdicts/``.

A notebook is executed again only when something that its outputs depend on has changed, and the
book is built again only when something in ``build/book_src`` has.  Whatever is finished appears
under its final name in one step, so a killed build loses only what it was working on.
"""

import ast
import fcntl
import hashlib
import json
import logging
import multiprocessing
import os
import platform
import re
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from w2s_utils._files import packages, read_json, write_atomically
from w2s_utils.errors import UserError

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from jupyter_client.manager import KernelManager

__all__ = ["BuildError", "build_book", "execute", "parse_yaml"]

PACKAGE = Path(__file__).parent

# All that a kernel takes over of the caller's environment: where things are, how pip downloads, and
# what keeps an old BLAS from crashing on a new processor.
# Everything else (MPLBACKEND, PYTHONSTARTUP, PYTHONPATH, LANG, ...) could change the outputs.
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|(DY)?LD_\w+|W2S_CACHE|XDG_(CACHE|CONFIG)_HOME|OPENBLAS_(CORETYPE|L2_SIZE)"
    r"|PIP_\w+|SSL_CERT_\w+|(?i:https?|all|no)_(?i:proxy)"
)
# One BLAS thread a kernel: small solves run faster, and one notebook a core uses the machine fully.
# A fixed hash seed, so that a printed set looks the same in every run.
KERNEL_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}
SCRATCH = "w2s-kernel-"
# The program that builds the pages. It reads what nobody writes, so it ends with its parent.
BUILDER = """
import os, threading
threading.Thread(target=lambda: os._exit(len(os.read(0, 1)) + 1), daemon=True).start()
from jupyter_book.cli.main import main
main()
"""
TEMPORARY = ["/tmp", "/var/tmp", "/dev/shm"]
LONGEST = 70  # bytes of a folder's path, so that sockets in it keep to macOS's 103

ANSI_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class BuildError(UserError):
    """A notebook or the book failed while it was being built."""


# --- One notebook ---------------------------------------------------------------------------------


def execute(notebook: Path, parameters: Mapping[str, Any], output: Path) -> float:
    """Run a notebook from a fresh kernel of this interpreter, in the notebook's own folder.

    Parameters
    ----------
    notebook : Path
        The source, which must have a cell tagged ``parameters``.
    parameters : mapping of str to object
        Values that replace those of the parameters cell.
    output : Path
        Where the executed notebook goes; it appears there only when every cell has succeeded.

    Returns
    -------
    float
        Seconds taken.

    Raises
    ------
    UserError
        If the file is no notebook, or does not declare one of the parameters.
    BuildError
        If a cell fails.
    """
    import papermill
    from nbformat import writes
    from papermill.exceptions import PapermillExecutionError

    check_parameters(notebook, parameters)
    if output.resolve() == notebook.resolve():
        raise UserError(f"{output} is the source itself: give the output another name.")
    output.parent.mkdir(parents=True, exist_ok=True)
    # Its warnings come from a cruder reading of the parameters cell than check_parameters has.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    source = _with_ids(notebook)
    places = {
        cell.id: f"cell {number} of {len(source.cells)} (id {cell.id})"
        for number, cell in enumerate(source.cells, start=1)
    }
    place = "before the first cell"

    def on_cell_start(cell: Any, cell_index: int) -> None:
        nonlocal place
        place = places.get(cell.id, "the cell that sets the parameters")

    def on_cell_executed(cell: Any, cell_index: int, execute_reply: dict[str, Any]) -> None:
        # papermill takes sys.exit(0) for success; after exit() the kernel dies some cells later.
        reply, tags = execute_reply["content"], cell.metadata.get("tags", [])
        left = reply.get("ename") == "SystemExit" and reply["evalue"] in ("", "0")
        asked = "ask_exit" in [part["source"] for part in reply.get("payload", [])]
        if asked or (left and "raises-exception" not in tags):
            raise RuntimeError("it ends the notebook, by exit, quit or SystemExit: remove that.")

    began = time.monotonic()
    try:
        with _kernel(notebook.parent) as kernel:
            executed = papermill.execute_notebook(
                source,
                None,
                parameters=dict(parameters),
                kernel_name=kernel.kernel_name,
                language="python",
                progress_bar=False,
                km=kernel,
                on_cell_start=on_cell_start,
                on_cell_executed=on_cell_executed,
            )
    except PapermillExecutionError as error:
        trace = ANSI_STYLE.sub("", "\n".join(error.traceback)).splitlines()[-20:]
        problem = "\n".join([f"{error.ename}: {error.evalue}", *trace])
    except RuntimeError as error:  # the kernel died or did not start, or a cell ended it
        problem = str(error)
    else:
        _drop_run_metadata(executed)
        write_atomically(output, writes(executed) + "\n")  # type: ignore[no-untyped-call]
        return time.monotonic() - began
    raise BuildError(f"{notebook.name} failed, {place}: {problem}".replace("\n", "\n    "))


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Raise UserError unless each parameter is declared, with a default of the same kind."""
    tagged = [cell for cell in _cells(notebook) if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise UserError(
            f"{notebook.name} has {len(tagged)} cells tagged 'parameters': "
            "give that tag to the one cell that assigns them."
        )
    try:
        declared = dict(_assignments("".join(tagged[0]["source"])))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{notebook.name}: the parameters cell is no Python: {error}.") from error
    for name, value in parameters.items():
        if name not in declared:
            raise UserError(
                f"{notebook.name} declares no parameter {name!r}; "
                f"it declares {', '.join(declared) or 'none'}."
            )
        if not _is_plain(value):
            raise UserError(
                f"{notebook.name} takes for {name} numbers, words, and lists of them or mappings "
                f"from words to them, got {value!r}."
            )
        try:
            default = ast.literal_eval(declared[name])
        except (ValueError, TypeError):  # an expression: any value may do
            continue
        if not _same_kind(value, default):
            raise UserError(
                f"{notebook.name} takes for {name} a value like {default!r}, got {value!r}."
            )


def _assignments(source: str) -> Iterator[tuple[str, ast.expr]]:
    """Names that the statements assign, each with the expression of its value.

    papermill's own inspection skips lines with two equals signs or with several names.
    """
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            pairs = [(target, statement.value)]
            if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
                pairs = list(zip(target.elts, statement.value.elts, strict=False))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    yield name.id, value


def _is_plain(value: object) -> bool:
    """Whether papermill writes the value as a literal: it does not quote others, YAML's bytes say.

    What is not quoted could be code.
    """
    if isinstance(value, dict):
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _same_kind(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list) and isinstance(value, list) and default:
        return all(_same_kind(item, default[0]) for item in value)
    return default is None or isinstance(value, type(default))


def _cells(notebook: Path) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", _read(notebook)["cells"])


def _read(notebook: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
        if content.get("nbformat", 4) != 4:
            raise ValueError("it is not of format 4; open it in Jupyter and save it")
        for cell in content["cells"]:
            "parameters" in cell["metadata"].get("tags", []) and "".join(cell["source"])
            _ = cell["cell_type"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{notebook} cannot be read as a notebook: {error}.") from error
    return content


def _with_ids(notebook: Path) -> Any:
    """The notebook in format 4.5: earlier ones have no ids, and other tools give random ones."""
    import nbformat

    content = _read(notebook)
    if content.get("nbformat_minor", 0) < 5:
        content["nbformat_minor"] = 5
        for number, cell in enumerate(content["cells"], start=1):
            cell["id"] = f"cell-{number}"
    try:
        nbformat.validate(content)
    except nbformat.ValidationError as error:
        problem = str(error).partition("\n")[0].rstrip(".")
        raise UserError(f"{notebook} cannot be read as a notebook: {problem}.") from error
    return nbformat.v4.reads_json(json.dumps(content))  # type: ignore[no-untyped-call]


def kernel_environment(scratch: str) -> dict[str, str]:
    """Environment of a kernel, or of Sphinx, the same whoever calls.

    `scratch` is a folder of its own.
    """
    matplotlib = cast("str", cast("ModuleSpec", find_spec("matplotlib")).origin)
    return {
        **{name: value for name, value in os.environ.items() if KEPT.fullmatch(name)},
        **KERNEL_ENVIRONMENT,
        # In place of the user's own configuration.
        "IPYTHONDIR": scratch,
        "MATPLOTLIBRC": str(Path(matplotlib).parent / "mpl-data"),
        # The packages that the key lists.
        "PYTHONNOUSERSITE": "" if site.ENABLE_USER_SITE else "1",
        "TMPDIR": scratch,
    }


@contextmanager
def _kernel(directory: Path) -> "Iterator[KernelManager]":
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
    from jupyter_client.manager import KernelManager

    clients = []

    class RememberingManager(KernelManager):
        def client(self, **kwargs: Any) -> Any:
            clients.append(super().client(**kwargs))
            return clients[-1]

    with _scratch_folder() as scratch:
        kernel = RememberingManager(
            kernel_name=NATIVE_KERNEL_NAME,
            # No folders to search: this interpreter's own kernel, whatever else is installed.
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            # Sockets in a private folder need no encryption, and parallel kernels cannot race for
            # a port.
            transport="ipc",
            connection_file=f"{scratch}/kernel.json",
            client_class="jupyter_client.asynchronous.AsyncKernelClient",
        )
        kernel.start_kernel(cwd=str(directory), env=kernel_environment(scratch))
        try:
            yield kernel
        finally:
            kernel.shutdown_kernel(now=True)
            for client in clients:  # papermill leaves them open when it did not start the kernel
                client.stop_channels()


@contextmanager
def _scratch_folder() -> Iterator[str]:
    """A private folder for a kernel's sockets and files; those of killed runs are removed."""
    wanted = [os.environ.get("TMPDIR", ""), *TEMPORARY]
    usable = [folder for folder in wanted if folder and len(os.fsencode(folder)) <= LONGEST]
    for folder in usable:
        try:
            scratch, held = _new_scratch(folder)
            break
        except OSError:
            continue
    else:
        raise UserError(
            f"No folder takes a kernel's sockets, of {', '.join(filter(None, wanted))}: set TMPDIR "
            f"to one that can be written to and whose path has at most {LONGEST} bytes."
        )
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(held)


def _new_scratch(parent: str) -> tuple[str, int]:
    """Make the folder and lock it: the lock ends with this process, however that ends."""
    for left in Path(parent).glob(f"{SCRATCH}*"):
        with suppress(OSError):  # in use, or another user's
            descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(descriptor)
    while True:
        scratch = tempfile.mkdtemp(prefix=SCRATCH, dir=parent)
        descriptor = os.open(scratch, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if Path(scratch).exists():  # else another run took it for left, before the lock
            return scratch, descriptor
        os.close(descriptor)


def _drop_run_metadata(notebook: Any) -> None:
    """Remove what differs from run to run: times, paths, random cell ids."""
    for part in (notebook, *notebook.cells):
        for name in ("papermill", "execution"):
            part.metadata.pop(name, None)
        if "injected-parameters" in part.metadata.get("tags", []):
            part.id = "injected-parameters"


# --- The cache of executed notebooks --------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A notebook to execute, and everything that its outputs depend on."""

    notebook: Path
    parameters: Mapping[str, Any]
    output: Path
    environment: str

    @property
    def name(self) -> str:
        """The notebook's name, as in profiles and on the command line."""
        return self.notebook.stem

    @property
    def stamp(self) -> Path:
        """The file that vouches for the output; written after it."""
        return self.output.with_suffix(".json")

    def key(self) -> str:
        """Hash of the cells and tags, the parameters, the environment, the modules beside it."""
        cells = [(c["cell_type"], c["source"], c["metadata"]) for c in _cells(self.notebook)]
        # A kernel finds modules and matplotlib's settings in the folder that it runs in.
        folder = self.notebook.parent
        beside = [_tree_digest(folder, pattern) for pattern in ("*.py", "matplotlibrc")]
        return _digest(cells, self.parameters, self.environment, beside)

    def is_done(self) -> bool:
        """Whether the output is there, whole and unaltered, and made from the present sources."""
        stamp = self._read_stamp()
        try:
            return stamp == stamp | {"key": self.key(), "sha256": self._sha256()}
        except OSError:
            return False

    @property
    def seconds(self) -> float:
        """How long the execution took that made the output."""
        return float(self._read_stamp()["seconds"])

    def _read_stamp(self) -> dict[str, Any]:
        return read_json(self.stamp, key=str, sha256=str, seconds=float) or {}

    def run(self) -> float:
        """Execute the notebook and vouch for the output; return the seconds taken."""
        key = self.key()  # before the run: an edit during it must not go unnoticed
        seconds = execute(self.notebook, self.parameters, self.output)
        stamp = {"key": key, "sha256": self._sha256(), "seconds": round(seconds, 1)}
        write_atomically(self.stamp, json.dumps(stamp))
        return seconds

    def _sha256(self) -> str:
        return hashlib.sha256(self.output.read_bytes()).hexdigest()


def environment_key() -> str:
    """Hash what every output depends on: Python, all installed packages and this one's sources.

    The hashes of the data are written in these sources and in the manifests of what is shipped, so
    they count too.
    """
    sources = [_tree_digest(PACKAGE, pattern) for pattern in ("*.py", "*.json")]
    return _digest(sys.version, packages(), sources)


def _tree_digest(folder: Path, pattern: str = "*") -> str:
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return _digest(
        [
            (path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in files
        ]
    )


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


# --- Several notebooks at once --------------------------------------------------------------------


def execute_all(
    tasks: Sequence[Task], jobs: int, report: Callable[[str], None]
) -> dict[str, float]:
    """Execute notebooks in parallel, each in a process of its own.

    All of them are tried, and those that succeed stay done whatever happens to the others.

    Parameters
    ----------
    tasks : sequence of Task
    jobs : int
        How many run at the same time.
    report : callable
        Receives a line when a notebook starts, finishes or fails.

    Returns
    -------
    dict of str to float
        Seconds taken, by notebook name.

    Raises
    ------
    BuildError
        If notebooks failed; the message lists them all.
    """
    # A pool would lose all its work when one process is killed for want of memory.
    spawn = multiprocessing.get_context("spawn")
    waiting = list(tasks)
    running: dict[Any, tuple[Task, BaseProcess]] = {}  # by the receiving end of a pipe
    seconds: dict[str, float] = {}
    failures: list[str] = []
    receiver: Any
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop(0)
                receiver, sender = spawn.Pipe(duplex=False)
                worker = spawn.Process(target=_run_and_send, args=(task, sender), daemon=True)
                worker.start()
                sender.close()
                running[receiver] = task, worker
                report(f"  {task.name}: started")
            for receiver in wait(list(running)):
                task, process = running.pop(receiver)
                try:
                    outcome = receiver.recv()
                except EOFError:
                    process.join()
                    outcome = f"{task.notebook.name} failed: {_how_it_ended(process)}"
                process.join()
                if isinstance(outcome, float):
                    seconds[task.name] = outcome
                    report(f"  {task.name}: done in {outcome:.1f} s")
                else:
                    failures.append(outcome)
                    report(f"  {task.name}: FAILED")
    finally:
        for _, left in running.values():
            left.terminate()
        patience = time.monotonic() + 1
        for _, left in running.values():
            left.join(max(0, patience - time.monotonic()))
            left.kill()  # its kernel sees that and ends
    if failures:
        raise BuildError("\n\n".join(failures))
    return seconds


def _run_and_send(task: Task, sender: "Connection[Any, Any]") -> None:
    def leave(signum: int, frame: FrameType | None) -> None:
        sys.exit(1)  # through the finally clauses, so that the kernel goes too

    # Ctrl-C reaches every process of the terminal; the parent decides, and terminates this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        sender.send(task.run())
    except UserError as error:
        sender.send(str(error))
    except OSError as error:  # a full disk, say
        sender.send(f"{task.notebook.name} failed: {error}")
    except Exception as error:
        sender.send(f"{task.notebook.name} failed: {type(error).__name__}: {error}")


def _how_it_ended(process: BaseProcess) -> str:
    code = cast("int", process.exitcode)
    if code < 0:
        return f"its process was ended from outside, by {signal.Signals(-code).name}."
    return f"its process ended with exit code {code}."


def _end_with_parent() -> None:
    """Terminate this process when the build is killed: a later build must not meet its outputs."""
    cast("BaseProcess", multiprocessing.parent_process()).join()
    os.kill(os.getpid(), signal.SIGTERM)


# --- The book -------------------------------------------------------------------------------------


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
    from filelock import FileLock, Timeout

    began = time.monotonic()
    build = root / "build"
    build.mkdir(exist_ok=True)
    lock = FileLock(build / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        report("Another build of this book is running; waiting for it to finish.")
        lock.acquire()
    try:
        pages = _pages(root)
        tasks = _tasks(root, pages, profile)
        todo = [task for task in tasks if not task.is_done()]
        report(f"Profile {profile}: {len(todo)} of {len(tasks)} notebooks to execute.")
        if todo:
            before_execution()
        seconds = execute_all(todo, jobs or os.cpu_count() or 1, report)
        if todo and environment_key() != tasks[0].environment:
            raise BuildError(
                "The package or its libraries changed while the notebooks ran: the same command "
                "runs them again."
            )
        _check_verdicts(root, profile, tasks, record_verdicts)
        first_page = _publish(root, profile, tasks, build / name)
    finally:
        lock.release()
    for page in pages:
        if page.suffix == ".ipynb":
            time_taken = f"{seconds[page.stem]:.1f} s" if page.stem in seconds else "unchanged"
        else:
            time_taken = "text"
        report(f"  {time_taken:>10}  {_title(page)}")
    report(f"The book is ready after {time.monotonic() - began:.1f} s: {first_page}")
    return first_page


def _pages(root: Path) -> list[Path]:
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
    return [page.relative_to(root).with_suffix("").as_posix() for page in _pages(root)]


def _tasks(root: Path, pages: Sequence[Path], profile: str) -> list[Task]:
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
    environment = environment_key()
    executed = root / "build" / "executed" / profile
    tasks = [
        Task(page, values.get(name, {}), executed / page.name, environment)
        for name, page in notebooks.items()
    ]
    for task in tasks:
        check_parameters(task.notebook, task.parameters)
    return tasks


def _check_verdicts(root: Path, profile: str, tasks: Sequence[Task], record: bool) -> None:
    """Fail if the findings are not the recorded ones; or record them."""
    from w2s_utils import verdicts

    file = root / "notebooks" / "verdicts" / f"{profile}.yaml"
    found = verdicts.found(task.output for task in tasks)
    if record:
        verdicts.write(file, found)
    elif changed := verdicts.differences(file, found):
        raise BuildError(
            f"These verdicts are not the recorded ones of notebooks/verdicts/{file.name}:\n"
            f"{changed}\nIf that is meant, record them: w2s book --profile {profile} "
            "--record-verdicts"
        )


def _publish(root: Path, profile: str, tasks: Sequence[Task], link: Path) -> Path:
    """Assemble the sources, build the book unless it is built already, and put it in place."""
    build = root / "build"
    source = build / "book_src"
    shutil.rmtree(source, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "book", source / "book", ignore=ignore)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, source / name)
    for task in tasks:
        destination = source / task.notebook.relative_to(root)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(task.output, destination)
    facts = {
        "profile": profile,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "notebooks": {
            task.name: {"seconds": task.seconds, "parameters": task.parameters} for task in tasks
        },
    }
    (source / "build.json").write_text(json.dumps(facts), encoding="utf-8")

    for left in source.parent.glob("sphinx-*"):  # by a killed build
        shutil.rmtree(left, ignore_errors=True)
    # A book is named by all that went into it, so one that is there need not be built again.
    environment = tasks[0].environment if tasks else environment_key()
    book = build / "books" / _digest(_tree_digest(source), environment)[:16]
    if not book.is_dir():
        _run_jupyter_book(source, book)
    new_link = link.with_suffix(".new")
    new_link.unlink(missing_ok=True)
    new_link.symlink_to(book.relative_to(build), target_is_directory=True)
    new_link.replace(link)
    shown = {path.resolve() for path in build.iterdir() if path.is_symlink()}
    for other in set(book.parent.resolve().iterdir()) - shown:
        shutil.rmtree(other)
    return link / "index.html"


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


def _title(page: Path) -> str:
    """First heading of a page."""
    if page.suffix == ".ipynb":
        text = "\n".join(
            "".join(cell["source"]) for cell in _cells(page) if cell["cell_type"] == "markdown"
        )
    else:
        text = page.read_text(encoding="utf-8")
    heading = re.search(r"^# +(.+)$", text, flags=re.MULTILINE)
    return heading[1].strip() if heading else page.stem


def read_yaml(path: Path) -> Any:
    """Read a file of YAML.

    Raises
    ------
    UserError
        If it is no YAML.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except (UserError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: {error}") from error


def parse_yaml(text: str) -> Any:
    """Read YAML, taking ``1e-2`` for a number as version 1.2 of YAML does.

    Raises
    ------
    UserError
        If the text is no YAML.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )
    try:
        return yaml.load(text, Loader)  # a safe loader
    except Exception as error:  # a value that is not of its tag: any error of its constructor
        raise UserError(f"This cannot be read as YAML: {error}") from error
