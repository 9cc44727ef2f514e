"""Columns of tables: text with commas, and parquet. What would have to be guessed is refused.

In a .csv file commas separate the columns and a point the decimals; blanks around a cell do not
count. The first line names the columns unless it is all numbers; 0, 1, 2 and so on are names, too.
A column holds numbers, truth values (True, False) or words; an empty cell, NA, NaN, null or None is
a missing value.
"""

from __future__ import annotations

import csv
from array import array
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from w2s_utils._validate import Array, plain, resembles_number
from w2s_utils.io.refusal import Refused, choose, refuse_expansion

if TYPE_CHECKING:
    import pandas as pd

_MISSING = frozenset(["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"])
_TRUTH = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

_Rows = Iterator[tuple[int, list[str]]]  # the number of a line and its cells


def read_csv(path: Path, name: str, without: str = "") -> NDArray[Any]:
    """All columns as an (M, columns) matrix of float64; one may hold truth values or words."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = _rows(file)
        line, first = next(rows, (0, []))
        if not first:
            raise ValueError("it is empty")
        if _is_header(first):
            columns = [cell.strip() for cell in first]
        else:
            columns = [str(number) for number in range(len(first))]
            rows = chain([(line, first)], rows)
        if name:
            chosen = columns.index(choose(columns, name))
            columns, rows = [name], ((line, [cells[chosen]]) for line, cells in rows)
        elif without in columns and without:
            left = columns.index(choose(columns, without))
            columns.pop(left)
            rows = ((line, cells[:left] + cells[left + 1 :]) for line, cells in rows)
        elif "" in columns:
            raise Refused(
                f"has no name for column {columns.index('') + 1}: if it holds the numbers of the "
                "rows, as pandas writes them, save it with index=False, or choose a column with "
                "::NAME."
            )
        if len(columns) == 1:
            return _column(rows, columns[0])[:, None]
        return _matrix(rows, columns)


def _rows(file: TextIO) -> _Rows:
    """Lines that are not empty, all of as many cells as the first."""
    reader = csv.reader(file, strict=True)
    width = 0
    for cells in reader:
        if len(cells) == 1 and not width:
            for sign, plural in _SEPARATORS.items():
                if sign in cells[0]:
                    raise Refused(f"must separate its columns by commas, it has {plural}.")
        width = width or len(cells)
        if cells and len(cells) != width:
            raise Refused(
                f"must have as many fields on each line as on its first, {width}, but has "
                f"{len(cells)} on line {reader.line_num}: separate columns by commas, and write "
                "numbers as 1234.5."
            )
        if cells:
            yield reader.line_num, cells


def _is_header(first: list[str]) -> bool:
    values = [_value(cell) for cell in first]
    if None in values or not first[0].strip():
        return True
    if len(values) > 2 and np.all(np.diff(np.array(values, float)) == 1):
        if values[0] == 0:  # as pandas names columns
            return True
        raise Refused(
            f"begins with {first[0]}, {first[1]} and so on, which may be names of columns or "
            "numbers: name the columns by words."
        )
    return False


def _value(cell: str) -> float | None:
    """A number, a truth value, NaN if it is missing, or None for a word."""
    text = cell.strip()
    if text in _MISSING:
        return nan
    if text in _TRUTH:
        return _TRUTH[text]
    try:
        return float(text) if _is_plain(text) else None
    except ValueError:
        return None


def _is_plain(text: str) -> bool:
    """Whether float takes nothing in it for a number that is none elsewhere, such as 1_000."""
    return text.isascii() and "_" not in text


def _matrix(rows: _Rows, columns: list[str]) -> Array:
    values = array("d")
    truths: Counter[int] = Counter()
    for line, cells in rows:
        try:
            if not _is_plain("".join(cells)):
                raise ValueError
            values.extend([float(cell) for cell in cells])
        except ValueError:
            for column, cell in enumerate(cells):
                value = _value(cell)
                if value is None:
                    _refuse_number(cell, columns[column], line)
                    raise Refused(
                        f"holds text in column {columns[column]!r}: choose a column with ::NAME."
                    ) from None
                values.append(value)
                truths[column] += cell.strip() in _TRUTH
    matrix = np.array(values).reshape(-1, len(columns))
    for column, count in truths.items():
        if count:
            _refuse_mixture(columns[column], count, int(np.sum(~np.isnan(matrix[:, column]))))
    return matrix


def _column(rows: _Rows, column: str) -> NDArray[Any]:
    """Numbers, truth values, or words with None for a missing one."""
    numbers = array("d")
    cells = []
    truths = words = 0
    for line, (cell,) in rows:
        value = _value(cell)
        if value is None:
            _refuse_number(cell, column, line)
            words += 1
        text = cell.strip()
        truths += text in _TRUTH
        numbers.append(nan if value is None else value)
        cells.append(None if text in _MISSING else text)
    there = len(cells) - cells.count(None)
    if words:
        _refuse_mixture(column, words + truths, there)
        return np.array(cells, object)
    values = np.array(numbers)
    if truths:
        _refuse_mixture(column, truths, there)
        return values.astype(bool) if there == len(values) else values
    return values


def _refuse_number(cell: str, column: str, line: int) -> None:
    if resembles_number(cell):
        raise Refused(
            f"holds {cell.strip()!r} in column {column!r} on line {line}, which is no number as it "
            "is written here: separate columns by commas, and write numbers as 1234.5 or 1e-5."
        )


def _refuse_mixture(column: str, words: int, there: int) -> None:
    if words != there:
        raise Refused(
            f"mixes numbers and words in column {column!r}, {there - words} and {words}: leave a "
            "missing value empty, and write classes as words."
        )


def read_parquet(path: Path, name: str, without: str = "") -> NDArray[Any]:
    """All columns as an (M, columns) matrix; one may hold truth values, strings or vectors."""
    parquet = _pyarrow("parquet")
    with parquet.ParquetFile(path) as file:
        # Of a damaged file pyarrow ends the process when it is asked about a single column.
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        sizes = [max(g.total_byte_size, 8 * g.num_rows * g.num_columns) for g in groups]
        refuse_expansion(sum(sizes), path.stat().st_size)
        # A repeated string is kept once, as in the file.
        strings = [
            field.name
            for field in file.schema_arrow
            if str(field.type) in ("string", "large_string")
        ]
    with parquet.ParquetFile(path, read_dictionary=strings) as file:
        return _of_arrow(_table(file.iter_batches(), path, file.schema_arrow), name, without)


def read_arrow(path: Path, name: str, without: str = "") -> NDArray[Any]:
    """All columns of a table of Arrow, a file or a stream, as those of parquet."""
    ipc, lib = _pyarrow("ipc"), _pyarrow("lib")
    with lib.memory_map(str(path)) as source:
        try:
            reader = ipc.open_file(source)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        except lib.ArrowInvalid:
            source.seek(0)
            batches = reader = ipc.open_stream(source)
        return _of_arrow(_table(batches, path, reader.schema), name, without)


def _table(batches: Any, path: Path, schema: Any) -> Any:
    """Put batches of rows together while they are not much larger than their file."""
    kept, expanded = [], 0
    for batch in batches:
        batch.validate(full=True)
        expanded += max(batch.nbytes, 8 * batch.num_rows * batch.num_columns)
        refuse_expansion(expanded, path.stat().st_size)
        kept.append(batch)
    return _pyarrow("lib").Table.from_batches(kept, schema)


def _pyarrow(module: str) -> Any:
    try:
        return import_module(f"pyarrow.{module}")
    except ImportError:
        raise Refused(
            "needs the package pyarrow: install w2s-utils[tables], or save the array as .npy."
        ) from None


def _of_arrow(table: Any, name: str, without: str) -> NDArray[Any]:
    """Columns of a table of Arrow, or one whose cells are vectors of one length."""
    if without and not name and without in table.column_names:
        choose(table.column_names, without)
        table = table.drop_columns(without)
    vectors = [field.name for field in table.schema if "list<" in str(field.type)]
    if name in vectors or (vectors and table.num_columns == 1):
        return _vectors(table[choose(table.column_names, name)].combine_chunks(), name)
    if vectors and not name:
        raise Refused(f"holds vectors in column {vectors[0]!r}: choose a column with ::NAME.")
    return columns_of(table.select([name]).to_pandas() if name in table.column_names
                      else table.to_pandas(), name)  # fmt: skip


def _vectors(column: Any, name: str) -> NDArray[Any]:
    if column.null_count or column.flatten().null_count:
        raise Refused(f"lacks values in column {name!r}: each row needs a whole vector.")
    lengths = set(_pyarrow("compute").list_value_length(column).unique().to_pylist())
    if len(lengths) != 1 or lengths == {0}:
        raise Refused(
            f"holds vectors of {min(lengths, default=0)} to {max(lengths, default=0)} numbers in "
            f"column {name!r}: all rows need the same features."
        )
    flat = column.flatten().to_numpy(zero_copy_only=False)
    if flat.dtype.kind not in "biuf":
        raise Refused(f"holds no vectors of numbers in column {name!r}.")
    return np.asarray(flat.reshape(-1, lengths.pop()))


def columns_of(table: pd.DataFrame, name: str) -> NDArray[Any]:
    """All columns of a table of pandas as a matrix, or the named one."""
    names = [str(column) for column in table.columns]
    if name:
        table = table.iloc[:, [names.index(choose(names, name))]]
        names = [name]
    if not names:
        raise Refused("holds no columns.")
    columns = [
        _values(series, name) for name, (_, series) in zip(names, table.items(), strict=True)
    ]
    text = [name for name, column in zip(names, columns, strict=True) if column.dtype == object]
    if text and len(names) > 1:
        raise Refused(f"holds text in column {text[0]!r}: choose a column with ::NAME.")
    return np.column_stack(columns)


def _values(series: pd.Series[Any], name: str) -> NDArray[Any]:
    import pandas as pd

    if series.dtype.kind in "biuf":
        if isinstance(series.dtype, np.dtype):
            return series.to_numpy()
        return series.to_numpy(np.float64, na_value=nan)
    if isinstance(series.dtype, pd.CategoricalDtype):
        categories = np.array([*series.cat.categories, None], object)
        objects = categories[series.cat.codes]
    else:
        objects = series.to_numpy(object)
    try:
        return plain(objects, f"column {name!r}")
    except ValueError as error:
        raise Refused(f"cannot be used: {error}") from None
