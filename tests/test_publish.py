"""The publisher on a tiny but real book."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.toy_book import TOC, make_project, outputs, write_notebook
from w2s_utils import publish
from w2s_utils.errors import UserError
from w2s_utils.publish import (
    BuildError,
    build_book,
    cache,
    execute,
    kernel,
    parse_yaml,
    unstable_verdicts,
)
from w2s_utils.publish.cache import Task, environment_key

REAL_PACKAGE = cache.PACKAGE


@pytest.fixture(autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the package's sources, so that a test may edit them."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "module.py").write_text("x = 1\n")
    monkeypatch.setattr(cache, "PACKAGE", folder)
    return folder


# --- One notebook ---------------------------------------------------------------------------------


def test_parameters_replace_those_of_the_notebook(tmp_path: Path) -> None:
    source = write_notebook(
        tmp_path / "a.ipynb", "print(n, d)", parameters="n = 1.0\nd = dict(a=1)"
    )
    seconds = execute(source, {"n": 1e-2, "d": [1, "x"]}, tmp_path / "out/a.ipynb")
    assert seconds > 0
    assert outputs(tmp_path / "out/a.ipynb") == ["0.01 [1, 'x']\n"]


def test_kernel_is_this_interpreter_with_one_thread_and_no_foreign_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "kernels/python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": ["false"], "display_name": "other", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    startup = tmp_path / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "0.py").write_text("raise SystemExit")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    source = write_notebook(
        tmp_path / "notebooks/a.ipynb",
        "import os, sys\nprint(sys.executable, os.environ['OMP_NUM_THREADS'], os.getcwd())",
    )
    execute(source, {}, tmp_path / "a.ipynb")
    assert outputs(tmp_path / "a.ipynb") == [f"{sys.executable} 1 {source.parent}\n"]


SURROUNDINGS = """import locale, os, sys, matplotlib
print(matplotlib.get_backend(), matplotlib.rcParams["lines.linewidth"])
print(sorted(set(globals()) & {"intruder"}), locale.getpreferredencoding())
print(sorted(name for name in os.environ if os.environ[name] == "foreign"), "foreign" in sys.path)
print(os.environ["MKL_NUM_THREADS"])"""


def test_the_callers_environment_does_not_enter_the_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_notebook(tmp_path / "notebooks/a.ipynb", SURROUNDINGS)
    execute(source, {}, tmp_path / "plain.ipynb")
    (tmp_path / "startup.py").write_text("intruder = 1")
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 77")
    for name in ("PYTHONSTARTUP", "MATPLOTLIBRC", "MPLCONFIGDIR", "XDG_CONFIG_HOME", "JUPYTER_PATH",
                 "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "IPYTHON_CONFIG"):  # fmt: skip
        monkeypatch.setenv(name, str(tmp_path / "startup.py" if "START" in name else tmp_path))
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "OMP_SCHEDULE", "LANG", "TZ", "W2S"):
        monkeypatch.setenv(name, "foreign")
    for name in ("LC_ALL", "MKL_NUM_THREADS", "MPLBACKEND"):
        monkeypatch.setenv(name, {"LC_ALL": "POSIX", "MPLBACKEND": "Agg"}.get(name, "7"))
    execute(source, {}, tmp_path / "foreign.ipynb")
    assert (tmp_path / "foreign.ipynb").read_bytes() == (tmp_path / "plain.ipynb").read_bytes()
    assert outputs(tmp_path / "plain.ipynb")[0].splitlines() == [
        "module://matplotlib_inline.backend_inline 1.5", "[] utf-8", "[] False", "1"
    ]  # fmt: skip


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("unusable", ["long" * 30, "absent", "\u0435" * 40])
def test_sockets_go_where_their_paths_are_short_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unusable: str
) -> None:
    folder = tmp_path / unusable
    if unusable != "absent":
        folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)  # found before, maybe
    execute(write_notebook(tmp_path / "a.ipynb", "print(n)"), {}, tmp_path / "out.ipynb")
    assert outputs(tmp_path / "out.ipynb") == ["1\n"]
    assert not folder.exists() or not list(folder.iterdir())


def test_without_a_place_for_sockets_it_is_said_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "TEMPORARY", ["/proc/absent"])  # not even root can make it
    monkeypatch.setenv("TMPDIR", "/" + "long" * 30)
    source = write_notebook(tmp_path / "a.ipynb")
    with pytest.raises(UserError, match=r"^No folder .* set TMPDIR to one that can be written"):
        execute(source, {}, tmp_path / "out.ipynb")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ipynb"]


def test_what_killed_kernels_left_is_removed_and_what_is_in_use_stays(
    tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the files that a notebook left in the folder for temporary files."""
    monkeypatch.setenv("TMPDIR", str(short))
    for name in ("w2s-kernel-left", "w2s-kernel-used", "w2s-report"):
        (short / name).mkdir()
    held = os.open(short / "w2s-kernel-used", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    source = write_notebook(tmp_path / "a.ipynb", "import tempfile; tempfile.mkdtemp()")
    execute(source, {}, tmp_path / "out.ipynb")
    os.close(held)
    assert {path.name for path in short.iterdir()} == {"w2s-kernel-used", "w2s-report"}


@pytest.mark.parametrize("minor", [0, 2, 4])
def test_notebook_of_an_earlier_format_gets_ids_that_stay(tmp_path: Path, minor: int) -> None:
    source = write_notebook(tmp_path / "a.ipynb", "print(n)", "1 / 0")
    content = json.loads(source.read_text()) | {"nbformat_minor": minor}
    for cell in content["cells"]:
        del cell["id"]
    source.write_text(json.dumps(content))
    with pytest.raises(BuildError, match=r"cell 4 of 4 \(id cell-4\): ZeroDivisionError"):
        execute(source, {}, tmp_path / "out.ipynb")
    content["cells"].pop()
    source.write_text(json.dumps(content))
    for name in ("a.out", "b.out"):
        execute(source, {"n": 3}, tmp_path / name)
    assert (tmp_path / "a.out").read_bytes() == (tmp_path / "b.out").read_bytes()
    ids = [cell.id for cell in nbformat.read(tmp_path / "a.out", as_version=4).cells]
    assert ids == ["cell-1", "cell-2", "injected-parameters", "cell-3"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"nbformat": 3}, "it is not of format 4; open it in Jupyter and save it"),
        ({"metadata": 3}, "3 is not of type 'object'"),
    ],
)
def test_notebook_of_another_format_is_one_sentence(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    source = write_notebook(tmp_path / "a.ipynb")
    source.write_text(json.dumps(json.loads(source.read_text()) | changed))
    with pytest.raises(UserError, match=f"cannot be read as a notebook: {message}") as caught:
        execute(source, {}, tmp_path / "out.ipynb")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "end",
    ["import sys; sys.exit(0)", "raise SystemExit", "exit()", "quit", "get_ipython().ask_exit()",
     "raise SystemExit(3)", "import sys; sys.exit('words')", "import os; os._exit(0)"],
)  # fmt: skip
@pytest.mark.parametrize("rest", [["print(n)"], []])
def test_a_cell_that_ends_the_notebook_is_its_failure(
    tmp_path: Path, end: str, rest: list[str]
) -> None:
    source = write_notebook(tmp_path / "a.ipynb", end, *rest)
    place = rf"a.ipynb failed, cell 3 of {3 + len(rest)} \(id cell-0\): "
    why = r"(it ends the notebook, by exit, quit or SystemExit|SystemExit: (3|words)|.* died)"
    with pytest.raises(BuildError, match=place + why):
        execute(source, {}, tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


def test_a_cell_may_show_how_something_exits(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "a.ipynb", "raise SystemExit", "print(n)")
    content = nbformat.read(source, as_version=4)
    content.cells[2].metadata["tags"] = ["raises-exception"]
    nbformat.write(content, source)
    execute(source, {}, tmp_path / "out.ipynb")
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "1\n"


def test_executed_notebook_is_the_same_in_every_run(tmp_path: Path) -> None:
    """Also where pandas draws ids for its tables, and where objects are shown by their address."""
    source = write_notebook(
        tmp_path / "source.ipynb",
        "print({str(i) for i in range(9)})",
        "import pandas as pd\npd.DataFrame({'a': [n, 2.5]}).style.hide(axis='index')",
        "for k in range(2):\n    display(pd.DataFrame({'a': [k]}).style.highlight_max())",
        "object()",
    )
    for name in ("a.ipynb", "b.ipynb"):
        execute(source, {"n": 3}, tmp_path / name)
    found = (tmp_path / "a.ipynb").read_text()
    assert (tmp_path / "b.ipynb").read_text() == found
    assert str(tmp_path) not in found
    for wanted in ("T_cell-1-0", "T_cell-2-0", "T_cell-2-1", "<object>"):
        assert wanted in found


def test_undeclared_parameter_is_refused_with_the_declared_names(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "a.ipynb", parameters="n = 1\nsizes: list = dict(a=1)")
    with pytest.raises(UserError, match="no parameter 'm'; it declares n, sizes") as caught:
        execute(source, {"m": 1}, tmp_path / "out.ipynb")
    assert type(caught.value) is UserError
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize(
    ("declared", "given", "accepted"),
    [
        ("n = 1", 2, True),
        ("n = 1", 1.5, False),
        ("n = 1", "many", False),
        ("n = 1", True, False),
        ("n = 0.1", 2, True),
        ("n: str = 'h4'", "L3", True),
        ("n: str = 'h4'", 3, False),
        ("m, n = 1, [2, 3]", [4], True),
        ("m, n = 1, [2, 3]", [4, "a"], False),
        ("m, n = 1, [2, 3]", 4, False),
        ("n = None", 4, True),
        ("n = 2 ** 3", 4, True),
    ],
)
def test_parameter_must_be_of_the_kind_of_its_default(
    tmp_path: Path, declared: str, given: object, accepted: bool
) -> None:
    source = write_notebook(tmp_path / "a.ipynb", parameters=declared)
    if accepted:
        publish.check_parameters(source, {"n": given})
    else:
        with pytest.raises(UserError, match="takes for n a value like"):
            publish.check_parameters(source, {"n": given})


def test_missing_parameters_cell_is_refused(tmp_path: Path) -> None:
    nbformat.write(new_notebook(cells=[new_code_cell("n = 1")]), tmp_path / "a.ipynb")
    with pytest.raises(UserError, match="has 0 cells tagged 'parameters'"):
        execute(tmp_path / "a.ipynb", {}, tmp_path / "out.ipynb")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"cells": [1]}', "\udcff"])
