"""A progress bar for long work on a task."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

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
