"""Texts in a column of a table: what stands there, and nothing made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from w2s_utils._files import printable, require_file

KINDS = (".csv", ".jsonl", ".parquet")


def read_texts(file: Path, column: str, ids: str | None = None) -> tuple[list[str], list[str]]:
    """Read the texts of a table with the ids of its rows.

    Parameters
    ----------
    file : Path
        A .csv file with a header, a .jsonl file with an object a line, or a .parquet file.
    column : str
        Name of the column with the texts.
    ids : str, optional
        Name of the column with the ids; the numbers of the rows from 0 without it.

    Returns
    -------
    texts, ids : list of str

    Raises
    ------
    ValueError
        If there is no such file or column, it is damaged, or a text is missing or no text.
    """
    shown = printable(str(file))
    require_file(file)
    if file.suffix.lower() not in KINDS:
        raise ValueError(f"{shown} must end in {', '.join(KINDS)}.")
    wanted = [column] if ids is None else [column, ids]
    try:
        table = _read(file)
    except Exception as error:  # whatever a parser stumbles over in a damaged file
        reason = printable(str(error).partition("\n")[0][:200])
        raise ValueError(f"{shown} cannot be read as {file.suffix} ({reason}).") from error
    for name in wanted:
        if list(table.columns).count(name) != 1:
            held = printable(", ".join(map(str, table.columns)))
            raise ValueError(f"{shown} must have one column {printable(name)}; it has {held}.")
    values = table[column].tolist()
    strange = next((i for i, text in enumerate(values) if not isinstance(text, str)), None)
    if strange is not None or not values:
        what = "no rows" if strange is None else f"no text in row {strange + 1}"
        raise ValueError(f"{shown} has {what} of column {printable(column)}.")
    names = range(len(values)) if ids is None else table[ids]
    return values, [str(name) for name in names]


def _read(file: Path) -> pd.DataFrame:
    match file.suffix.lower():
        case ".csv":
            return pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        case ".jsonl":
            with file.open(encoding="utf-8") as lines:
                return pd.DataFrame([json.loads(line) for line in lines if line.strip()])
        case _:
            return pd.read_parquet(file)
