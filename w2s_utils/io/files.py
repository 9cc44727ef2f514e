"""Features and labels from files of your own, without running any code that is in them.

A file of NumPy or of torch can hold pickled objects, and to unpickle an object is to run what its
author wrote. So nothing here unpickles one: arrays of numbers are read, all else is refused.

A file is named by its path. One of several arrays in it is named behind two colons, as in
``features.npz::student``, and so is a column of a table (`w2s_utils.io.tables`), as in
``people.csv::age``. A folder, a pattern such as ``weak-*.npy``, or an index file of safetensors
stands for the files that it names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import printable, require_file
from w2s_utils._validate import Array, real_array, resembles_number
from w2s_utils.io.arrays import map_npy, read_npy, read_npz
from w2s_utils.io.refusal import Refused
from w2s_utils.io.safetensors import map_indexed, map_safetensors
from w2s_utils.io.shards import Shards, parts_of
from w2s_utils.io.tables import read_arrow, read_csv, read_parquet
from w2s_utils.io.tensors import read_pt


def read_features(file: str | Path) -> Array:
    """Read a matrix of features.

    Parameters
    ----------
    file : str or Path
        A file ending in .npy, .npz, .safetensors, .pt, .pth, .csv, .parquet, .arrow or .feather,
        with ``::NAME`` behind it for one of several; or several files whose rows follow each other.

    Returns
    -------
    (M, width) float64 array
        One row a sample.

    Raises
    ------
    ValueError
        If there is no such file or array, it is damaged, or it holds anything but a finite matrix
        of real numbers.
    """
    return _numbers(_read(file), file, 2)


def open_features(file: str | Path, without: str = "") -> Any:
    """Open a matrix of features that may be larger than memory.

    Parameters
    ----------
    file : str or Path
        As in `read_features`. Files of .npy and .safetensors are mapped; others are read whole.
    without : str
        Column of a table that holds no feature.

    Returns
    -------
    (M, width) array, or what gives the rows that are asked for
        Of the file's own type. Its values are not read, and so not checked.

    Raises
    ------
    ValueError
        If there is no such file or array, it is damaged, or it holds anything but a matrix of real
        numbers.
    """
    array = _read(file, mapped=True, without=without)
    if array.dtype.kind not in "biuf" or array.ndim != 2:
        kind = "text" if array.dtype == object else f"dtype {array.dtype}"
        raise ValueError(
            f"{_shown(file)} must hold a matrix of real numbers, got shape {array.shape} and "
            f"{kind}."
        )
    return array


def read_labels(file: str | Path, names: bool = False) -> NDArray[Any]:
    """Read a vector of labels.

    Parameters
    ----------
    file : str or Path
        As in `read_features`.
    names : bool
        Accept strings, too, as names of classes.

    Returns
    -------
    (M,) float64 array, or object array of str
        One label a sample; a matrix of one column counts as a vector.

    Raises
    ------
    ValueError
        As in `read_features`, for anything but a finite vector of real numbers, or of strings if
        these are accepted and are no numbers written in an unknown way.
    """
    array = _read(file)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if not names or array.ndim != 1 or array.dtype.kind not in "UO":
        return _numbers(array, file, 1)
    classes = _classes(array, file)
    lacking = sum(name is None for name in classes)
    if lacking:
        raise ValueError(f"{_shown(file)} lacks {lacking} of its {len(classes)} labels.")
    return classes


def read_replicates(file: str | Path) -> NDArray[Any]:
    """Read further labels of the same inputs.

    Parameters
    ----------
    file : str or Path
        As in `read_features`.

    Returns
    -------
    (M,) or (M, r) array
        Of the file's own type, strings as objects; NaN or None where a label is missing.

    Raises
    ------
    ValueError
        If there is no such file or array, it is damaged, or it holds anything but a vector or a
        matrix of real numbers, or of strings.
    """
    array = _read(file)
    if array.dtype.kind not in "biufUO" or array.ndim not in (1, 2):
        raise ValueError(
            f"{_shown(file)} must hold a vector or a matrix of labels, got shape {array.shape} and "
            f"dtype {array.dtype}."
        )
    return _classes(array, file) if array.dtype.kind in "UO" else array


def _numbers(array: NDArray[Any], file: str | Path, ndim: int) -> Array:
    if array.dtype == object:
        raise ValueError(f"{_shown(file)} must hold real numbers, got text.")
    return real_array(array, _shown(file), ndim)


def _classes(array: NDArray[Any], file: str | Path) -> NDArray[Any]:
    """Names of classes as objects, after a check that none is a number in other clothes."""
    names = array.astype(object)
    for name in {name for name in names.ravel() if name is not None}:
        if resembles_number(name) and not name.lstrip("+-").isdecimal():
            raise ValueError(
                f"{_shown(file)} holds {name!r} as text, which is no name of a class: save numbers "
                "as numbers, and name classes by words or whole numbers."
            )
    return names


def _shown(file: str | Path) -> str:
    return printable(str(file))


def _read(file: str | Path, mapped: bool = False, without: str = "") -> Any:
    place, _, name = str(file).partition("::")
    parts = parts_of(Path(place), [*_READERS])
    read = [_read_one(part, name, mapped, without) for part in parts]
    if len(read) == 1:
        return read[0]
    if len({(values.shape[1:], values.dtype == object) for values in read}) > 1:
        came = ", ".join(sorted({f"{values.shape} {values.dtype}" for values in read}))
        raise ValueError(f"The files of {_shown(file)} must be alike, got {printable(came)}.")
    return Shards(read) if read[0].ndim == 2 else np.concatenate(read)


def _read_one(path: Path, name: str, mapped: bool, without: str) -> Any:
    require_file(path)
    kind = path.suffix.lower()
    reader = _READERS.get(kind)
    if reader is None:
        raise ValueError(
            f"{_shown(path)} must end in {', '.join(_READERS)}: save the array as one of them."
        )
    try:
        if kind == ".npy" and mapped:
            return map_npy(path, name)
        return reader(path, name, without) if kind in TABLES else reader(path, name)
    except Refused as refused:
        raise ValueError(printable(f"{path} {refused}")) from None
    except Exception as error:  # whatever a parser stumbles over in a damaged file
        reason = shorten(str(error), 200) or type(error).__name__
        raise ValueError(
            printable(
                f"{path} cannot be read as {path.suffix}: it is damaged or of another kind "
                f"({reason})."
            )
        ) from error


_READERS: dict[str, Callable[..., Any]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".safetensors": map_safetensors,
    ".pt": read_pt,
    ".pth": read_pt,
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".json": map_indexed,
}
TABLES = (".csv", ".parquet", ".arrow", ".feather")
