"""Parts of arrays in threads, as many as BLAS uses, whose cores they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import scipy.linalg  # noqa: F401  has a library of its own
from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

PIECE = 2**20  # numbers that a thread works on at once, 8 MB as float64


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], most: int | None = None
) -> list[Result]:
    """Apply a function to each item, in at most so many threads; the results are in order.

    It gains where NumPy works: SciPy's wrappers of LAPACK and BLAS do not let others run.
    """
    threads = min(len(items), most or len(items))
    if threads > 1:
        threads = min(threads, cores())
    if threads < 2:
        return [*map(function, items)]
    limits = _blas().limit(limits=cores() // threads)
    with limits, ThreadPoolExecutor(threads) as pool:
        return [*pool.map(function, items)]


def cores() -> int:
    """Threads that BLAS uses at the moment."""
    return max((library["num_threads"] for library in _blas().info()), default=1)


@cache
def _blas() -> ThreadpoolController:
    """The libraries of NumPy and SciPy, which take a while to be found."""
    return ThreadpoolController()


def pieces(rows: int, width: int) -> list[slice]:
    """Rows in pieces of about `PIECE` numbers."""
    step = max(PIECE // width, 1)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
