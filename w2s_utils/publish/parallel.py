"""Execute several notebooks at once, each in a process of its own."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, cast

from w2s_utils.errors import UserError
from w2s_utils.publish.cache import Task
from w2s_utils.publish.execution import BuildError


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