def test_file_that_is_no_notebook_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.ipynb").write_text(content, errors="surrogateescape")
    with pytest.raises(UserError, match="cannot be read as a notebook"):
        execute(tmp_path / "a.ipynb", {}, tmp_path / "out.ipynb")


def test_source_is_never_overwritten(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "a.ipynb", "print(n)")
    before = source.read_bytes()
    with pytest.raises(UserError, match="is the source itself"):
        execute(source, {}, source)
    assert source.read_bytes() == before


def test_failing_cell_is_named_with_its_error(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "a.ipynb", "print(n)", "total = 0\n1 / total")
    with pytest.raises(BuildError) as caught:
        execute(source, {"n": 2}, tmp_path / "out.ipynb")
    message = str(caught.value)
    assert message.startswith(
        "a.ipynb failed, cell 4 of 4 (id cell-1): ZeroDivisionError: division by zero\n"
    )
    assert "1 / total" in message
    assert "\x1b" not in message
    assert not (tmp_path / "out.ipynb").exists()


def test_dead_kernel_is_a_failure_of_the_cell(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "a.ipynb", "import os\nos._exit(1)")
    with pytest.raises(BuildError, match=r"a.ipynb failed, cell 3 of 3 \(id cell-0\).*died"):
        execute(source, {}, tmp_path / "out.ipynb")


