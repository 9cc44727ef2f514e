"""Work in other processes, here or on a Dask cluster: every answer says what computed it."""

from __future__ import annotations

import logging
import mmap
import os
import pickle
import platform
import socket
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from importlib import metadata
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import scipy
from joblib import cpu_count
from joblib.externals.loky import get_reusable_executor

from w2s_utils.errors import WorkerError

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

VERSIONS = {
    "python": platform.python_version(),
    "w2s-utils": metadata.version("w2s-utils"),
    "numpy": np.__version__,
    "scipy": scipy.__version__,
}
"""What numbers depend on besides the code."""

PATIENCE = 10.0
"""Seconds to wait for a scheduler, or for its first or next worker."""

AHEAD = 500
"""Tasks that a cluster holds at once: enough for as many threads."""

_GO_ON = "What checkpoints hold is kept: the same call goes on from there."


class _Answer(NamedTuple):
    worker: str
    about: Mapping[str, str]
    result: Any


def compute(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    about: Callable[[], Mapping[str, str]],
    jobs: int,
    cluster: str | Client | None,
) -> Iterator[Result]:
    """Give each result as soon as it is there, if it was computed by the same code as here.

    Parameters
    ----------
    work : callable
        A function of a module, applied to each task.
    tasks : sequence
        What they hold of mapped files a cluster's workers open themselves, under the same path.
    about : callable
        Says what a process computes with: versions, by name. It is asked beside each result.
    jobs : int
        Processes on this machine, at most one a core and one a task; -1 for one a core.
    cluster : str or distributed.Client or None
        Where to compute instead.

    Raises
    ------
    ValueError
        If `jobs` is neither -1 nor positive.
    WorkerError
        If a worker computes with other code or versions, or work was lost.
    """
    if jobs != -1 and jobs < 1:
        raise ValueError(f"jobs must be a number of processes or -1 for one a core, got {jobs}.")
    answer = partial(_answer, work, about)
    here = about()
    answers = _local(answer, tasks, jobs) if cluster is None else _remote(answer, tasks, cluster)
    with closing(answers):
        for worker, there, result in answers:
            if there != here:
                different = " and ".join(
                    f"{name} {there.get(name, 'missing')} instead of {here.get(name, 'missing')}"
                    for name in sorted({*here, *there})
                    if there.get(name) != here.get(name)
                )
                raise WorkerError(
                    f"The worker {worker} computes with {different}: nothing of its work was kept. "
                    "Start it anew, with the same packages as here."
                )
            yield result


def _answer(work: Callable[[Any], Any], about: Callable[[], Mapping[str, str]], task: Any) -> Any:
    return _Answer(f"{os.getpid()} on {socket.gethostname()}", about(), work(task))


def _local(answer: Callable[[Any], Any], tasks: Sequence[Any], jobs: int) -> Generator[Any]:
    processes = min(cpu_count() if jobs == -1 else jobs, cpu_count(), len(tasks))
    if processes < 2:
        yield from map(answer, tasks)
        return
    pool = get_reusable_executor(processes, initializer=_end_with, initargs=(os.getpid(),))
    wait = partial(futures.wait, return_when="FIRST_COMPLETED")
    try:
        submit, result = partial(pool.submit, answer), futures.Future.result
        yield from _as_finished(submit, wait, result, tasks, 2 * processes)
    except BrokenProcessPool as error:
        raise WorkerError(
            f"A process of this work was ended from outside; is the memory full? {_GO_ON}"
        ) from error


def _end_with(parent: int) -> None:
    """Let this process end when its parent is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _remote(
    answer: Callable[[Any], Any], tasks: Sequence[Any], cluster: str | Client
) -> Generator[Any]:
    try:
        import distributed
    except ImportError as missing:
        raise ImportError(
            f"A cluster needs the package {missing.name}: install w2s-utils[cluster]."
        ) from missing
    try:
        if isinstance(cluster, str):
            # What Dask would log, with a traceback, becomes a sentence below.
            logging.getLogger("distributed").setLevel(logging.CRITICAL)
            with distributed.Client(cluster, timeout=PATIENCE) as client:
                yield from _submitted(client, answer, tasks)
        else:
            yield from _submitted(cluster, answer, tasks)
    except WorkerError:
        raise
    except futures.CancelledError as error:
        raise WorkerError(f"The Dask scheduler was lost. {_GO_ON}") from error
    except Exception as error:  # of Dask's, or of a worker that lacks a package
        reason = f"{type(error).__name__}: {error}".rstrip(". ")
        raise WorkerError(f"The Dask cluster failed with {reason}. {_GO_ON}") from error


def _submitted(
    client: Client, answer: Callable[[Any], Any], tasks: Sequence[Any]
) -> Generator[Any]:
    import distributed

    module = _answer.__module__

    def lacks() -> str | None:  # as an inner function sent whole: a worker may lack this package
        from importlib import import_module

        try:
            import_module(module)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    for worker, reason in client.run(lacks).items():
        if reason is not None:
            raise WorkerError(f"The Dask worker {worker} cannot import {module}: {reason}.")

    def patiently(ask: Callable[[float], Any]) -> Any:
        """Ask again and again while there is a worker to wait for."""
        while True:
            try:
                return ask(PATIENCE)
            except TimeoutError as error:
                if not client.nthreads():
                    address = client.scheduler_info()["address"]
                    raise WorkerError(
                        f"The Dask scheduler at {address} has no workers; start some with "
                        f"`dask worker {address}`. {_GO_ON}"
                    ) from error

    def wait(running: set[Any]) -> Any:
        return patiently(lambda patience: distributed.wait(running, patience, "FIRST_COMPLETED"))

    def result(future: Any) -> Any:  # its worker may be lost with it: another one computes it anew
        return future.result() if future.status == "error" else patiently(future.result)

    def submit(task: bytes) -> Any:
        with warnings.catch_warnings():  # a task of 10 MB is no mistake here
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return client.submit(_unpacked, answer, task, pure=False)

    return _as_finished(submit, wait, result, map(_packed, tasks), AHEAD)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        base: object = getattr(value, "base", None)  # of a part of a mapped array that array
        if not (isinstance(value, np.memmap) and isinstance(base, mmap.mmap) and value.mode == "r"):
            return NotImplemented
        file, order = Path(str(value.filename)).resolve(), "C" if value.flags.c_contiguous else "F"
        return np.memmap, (file, value.dtype, "r", value.offset, value.shape, order)


def _packed(task: Any) -> bytes:
    """Pickle a task; mapped files by their names, not by what is in them."""
    buffer = BytesIO()
    _Pickler(buffer).dump(task)
    return buffer.getvalue()


def _unpacked(answer: Callable[[Any], Any], task: bytes) -> Any:
    return answer(pickle.loads(task))


def _as_finished(
    submit: Callable[[Any], Any],
    wait: Callable[[set[Any]], Any],
    result: Callable[[Any], Any],
    tasks: Iterable[Any],
    ahead: int,
) -> Generator[Any]:
    """Results of futures, of which few are there at once."""
    waiting = iter(tasks)
    running: set[Any] = set()
    try:
        while True:
            running |= {submit(task) for task in islice(waiting, ahead - len(running))}
            if not running:
                return
            done, running = wait(running)
            errors = []
            for future in done:
                try:
                    found = result(future)
                except WorkerError:
                    raise
                except Exception as error:  # what others have found comes first
                    errors.append(error)
                else:
                    yield found
            if errors:
                raise errors[0]
    finally:
        for future in running:
            future.cancel()
