"""Whose code did the work, and what is left when those who do it are lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import dask
import distributed
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster

from tests.small_sweep import BLOCKS, GRID, assert_identical, finished
from w2s_utils import _files, _workers, sweeps
from w2s_utils._workers import WorkerError

PACKAGE = Path(_files.__file__).parent


@pytest.fixture
def started():
    """Start `python -m MODULE ...` and see that it ends."""
    with ExitStack() as stack:

        def start(module, *options, path=None):
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *map(str, options)],
                env=os.environ | ({"PYTHONPATH": str(path)} if path else {}),
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def scheduler():
    """A scheduler without workers."""
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


def start_worker(started, scheduler, path=None):
    options = ("--no-nanny", "--no-dashboard", "--nthreads", 1)
    worker = started("distributed.cli.dask_worker", scheduler, *options, path=path)
    with Client(scheduler) as client:
        client.wait_for_workers(1, timeout=60)
    return worker


# --- Whose code ----------------------------------------------------------------------------------


def copy_of_the_package(folder, changed):
    copy = shutil.copytree(PACKAGE, folder / "w2s_utils", ignore=shutil.ignore_patterns("data"))
    with (copy / changed).open("a") as source:
        source.write("# altered\n")
    return folder


DRAWS = ["metrics", "pair", "subspaces", "_validate", "probes", "principal", "_gram", "sweeps"]
DRAWS += ["simulation/direct", "simulation/wishart", "simulation/__init__", "__init__"]


@pytest.mark.parametrize("module", DRAWS)
def test_the_code_of_sweeps_is_all_that_it_imports(module, tmp_path, monkeypatch):
    before = _files.code("w2s_utils.sweeps")
    copy_of_the_package(tmp_path, f"{module}.py")
    monkeypatch.setattr(_files, "__file__", str(tmp_path / "w2s_utils/_files.py"))
    assert _files.code("w2s_utils.sweeps") != before


@pytest.mark.parametrize("module", ["cli/__init__", "plots", "features/tfidf", "measure/spectrum"])
def test_the_code_of_sweeps_is_not_that_of_its_users(module, tmp_path, monkeypatch):
    before = _files.code("w2s_utils.sweeps")
    copy_of_the_package(tmp_path, f"{module}.py")
    monkeypatch.setattr(_files, "__file__", str(tmp_path / "w2s_utils/_files.py"))
    assert _files.code("w2s_utils.sweeps") == before


def test_relative_imports_and_imports_inside_functions_are_followed(tmp_path, monkeypatch):
    package = tmp_path / "w2s_utils"
    (package / "inner").mkdir(parents=True)
    sources = {
        "__init__.py": "",
        "a.py": "def f():\n    from .inner import b\n",
        "inner/__init__.py": "import numpy",
        "inner/b.py": "from ..c import name",
        "c.py": "import w2s_utils.a",
        "d.py": "",
    }
    for name, text in sources.items():
        (package / name).write_text(text)
    monkeypatch.setattr(_files, "__file__", str(package / "_files.py"))
    codes = [_files.code("w2s_utils.a")]
    for name in ("__init__.py", "a.py", "inner/__init__.py", "inner/b.py", "c.py"):
        (package / name).write_text(f"{sources[name]}\n# altered")
        codes.append(_files.code("w2s_utils.a"))
    assert len(set(codes)) == len(codes)
    (package / "d.py").write_text("# altered")
    assert _files.code("w2s_utils.a") == codes[-1]


def test_an_altered_worker_is_named_and_nothing_of_its_work_is_kept(started, scheduler, tmp_path):
    altered = copy_of_the_package(tmp_path / "altered", "metrics.py")
    worker = start_worker(started, scheduler, altered)
    kept = tmp_path / "kept"
    message = (
        rf"The worker {worker.pid} on {socket.gethostname()} computes with the code of w2s_utils "
        r"\w+ instead of \w+: nothing of its work was kept"
    )
    with pytest.raises(WorkerError, match=message):
        sweeps.run(**GRID, cluster=scheduler, checkpoints=kept)
    assert not finished(kept)


def test_another_version_in_a_process_of_this_machine_is_seen_too(tmp_path, monkeypatch):
    monkeypatch.setattr(_workers, "cpu_count", lambda: 2)
    monkeypatch.setitem(sweeps.VERSIONS, "numpy", "0.1")
    with pytest.raises(WorkerError, match=rf"numpy {np.__version__} instead of 0.1: nothing"):
        sweeps.run(**GRID, jobs=2, checkpoints=tmp_path)
    assert not finished(tmp_path)


# --- Losses --------------------------------------------------------------------------------------


def test_no_scheduler(w2s, tmp_path, monkeypatch):
    monkeypatch.setattr(_workers, "PATIENCE", 0.5)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = "tcp://{}:{}".format(*nobody.getsockname())
        code, _, said = w2s(
            "sweep", str(tmp_path / "x.csv"), "--n", "30", "--N", "50", "--dask", address
        )
    assert code == 1
    assert said.startswith("w2s: The Dask cluster failed with OSError: Timed out trying to connec")
    assert said.count("\n") == 1


def test_no_workers(scheduler, monkeypatch):
    monkeypatch.setattr(_workers, "PATIENCE", 0.5)
    with pytest.raises(WorkerError, match=f"at {scheduler} has no workers; start some with `dask"):
        sweeps.run(**GRID, cluster=scheduler)


def test_a_worker_without_the_package(started, scheduler, tmp_path):
    (tmp_path / "w2s_utils.py").write_text("raise ModuleNotFoundError('No w2s_utils here')")
    start_worker(started, scheduler, tmp_path)
    with pytest.raises(WorkerError, match=r"worker tcp.* cannot import .*No w2s_utils here"):
        sweeps.run(**GRID, cluster=scheduler)


def kill_after(process, blocks):
    def progress(done, total):
        if done == blocks:
            process.kill()
            process.wait()

    return progress


def assert_goes_on(reference, folder, taken):
    steps = []
    again = sweeps.run(**GRID, checkpoints=folder, progress=lambda *step: steps.append(step))
    assert_identical(again, reference)
    assert len(steps) == BLOCKS - taken


@pytest.fixture(scope="module")
def reference():
    return sweeps.run(**GRID)


@pytest.mark.parametrize("taken", [1, 3])
def test_the_last_worker_is_lost(taken, started, scheduler, tmp_path, monkeypatch, reference):
    """With results that it had told of and nobody had fetched, or with none."""
    wait = distributed.wait
    every = "ALL_COMPLETED"
    monkeypatch.setattr(distributed, "wait", lambda running, time, _: wait(running, time, every))
    monkeypatch.setattr(_workers, "PATIENCE", 0.5)
    monkeypatch.setattr(_workers, "AHEAD", 3)
    worker = start_worker(started, scheduler)
    kill = kill_after(worker, taken)
    with pytest.raises(
        WorkerError, match=r"has no workers; start some with .*checkpoints hold is kept"
    ):
        sweeps.run(**GRID, cluster=scheduler, checkpoints=tmp_path, progress=kill)
    assert len(finished(tmp_path)) == taken
    assert_goes_on(reference, tmp_path, taken)


def test_a_worker_is_lost_where_nothing_is_tried_again(tmp_path, reference):
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        (pid,) = client.run(os.getpid).values()
        with pytest.raises(
            WorkerError, match=r"failed with KilledWorker: .* What checkpoints hold is"
        ):
            sweeps.run(
                **GRID,
                cluster=client,
                checkpoints=tmp_path,
                progress=kill_after(psutil.Process(pid), 3),
            )
    kept = len(finished(tmp_path))
    assert kept >= 3  # more if the next worker had made anew what was lost with the first
    assert_goes_on(reference, tmp_path, kept)


def test_the_scheduler_is_lost(started, w2s, tmp_path, monkeypatch):
    """From the command line: one sentence, and the next call draws only what is missing."""
    about = tmp_path / "scheduler.json"
    options = ("--scheduler-file", about, "--port", 0, "--no-dashboard", "--host", "127.0.0.1")
    scheduler = started("distributed.cli.dask_scheduler", *options)
    deadline = time.monotonic() + 60
    while not about.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    address = json.loads(about.read_text())["address"]
    start_worker(started, address)
    run = sweeps.run

    def killed(*args, progress, **kwargs):
        return run(*args, progress=kill_after(scheduler, 3), **kwargs)

    command = ["sweep", str(tmp_path / "x.csv"), "--n", "30", "--N", "50", "--trials", "2000"]
    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "run", killed)
        code, _, said = w2s(*command, "--dask", address)
    assert code == 1
    assert said == (
        "w2s: The Dask scheduler was lost. What checkpoints hold is kept: the same call goes on "
        "from there.\n"
    )
    before = finished(tmp_path / "x.csv.parts")
    assert len(before) == 3
    assert w2s(*command)[0] == 0
    assert before.items() <= finished(tmp_path / "x.csv.parts").items()


def test_a_process_of_this_machine_is_lost(tmp_path, monkeypatch, reference):
    monkeypatch.setattr(_workers, "cpu_count", lambda: 2)

    def kill_all(done, total):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # one of those that were killed before
                command = " ".join(process.cmdline())
                if "loky" in command and "tracker" not in command:
                    process.kill()

    with pytest.raises(WorkerError, match="A process of this work was ended from outside"):
        sweeps.run(**GRID | {"trials": 5000}, jobs=2, checkpoints=tmp_path, progress=kill_all)
    assert finished(tmp_path)


def test_what_works_for_a_killed_sweep_ends_with_it(tmp_path):
    """Its processes, and what they keep in temporary folders."""
    code = (
        "import os, psutil, sys; from functools import partial; from tests.small_sweep import GRID;"
        "from w2s_utils import _workers, sweeps; _workers.cpu_count = lambda: 2;"
        "pool = _workers.get_reusable_executor;"
        "_workers.get_reusable_executor = partial(pool, timeout=3600)\n"  # they do not idle out
        "def die(done, total):\n"
        "    pids = [str(p.pid) for p in psutil.Process().children(recursive=True)]\n"
        "    open(sys.argv[1], 'w').write(' '.join(pids))\n"
        "    os.kill(os.getpid(), 9)\n"
        "sweeps.run(**GRID | {'trials': 5000}, jobs=2, progress=die)"
    )
    temporary, told = tmp_path / "temporary", tmp_path / "pids"
    temporary.mkdir()
    sweep = subprocess.run(
        [sys.executable, "-c", code, told],
        env=os.environ | {"TMPDIR": str(temporary), "JOBLIB_TEMP_FOLDER": str(temporary)},
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert sweep.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in told.read_text().split()]
    assert len(pids) >= 3  # two that draw, and one that cleans up after them

    def alive(pid):
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return False

    deadline = time.monotonic() + 60
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in pids if alive(pid)]
    assert not list(temporary.iterdir())


# --- How many ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "cores", "tasks", "processes"),
    [(5000, 8, 3, 3), (5000, 2, 30, 2), (-1, 4, 30, 4), (-1, 4, 2, 2), (3, 8, 30, 3)],
)
def test_no_more_processes_than_cores_or_tasks(jobs, cores, tasks, processes, monkeypatch):
    asked = []

    def pool(processes, **options):
        asked.append(processes)
        return ThreadPoolExecutor(1)

    monkeypatch.setattr(_workers, "cpu_count", lambda: cores)
    monkeypatch.setattr(_workers, "get_reusable_executor", pool)
    results = _workers.compute(abs, range(-tasks, 0), dict, jobs, None)
    assert sorted(results) == [*range(1, tasks + 1)]
    assert asked == [processes]
