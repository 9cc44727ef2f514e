"""A progress bar for long work, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")


def shown(parts: Sequence[T], description: str) -> Iterable[T]:
    """Give the parts one by one, with a bar on the error stream if that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    return track(
        parts,
        description=description,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


class Watched:
    """A matrix that tells how many rows are read from it."""

    def __init__(self, matrix: NDArray[Any], tell: Callable[[int], None]) -> None:
        self._matrix, self._tell = matrix, tell

    def __getitem__(self, rows: slice) -> Any:
        some = self._matrix[rows]
        self._tell(len(some))
        return some

    def __getattr__(self, name: str) -> Any:
        return getattr(self._matrix, name)

    def __reduce__(self) -> Any:
        return Watched, (self._matrix, _nobody)  # a copy in another process has nobody to tell


def _nobody(rows: int) -> None:
    """Take no note."""


@contextmanager
def counted(total: int, description: str) -> Iterator[Callable[[int], None]]:
    """Give a function that advances a bar on the error stream, if that is a terminal."""
    with _bar() as bar:
        task = bar.add_task(description, total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def reported(description: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how many parts are done, and of how many."""
    with _bar() as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not sys.stderr.isatty())
