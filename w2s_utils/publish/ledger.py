"""The ledger's rows as executed notebooks carry them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_utils.checks import Check
from w2s_utils.claims import LEDGER_KEY, Finding, NotTested, Row


@dataclass(frozen=True)
class Entry:
    """A row of the ledger, and where it was made.

    Attributes
    ----------
    chapter : str
        Name of the notebook.
    cell : str
        Id of the cell.
    row : Finding, NotTested or Check
    """

    chapter: str
    cell: str
    row: Row


def entries(executed: Path) -> list[Entry]:
    """Read the ledger of an executed notebook.

    Parameters
    ----------
    executed : Path
        An executed notebook; without a ledger it has no entries.

    Returns
    -------
    list of Entry
        In the notebook's order.
    """
    return [
        Entry(executed.stem, cell["id"], _from_plain(fields))
        for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
        for fields in output.get("metadata", {}).get(LEDGER_KEY, [])
    ]


def _from_plain(fields: dict[str, Any]) -> Row:
    kind = Check if "limit" in fields else Finding if "value" in fields else NotTested
    return kind(**{field: value for field, value in fields.items() if field != "verdict"})
