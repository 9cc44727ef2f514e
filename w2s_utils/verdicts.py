"""The recorded verdicts: a build whose findings differ from them fails, unless told to record."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import ndiff
from pathlib import Path

import yaml

from w2s_utils._files import write_atomically
from w2s_utils.claims import entries, verdict
from w2s_utils.errors import UserError
from w2s_utils.publish import read_yaml

HEADER = "# Verdicts of this profile. `w2s book --record-verdicts` writes this file.\n"


def found(executed: Iterable[Path]) -> dict[str, list[str]]:
    """Give the verdicts of executed notebooks, in words.

    Parameters
    ----------
    executed : iterable of Path

    Returns
    -------
    dict of str to list of str
        A line for each finding, by chapter; chapters without findings are left out.
    """
    lines = {
        notebook.stem: [
            f"claim {entry.finding.claim}, {entry.finding.data} data, {verdict(entry.finding)}: "
            f"{entry.finding.statement}"
            for entry in entries(notebook)
        ]
        for notebook in executed
    }
    return {chapter: verdicts for chapter, verdicts in lines.items() if verdicts}


def write(record: Path, verdicts: dict[str, list[str]]) -> None:
    """Write the record."""
    record.parent.mkdir(exist_ok=True)
    content = yaml.safe_dump(verdicts, allow_unicode=True, sort_keys=False, width=1000)
    write_atomically(record, HEADER + content)


def differences(record: Path, verdicts: dict[str, list[str]]) -> str:
    """Compare verdicts with the recorded ones.

    Parameters
    ----------
    record : Path
        A file that `write` has written; one that is absent records nothing.
    verdicts : dict of str to list of str
        As `found` gives them.

    Returns
    -------
    str
        Lines that were recorded begin with ``-``, those that are new with ``+``. Empty if both
        agree.

    Raises
    ------
    UserError
        If the record is damaged.
    """
    recorded = (read_yaml(record) if record.exists() else None) or {}
    if not isinstance(recorded, dict) or not all(isinstance(v, list) for v in recorded.values()):
        raise UserError(f"{record.name} must map chapters to lists of verdicts.")
    before, after = (
        [f"{chapter}: {line}" for chapter, lines in side.items() for line in lines]
        for side in (recorded, verdicts)
    )
    return "\n".join(line for line in ndiff(before, after) if line[0] in "+-")
