"""Parts of arrays in threads, as many as BLAS uses, whose cores they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")

PIECE = 2**20  # numbers that a thread works on at once, 8 MB as float64


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], most: int | None = None
) -> list[Result]:
    """Apply a function to each item, in at most so many threads; the results are in order.

    It gains where NumPy works: SciPy's wrappers of LAPACK and BLAS do not let others run.
    """
    several = len(items) > 1 and most != 1
    cores = max((pool["num_threads"] for pool in threadpool_info()), default=1) if several else 1
    threads = min(cores, len(items), most or cores)
    if threads < 2:
        return [*map(function, items)]
    with threadpool_limits(cores // threads), ThreadPoolExecutor(threads) as pool:
        return [*pool.map(function, items)]


def pieces(rows: int, width: int) -> list[slice]:
    """Rows in pieces of about `PIECE` numbers."""
    step = max(PIECE // width, 1)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
