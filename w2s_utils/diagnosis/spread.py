"""Calls that each take some of the work: here one after the other, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import numpy as np

from w2s_utils import _progress
from w2s_utils._files import code

if TYPE_CHECKING:
    from distributed import Client

RUN = 16  # chunks of rows in a call: of more of them a worker sends fewer answers, which are large

Result = TypeVar("Result")


class Parted(Protocol):
    """What can be cut to the rows that one call needs."""

    def within(self, rows: slice) -> Self: ...  # noqa: D102


Part = TypeVar("Part", bound=Parted)


@dataclass(frozen=True)
class Spread:
    """Where calls are made.

    Attributes
    ----------
    cluster : str or distributed.Client or None
        The Dask cluster, as in `sweeps.run`; None for this process.
    """

    cluster: str | Client | None = None

    def over(
        self,
        chunks: Sequence[slice],
        readers: tuple[Part, ...],
        work: Callable[[tuple[Part, ...], Sequence[slice]], Result],
    ) -> Iterator[Result]:
        """Result of work on all chunks of rows here, on a cluster of that on each few of them.

        A terminal shows how far the cluster is.
        """
        if self.cluster is None:
            yield work(readers, chunks)
            return
        count = -(-len(chunks) // RUN)
        ends = np.linspace(0, len(chunks), count + 1).round().astype(int)
        runs = [chunks[first:last] for first, last in pairwise(ends)]
        calls = (
            partial(work, tuple(reader.within(span(run)) for reader in readers), run)
            for run in runs
        )
        with _progress.reported("parts of the rows") as progress:
            for done, result in enumerate(self.results(calls), 1):
                progress(done, count)
                yield result

    def results(self, calls: Iterable[Callable[[], Result]]) -> Iterator[Result]:
        """Result of each call as soon as it is there: on a cluster in any order.

        Raises
        ------
        WorkerError
            If a worker computes with other code or versions than this process, or work was lost.
        """
        if self.cluster is None:
            yield from (call() for call in calls)
        else:
            from w2s_utils._workers import compute

            yield from compute(_made, [*calls], _about, 1, self.cluster)


HERE = Spread()


def span(chunks: Sequence[slice]) -> slice:
    """Rows of chunks that follow each other."""
    return slice(chunks[0].start, chunks[-1].stop)


def _made(call: Callable[[], Result]) -> Result:
    return call()


@cache
def _about() -> dict[str, str]:
    """What this process computes with."""
    from w2s_utils._workers import VERSIONS

    return {"the code of w2s_utils": code(__package__)[:16], **VERSIONS}
