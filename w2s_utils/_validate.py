"""Checks of user input: one sentence that says what was expected and what came."""

from __future__ import annotations

import operator
import re
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LARGEST = 1e150  # sums of squares overflow beyond it, and squares below its inverse lose digits
LARGEST_SQUARE = 1e305


def numpy_array(values: Any) -> NDArray[Any]:
    """Return `values` as an array, also a tensor of torch on any device and with a gradient."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point():  # NumPy lacks some of torch's types, bfloat16 for one
            values = values.double()
    return np.asarray(values)


def real_array(
    values: ArrayLike,
    name: str,
    ndim: int | tuple[int, ...],
    largest: float = LARGEST,
    dtype: type[np.floating] = np.float64,
) -> Array:
    """Return `values` as a finite array of this precision with `ndim` dimensions.

    Raises
    ------
    ValueError
        If there are no values, they are not real numbers, have another number of dimensions, are
        not finite, or the one of largest size is neither zero nor from 1/largest to `largest`.
    """
    array = numpy_array(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}.")
    array = array.astype(dtype, copy=False)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed:
        expected = " or ".join(str(k) for k in allowed)
        raise ValueError(f"{name} must have {expected} dimension(s), got shape {array.shape}.")
    if not array.size:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}.")
    size = max(-float(array.min()), float(array.max()))  # NaN if a value is
    if not np.isfinite(size):
        bad = array.size - int(np.isfinite(array).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite value(s).")
    if size != 0 and not 1 / largest <= size <= largest:
        raise ValueError(
            f"{name} must have its largest value between {1 / largest:.0e} and {largest:.0e} in "
            f"size, got {size:.0e}: choose other units."
        )
    return array


def plain(objects: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array of Python objects as one of numbers, truth values or strings.

    Parameters
    ----------
    objects : ndarray of object
        All numbers, all truth values or all strings; None or NaN where a value is missing.
    name : str
        What they are, for the error.

    Returns
    -------
    ndarray of float64, of bool, or of object
        NaN where a number or truth value is missing. Strings stay objects, with None where one is
        missing: in an array of strings each takes the room of the longest.

    Raises
    ------
    ValueError
        If the objects are of several or of other kinds.
    """
    import pandas as pd  # here, as the command line starts faster without it

    values: NDArray[Any]
    flat = objects.ravel()
    missing = pd.isna(flat)
    there = flat[~missing]
    types = {type(value) for value in there}
    truths = bool(types) and types <= {bool, np.bool_}
    if types and all(issubclass(kind, str) for kind in types):
        values = flat.copy()
        values[missing] = None
    elif truths or all(issubclass(kind, Real | Decimal) for kind in types):
        values = np.full(len(flat), np.nan)
        values[~missing] = there.astype(np.float64)
        if truths and len(there) == len(flat):
            values = values.astype(bool)
    else:
        kinds = " and ".join(sorted({kind.__name__ for kind in types}))
        raise ValueError(f"{name} must hold numbers only or strings only, got {kinds}.")
    return values.reshape(objects.shape)


_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\W*\d(?:[\d\W_]|[eE](?=[-+]?\d)|[jJ]$)*")


def resembles_number(text: str) -> bool:
    """Whether a text is digits and signs: a number, a date, a share, or a few of these.

    Examples
    --------
    >>> [resembles_number(text) for text in ("1,5", "2.5", "12 %", "2020-01-31", "0x1F", "1+2j")]
    [True, True, True, True, True, True]
    >>> [resembles_number(text) for text in ("cat", "3rd", "E10", "<=50K", "+", "")]
    [False, False, False, False, False, False]
    """
    return bool(_NUMBER.fullmatch(text.strip()))


def squares(values: ArrayLike, name: str, ndim: int | tuple[int, ...]) -> Array:
    """Return `values` as `real_array` does, but of the size of the squares of its values."""
    return real_array(values, name, ndim, LARGEST_SQUARE)


def same_rows(**arrays: Array) -> int:
    """Return the common number of rows of the named arrays; raise ValueError if they differ."""
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) != 1:
        came = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise ValueError(f"All inputs need the same number of rows: {came}.")
    return next(iter(rows.values()))


def sample_size(values: ArrayLike, name: str, more_than: int, why: str) -> Array:
    """Return sample sizes as floats; each must be an integer above `more_than`.

    Raises
    ------
    ValueError
        If a size is no integer or is not above the limit; `why` names the limit.
    """
    sizes = real_array(values, name, tuple(range(8)))
    if np.any(sizes != np.round(sizes)):
        raise ValueError(f"{name} must hold whole numbers of samples, got {values!r}.")
    if np.any(sizes <= more_than):
        bound = f"{why} = {more_than}" if more_than else why
        raise ValueError(f"{name} must exceed {bound}, got {int(sizes.min())}.")
    return sizes


def count(value: ArrayLike, name: str, more_than: int = 0, why: str = "zero") -> int:
    """Return one number as `sample_size` does, but as an int."""
    sizes = sample_size(value, name, more_than, why)
    if sizes.ndim:
        raise ValueError(f"{name} must be one whole number, got {value!r}.")
    return int(np.asarray(value))


def seeded(seed: int | np.random.SeedSequence) -> np.random.SeedSequence:
    """Return the seed sequence of a number; raise ValueError if it is no whole number >= 0."""
    if isinstance(seed, np.random.SeedSequence):
        return seed
    try:
        return np.random.SeedSequence(operator.index(seed))
    except (TypeError, ValueError):
        raise ValueError(f"seed must be a whole number >= 0, got {seed!r}.") from None


def variances(values: ArrayLike, name: str, directions: int | None = None) -> Array:
    """Return a feature spectrum as floats above zero, one for each direction of a basis.

    Raises
    ------
    ValueError
        If a variance is not above zero, or there are more or fewer than `directions`.
    """
    spectrum = squares(values, name, 1)
    if directions is not None and len(spectrum) != directions:
        raise ValueError(
            f"{name} must hold one variance for each of the {directions} directions of the basis, "
            f"got {len(spectrum)}."
        )
    if not np.all(spectrum > 0):
        raise ValueError(
            f"{name} must hold variances above zero, got {spectrum.min():.3g}; leave directions "
            "without variance out of the basis."
        )
    return spectrum


def ridges(values: ArrayLike, name: str) -> Array:
    """Return ridge penalties as floats; raise ValueError if one is negative or not finite."""
    penalties = squares(values, name, tuple(range(8)))
    if np.any(penalties < 0):
        raise ValueError(f"{name} must be >= 0, got {penalties.min():.3g}.")
    return penalties
