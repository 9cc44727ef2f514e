"""The recorded verdicts: a build whose findings differ from them fails, unless told to record."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import ndiff
from pathlib import Path

import yaml

from w2s_utils._files import write_atomically
from w2s_utils.claims import entries, verdict
from w2s_utils.errors import UserError
from w2s_utils.publish.execution import BuildError
from w2s_utils.publish.yaml import read_yaml

HEADER = "# Verdicts of this profile. `w2s book --record-verdicts` writes this file.\n"


def check(record: Path, executed: Iterable[Path], accept: bool) -> None:
    """Compare the verdicts of executed notebooks with the recorded ones, or record them.

    Parameters
    ----------
    record : Path
        File of the profile's verdicts; one that is absent records nothing.
    executed : iterable of Path
    accept : bool
        Record the verdicts as they are.

    Raises
    ------
    UserError
        If the record is damaged.
    BuildError
        If a verdict is not the recorded one.
    """
    lines = {
        notebook.stem: [
            f"claim {entry.finding.claim}, {entry.finding.data} data, {verdict(entry.finding)}: "
            f"{entry.finding.statement}"
            for entry in entries(notebook)
        ]
        for notebook in executed
    }
    found = {chapter: verdicts for chapter, verdicts in lines.items() if verdicts}
    if accept:
        record.parent.mkdir(exist_ok=True)
        content = yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=1000)
        write_atomically(record, HEADER + content)
    elif changed := _differences(record, found):
        raise BuildError(
            f"These verdicts are not the recorded ones of notebooks/verdicts/{record.name}:\n"
            f"{changed}\nIf that is meant, record them: w2s book --profile {record.stem} "
            "--record-verdicts"
        )


def _differences(record: Path, found: dict[str, list[str]]) -> str:
    """Lines that were recorded, after ``-``, and those that are new, after ``+``."""
    recorded = (read_yaml(record) if record.exists() else None) or {}
    if not isinstance(recorded, dict) or not all(isinstance(v, list) for v in recorded.values()):
        raise UserError(f"{record.name} must map chapters to lists of verdicts.")
    before, after = (
        [f"{chapter}: {line}" for chapter, lines in side.items() for line in lines]
        for side in (recorded, found)
    )
    return "\n".join(line for line in ndiff(before, after) if line[0] in "+-")
