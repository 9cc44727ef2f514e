"""Labels as the columns that least squares is fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array, numpy_array, plain, real_array

FEW = 20  # different whole numbers, which may be classes


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of M inputs, made into columns a few rows at a time.

    Attributes
    ----------
    values : (M,) or (M, columns) ndarray
        Real labels, or for classes the position of each label in `classes`.
    classes : tuple or None
        The classes in rising order; None for real labels.
    origin : (columns,) ndarray or 0
        What is taken off the columns.
    """

    values: NDArray[Any]
    classes: tuple[Any, ...] | None
    origin: Array | float = 0.0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def columns(self) -> int:
        """Number of label columns; risks are summed over them."""
        if self.classes is None:
            return int(self.values.shape[1])
        return 1 if len(self.classes) == 2 else len(self.classes)

    def rows(self, rows: slice | NDArray[np.intp]) -> Array:
        """Label columns of some rows, (k, columns)."""
        some = self.values[rows]
        if self.classes is None:
            columns = np.asarray(some, np.float64)
        elif len(self.classes) == 2:
            columns = 2.0 * some[:, None] - 1
        else:
            columns = np.asarray(some[:, None] == np.arange(len(self.classes)), np.float64)
        return np.asarray(columns - self.origin)

    @property
    def whole_numbers(self) -> int:
        """How many different ones real labels are, if at most `FEW`; else 0."""
        if self.classes is not None or self.columns > 1 or np.any(self.values % 1):
            return 0
        count = len(np.unique(self.values))
        return count if count <= FEW else 0

    def centred(self) -> Labels:
        """Labels whose columns have mean zero."""
        return replace(self, origin=self.origin + self.rows(slice(None)).mean(axis=0))

    def encode(self, more: ArrayLike) -> Array:
        """Further labels of the same kind, (M, r), as (M, r, columns); NaN where one is missing."""
        values = as_array(more, "replicates")
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or len(values) != len(self):
            raise ValueError(
                f"replicates must be an (M, r) array with the labels' M = {len(self)} rows, "
                f"got shape {values.shape}."
            )
        if self.classes is None and self.columns > 1:
            raise ValueError("replicates need labels that are one column or classes.")
        missing = pd.isna(values)
        if missing.all():
            raise ValueError("replicates hold no label: every value is missing.")
        if self.classes is None:
            if values.dtype == object:
                raise ValueError("replicates must hold real numbers as the labels do, got strings.")
            columns = real_array(np.where(missing, 0, values), "replicates", 2)[..., None]
        else:
            place = {name: position for position, name in enumerate(self.classes)}
            codes = np.zeros(values.shape, np.intp)
            known = values[~missing].tolist()
            strange = next((name for name in known if name not in place), None)
            if strange is not None:
                raise ValueError(f"replicates hold {strange!r}, which is none of the classes.")
            codes[~missing] = [place[name] for name in known]
            columns = Labels(codes.ravel(), self.classes).rows(slice(None))
            columns = columns.reshape(*codes.shape, -1)
        return np.where(missing[..., None], np.nan, columns)


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """Numbers, truth values, or strings as objects with None for missing ones (`plain`)."""
    array = numpy_array(values) if hasattr(values, "__array__") else np.asarray(values, object)
    if array.dtype.kind in "UT":
        return array.astype(object)
    return plain(array, name) if array.dtype == object else array


def read_labels(labels: ArrayLike, classes: bool | None) -> Labels:
    """Tell classes from real labels; see `diagnose`.

    Raises
    ------
    ValueError
        If the labels are no vector or matrix, not finite, or all the same.
    """
    values = as_array(labels, "labels")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or 0 in values.shape:
        raise ValueError(f"labels must be a vector or a matrix, got shape {values.shape}.")
    lacking = int(pd.isna(values).sum()) if values.dtype == object else 0
    if lacking:
        raise ValueError(f"labels must not lack a value, got {lacking} without.")
    in_words = values.dtype.kind in "Ob"
    if not in_words:
        values = real_array(values, "labels", (1, 2))
    if values.ndim == 2:
        if in_words or classes:
            raise ValueError(f"Classes must come as a vector, got shape {values.shape}.")
        if np.all(values == values[0]):
            raise ValueError("labels must differ between rows, but all rows are the same.")
        return Labels(values, None)
    distinct, codes = np.unique(values, return_inverse=True)
    if len(distinct) == 1:
        raise ValueError(f"labels must take more than one value, got {distinct.item()!r} only.")
    if classes is None:
        classes = in_words or len(distinct) == 2
    if not classes:
        return Labels(real_array(values, "labels", 1)[:, None], None)
    if len(distinct) > max(2, len(values) // 2):
        raise ValueError(
            f"labels hold {len(distinct)} classes in {len(values)} rows: pass classes=False if "
            "they are numbers."
        )
    return Labels(codes, tuple(map(named, distinct.tolist())))


def named(value: Any) -> Any:
    """A class as people write it: 3, not 3.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