# --- The cache ------------------------------------------------------------------------------------


@pytest.fixture
def task(tmp_path: Path) -> Task:
    source = write_notebook(tmp_path / "a.ipynb", "print(n)")
    return Task(source, {"n": 1}, tmp_path / "executed/a.ipynb", environment_key())


def edit(notebook: Path, change: str) -> None:
    content = nbformat.read(notebook, as_version=4)
    cell = content.cells[2]
    if change == "source":
        cell.source += "  # edited"
    elif change == "tag":
        cell.metadata["tags"] = ["hide-input"]
    elif change == "output":
        cell.outputs = [nbformat.v4.new_output("stream", text="old\n")]
        cell.execution_count = 7
    nbformat.write(content, notebook)


@pytest.mark.parametrize(("change", "same"), [("source", 0), ("tag", 0), ("output", 1)])
def test_key_depends_on_cells_and_not_on_kept_outputs(task: Task, change: str, same: bool) -> None:
    before = task.key()
    edit(task.notebook, change)
    assert (task.key() == before) == same


def test_key_depends_on_parameters(task: Task) -> None:
    other = Task(task.notebook, {"n": 1.5}, task.output, task.environment)
    assert other.key() != task.key()


def test_key_depends_on_the_package_python_and_every_installed_version(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {environment_key()}
    (package / "module.py").write_text("x = 2\n")
    keys.add(environment_key())
    (package / "module.py").rename(package / "renamed.py")
    keys.add(environment_key())
    (package / "manifest.json").write_text("{}")
    keys.add(environment_key())
    monkeypatch.setattr(sys, "version", "3.99")
    keys.add(environment_key())
    numpy = SimpleNamespace(metadata={"Name": "numpy", "Version": "99"})
    monkeypatch.setattr(metadata, "distributions", lambda: [numpy])
    keys.add(environment_key())
    assert len(keys) == 6
    assert environment_key() in keys


def test_a_change_of_one_function_in_any_module_makes_every_notebook_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real package, file by file: each change gives a key of its own."""
    copy = tmp_path / "w2s_utils"
    shutil.copytree(REAL_PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "PACKAGE", copy)
    monkeypatch.setattr(metadata, "distributions", lambda: [])  # slow, and tested above
    source = write_notebook(tmp_path / "notebooks/a.ipynb", "print(n)")

    def task() -> Task:
        return Task(source, {}, tmp_path / "executed.ipynb", environment_key())

    task().output.write_text("done")
    sha256 = hashlib.sha256(b"done").hexdigest()
    stamp = {"key": task().key(), "sha256": sha256, "seconds": 1.0}
    task().stamp.write_text(json.dumps(stamp))
    files = [*copy.rglob("*.py"), *copy.rglob("*.json")]
    assert len(files) > 40
    keys = set()
    for file in files:
        assert task().is_done()
        before = file.read_text()
        first = before.find("    return ")  # in a function, if there is one
        file.write_text(
            f"{before[:first]}    pass\n{before[first:]}" if first > 0 else before + " "
        )
        assert not task().is_done(), file
        keys.add(task().key())
        file.write_text(before)
    assert len(keys) == len(files)


def test_key_depends_on_what_a_kernel_finds_beside_the_notebook(task: Task) -> None:
    keys = {task.key()}
    for name in ("helper.py", "matplotlibrc"):
        (task.notebook.parent / name).touch()
        keys.add(task.key())
    assert len(keys) == 3


@pytest.mark.parametrize(
    "damage",
    ["truncate", "alter", "delete", "delete stamp", "spoil stamp", "flip a bit", "other type"],
)
def test_damaged_output_is_not_taken_for_done(task: Task, damage: str) -> None:
    assert not task.is_done()
    task.run()
    assert task.is_done()
    content = task.output.read_text()
    if damage == "truncate":
        task.output.write_text(content[:-20])
    elif damage == "alter":
        task.output.write_text(content.replace("1", "2"))
    elif damage == "delete":
        task.output.unlink()
    elif damage == "delete stamp":
        task.stamp.unlink()
    elif damage == "flip a bit":
        task.stamp.write_text(task.stamp.read_text().replace("seconds", "reconds"))
    elif damage == "other type":
        task.stamp.write_text(f"[{task.stamp.read_text()}]")
    else:
        task.stamp.write_text("{")
    assert not task.is_done()


# --- The book -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def build(project: Path) -> Iterator[list[str]]:
    """Lines that a build reports; each test leaves the project as it found it, built."""
    lines: list[str] = []
    kept = {path: path.read_bytes() for path in project.rglob("*") if is_source(project, path)}
    build_book(project, jobs=2, report=lambda line: None)
    yield lines
    for path, content in kept.items():
        path.write_bytes(content)


def is_source(project: Path, path: Path) -> bool:
    return path.is_file() and project / "build" not in path.parents


def test_book_holds_the_computed_numbers(project: Path, build: list[str]) -> None:
    page = build_book(project, report=build.append)
    assert page == project / "build/html/index.html"
    assert "<span></span>5" not in page.read_text()
    assert "5\n" in (project / "build/html/notebooks/first.html").read_text()
    assert [line.split() for line in build[1:4]] == [
        ["text", "Introduction"],
        ["unchanged", "The", "first"],
        ["unchanged", "The", "second"],
    ]
    assert str(page) in build[-1]


def test_two_clean_builds_give_the_same_files(tmp_path: Path) -> None:
    """Tables, figures and all that Sphinx writes, byte for byte."""
    found = []
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        make_project(root)
        write_notebook(
            root / "notebooks/first.ipynb",
            "import pandas as pd\npd.DataFrame({'a': [n]}).style.hide(axis='index')",
            "from matplotlib import pyplot as plt\nplt.plot([1, n])\nplt.show()",
        )
        book = build_book(root, report=lambda line: None).parent.resolve()
        files = [path for path in book.rglob("*") if path.is_file()]
        found.append({path.relative_to(book): path.read_bytes() for path in files})
    assert found[0].keys() == found[1].keys()
    assert [path for path, content in found[0].items() if content != found[1][path]] == []
    assert Path("notebooks/first.html") in found[0]


def test_unchanged_book_is_not_built_again(
    project: Path, build: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    build_book(project, before_execution=pytest.fail, report=build.append)


def test_edited_notebook_runs_alone_and_the_book_is_swapped_at_once(
    project: Path, build: list[str]
) -> None:
    old = (project / "build/html").resolve()
    edit(project / "notebooks/second.ipynb", "source")
    prepared: list[int] = []
    build_book(project, before_execution=lambda: prepared.append(1), report=build.append)
    assert [line.strip() for line in build if "started" in line] == ["second: started"]
    assert prepared == [1]
    new = (project / "build/html").resolve()
    assert new != old
    assert not old.exists()
    assert (project / "build/html").is_symlink()


def test_books_of_two_names_do_not_replace_each_other(project: Path, build: list[str]) -> None:
    other = build_book(project, report=build.append, name="other")
    (project / "book/intro.md").write_text("# Another introduction\n")
    build_book(project, report=build.append)
    assert "Another introduction" not in (other.parent / "book/intro.html").read_text()
    build_book(project, report=build.append, name="other")
    assert "Another introduction" in (other.parent / "book/intro.html").read_text()
    assert len(list((project / "build/books").iterdir())) == 1


def test_edited_page_rebuilds_the_book_without_running_anything(
    project: Path, build: list[str]
) -> None:
    (project / "book/intro.md").write_text("# Another introduction\n")
    build_book(project, report=build.append)
    assert "Another introduction" in (project / "build/html/book/intro.html").read_text()
    assert not [line for line in build if "started" in line]


def test_failing_notebook_keeps_the_last_book_and_the_work_of_the_others(
    project: Path, build: list[str]
) -> None:
    old = (project / "build/html").resolve()
    first, second = (project / f"notebooks/{name}.ipynb" for name in ("first", "second"))
    write_notebook(first, "raise ValueError('wrong number')")
    write_notebook(second, "print(2 * n)", "print('kept')")
    with pytest.raises(BuildError, match=r"first.ipynb failed, cell 3 of 3 .*wrong number"):
        build_book(project, jobs=1, report=build.append)
    assert (project / "build/html").resolve() == old
    assert (old / "index.html").is_file()
    assert outputs(project / "build/executed/quick/second.ipynb") == ["2\n", "kept\n"]
    write_notebook(first, "print(n)")
    build.clear()
    build_book(project, report=build.append)
    assert not [line for line in build if "second: started" in line]


LEDGER = """from w2s_utils import claims
claims.record(claims.Finding(4, "the number", n, n - 0.5, n + 0.5, least=3))"""


def test_changed_verdict_fails_the_build_until_it_is_recorded(
    project: Path, build: list[str]
) -> None:
    record = project / "notebooks/verdicts/quick.yaml"
    write_notebook(project / "notebooks/first.ipynb", LEDGER)
    with pytest.raises(
        BuildError, match="claim 4, synthetic data: the number: holds"
    ) as unrecorded:
        build_book(project, report=build.append)
    assert "first: claim 4" in str(unrecorded.value)
    build_book(project, report=build.append, record_verdicts=True)
    good = (project / "build/html").resolve()
    build_book(project, report=build.append)
    kept = record.read_text()
    (project / "notebooks/profiles/quick.yaml").write_text("first: {n: 2}\n")
    with pytest.raises(BuildError, match="--record-verdicts") as changed:
        build_book(project, report=build.append)
    assert [line[:2] for line in str(changed.value).splitlines()[1:-1]] == ["- ", "+ "]
    assert (project / "build/html").resolve() == good
    assert record.read_text() == kept
    record.unlink()


FAILING = """from w2s_utils import checks, claims
claims.record(checks.within("two formulas", 0.2, "well"))"""


def test_a_check_that_fails_is_not_recorded(project: Path, build: list[str]) -> None:
    write_notebook(project / "notebooks/first.ipynb", FAILING)
    for record in (True, False):
        with pytest.raises(BuildError, match=r"checks .* fail:\nfirst: check: two formulas: fails"):
            build_book(project, report=build.append, record_verdicts=record)
    assert not (project / "notebooks/verdicts/quick.yaml").exists()


SEEDED = """from w2s_utils import claims
shift = {1: 0, 1000: 0, 2000: -9, 3000: -9}[seed]
claims.record(
    claims.Finding(4, "moves", shift, shift - 1, shift + 1, least=-5),
    claims.Finding(5, "open", shift, shift - 1, shift + 1, least=0),
)"""


def test_verdicts_that_other_seeds_change_are_named(
    project: Path, build: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        write_notebook(project / f"notebooks/{name}.ipynb", SEEDED, parameters="seed = 1")
    (project / "notebooks/profiles/quick.yaml").write_text("first: {seed: 1}\n")
    build_book(project, report=build.append, record_verdicts=True)
    kept = (project / "build/html").resolve()
    build.clear()
    assert unstable_verdicts(project, "quick", 3, report=build.append) == 4
    line = "claim 4, synthetic data: moves: holds on record, contradicted now"
    assert build[-4:] == [
        f"  seed {seed}, {name}: {line}" for seed in (2000, 3000) for name in ("first", "second")
    ]
    assert (project / "build/html").resolve() == kept
    build.clear()  # what is finished is kept
    assert unstable_verdicts(project, "quick", 3, report=build.append) == 4
    assert not [line for line in build if "started" in line]
    write_notebook(project / "notebooks/first.ipynb", "print(n)")
    with pytest.raises(UserError, match="no parameter 'seed'"):
        unstable_verdicts(project, "quick", 1, report=build.append)
    (project / "notebooks/verdicts/quick.yaml").unlink()


def test_book_knows_how_its_notebooks_were_executed(project: Path, build: list[str]) -> None:
    facts = json.loads((project / "build/book_src/build.json").read_text())
    assert facts["profile"] == "quick"
    assert facts["notebooks"]["first"]["parameters"] == {"n": 5}
    assert 0 < facts["notebooks"]["second"]["seconds"] < 600


def test_broken_page_fails_the_build_every_time_and_names_the_source(
    project: Path, build: list[str]
) -> None:
    old = (project / "build/html").resolve()
    (project / "book/intro.md").write_text("# Introduction\n\n{ref}`nowhere`\n")
    for _ in range(2):
        with pytest.raises(BuildError, match=r"^The pages .*\nbook/intro.md:3: WARNING.*nowhere"):
            build_book(project, report=build.append)
    assert (project / "build/html").resolve() == old


def test_all_failures_are_listed(project: Path, build: list[str]) -> None:
    for name in ("first", "second"):
        write_notebook(project / f"notebooks/{name}.ipynb", f"raise ValueError('{name} is wrong')")
    with pytest.raises(BuildError) as caught:
        build_book(project, jobs=2, report=build.append)
    assert "first is wrong" in str(caught.value)
    assert "second is wrong" in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("notebooks/profiles/quick.yaml", "third: {n: 1}", "names third, but .* first, second"),
        ("notebooks/profiles/quick.yaml", "first: {m: 1}", "no parameter 'm'; it declares n"),
        ("notebooks/profiles/quick.yaml", "first: 3", "must map notebook names"),
        ("notebooks/profiles/quick.yaml", "{", "cannot be read as YAML"),
        ("_toc.yml", TOC + "  - file: book/absent\n", "there is no book/absent.md"),
    ],
)
def test_wrong_request_is_refused_before_anything_runs(
    project: Path, build: list[str], file: str, content: str, message: str
) -> None:
    (project / file).write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        build_book(project, before_execution=pytest.fail, report=build.append)
    assert type(caught.value) is UserError


def test_unknown_profile_is_refused(project: Path) -> None:
    with pytest.raises(UserError, match="no profile 'fast'; choose one of: quick"):
        build_book(project, "fast")


# --- YAML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-2", 0.01),
        ("-4E3", -4000.0),
        ("0.5", 0.5),
        ("true", True),
        ("words and more", "words and more"),
        ("[20, 1e2]", [20, 100.0]),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_values_are_read_as_people_write_them(text: str, value: object) -> None:
    parsed = parse_yaml(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_yaml_makes_no_objects() -> None:
    with pytest.raises(UserError, match="cannot be read as YAML"):
        parse_yaml("!!python/object/apply:os.system ['true']")
