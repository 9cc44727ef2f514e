"""Rows of several files that belong together by an id, whatever their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import printable
from w2s_utils.io.files import TABLES, open_features, read_labels, read_replicates
from w2s_utils.io.shards import Picked

ROWS = "rows.csv"


class Joined:
    """Reads files of the same inputs; rows that have an id, in the order of the first file.

    Ids are a column of each table. To an array, or to the arrays of a folder, belong those in the
    table rows.csv of its folder.

    Parameters
    ----------
    column : str or None
        Name of the column with the ids; None if row i of every file is the same input.
    """

    def __init__(self, column: str | None) -> None:
        self.column = column
        self.first, self.order = "", np.empty(0, object)

    def features(self, file: str) -> Any:
        """Open a matrix of features; raise ValueError as `open_features`, or of ids."""
        if self.column is None:
            return open_features(file)
        return Picked(open_features(file, without=self.column), self._places(file))

    def labels(self, file: str) -> NDArray[Any]:
        """Read a vector of labels; raise ValueError as `read_labels`, or of ids."""
        return self._in_order(read_labels(file, names=True), file)

    def replicates(self, file: str) -> NDArray[Any]:
        """Read further labels; raise ValueError as `read_replicates`, or of ids."""
        return self._in_order(read_replicates(file), file)

    def _in_order(self, values: NDArray[Any], file: str) -> NDArray[Any]:
        return values if self.column is None else np.asarray(values[self._places(file)])

    def _places(self, file: str) -> NDArray[np.intp]:
        """Where in a file each row of the order stands."""
        ids, shown = self._ids(file), printable(file)
        place = {name: row for row, name in enumerate(ids.tolist())}
        if len(place) < len(ids):
            raise ValueError(
                f"{shown} has {len(ids) - len(place)} rows whose {self.column} another row has, "
                "too: each row needs an id of its own."
            )
        if not self.first:
            self.first, self.order = shown, ids
        missing = [name for name in self.order.tolist() if name not in place]
        if missing:
            raise ValueError(
                f"{shown} lacks {len(missing)} of the {len(self.order)} ids of {self.first}, "
                f"{printable(str(missing[0]))} for one: leave these rows out there."
            )
        return np.array([place[name] for name in self.order.tolist()], np.intp)

    def _ids(self, file: str) -> NDArray[Any]:
        path = Path(file.partition("::")[0])
        if path.suffix.lower() not in TABLES:
            path = (path if path.is_dir() else path.parent) / ROWS
            if not path.exists():
                raise ValueError(
                    f"{printable(file)} has no columns: write the ids of its rows to {ROWS} in its "
                    "folder, as w2s features does."
                )
        return read_labels(f"{path}::{self.column}", names=True)
