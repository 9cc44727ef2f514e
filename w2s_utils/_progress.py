"""A progress bar for long work, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from numpy.typing import NDArray

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


@contextmanager
def counted(total: int, description: str) -> Iterator[Callable[[int], None]]:
    """Give a function that advances a bar on the error stream, if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(description, total=total)
        yield lambda steps: bar.advance(task, steps)
