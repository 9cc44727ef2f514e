"""The recorded verdicts: a build whose verdicts differ from them fails, unless told to record."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import ndiff
from pathlib import Path

import yaml

from w2s_utils._files import write_atomically
from w2s_utils.claims import name, verdict
from w2s_utils.errors import UserError
from w2s_utils.publish.execution import BuildError
from w2s_utils.publish.ledger import entries
from w2s_utils.publish.yaml import read_yaml

HEADER = "# Verdicts of this profile. `w2s book --record-verdicts` writes this file.\n"

Verdicts = dict[str, dict[str, str]]
"""Chapter -> name of a row of its ledger -> verdict."""


def found(executed: Iterable[Path]) -> Verdicts:
    """Collect the verdicts of executed notebooks.

    Parameters
    ----------
    executed : iterable of Path

    Returns
    -------
    dict
        Of each chapter that has a ledger.
    """
    by_chapter = {
        notebook.stem: {name(entry.row): verdict(entry.row) for entry in entries(notebook)}
        for notebook in executed
    }
    return {chapter: verdicts for chapter, verdicts in by_chapter.items() if verdicts}


def recorded(record: Path) -> Verdicts:
    """Read a file of verdicts; one that is absent records nothing.

    Parameters
    ----------
    record : Path

    Returns
    -------
    dict

    Raises
    ------
    UserError
        If the record is damaged.
    """
    verdicts = (read_yaml(record) if record.exists() else None) or {}
    if not isinstance(verdicts, dict) or not all(isinstance(v, dict) for v in verdicts.values()):
        raise UserError(f"{record.name} must map chapters to mappings of rows to verdicts.")
    return verdicts


def check(record: Path, executed: Iterable[Path], accept: bool) -> None:
    """Compare the verdicts of executed notebooks with the recorded ones, or record them.

    Parameters
    ----------
    record : Path
        File of the profile's verdicts.
    executed : iterable of Path
    accept : bool
        Record the verdicts as they are.

    Raises
    ------
    UserError
        If the record is damaged.
    BuildError
        If a check of the book's own formulas fails, or a verdict is not the recorded one.
    """
    now = found(executed)
    if failed := [line for line in _lines(now) if line.endswith(": fails")]:
        raise BuildError("These checks of the book's own formulas fail:\n" + "\n".join(failed))
    if accept:
        record.parent.mkdir(exist_ok=True)
        content = yaml.safe_dump(now, allow_unicode=True, sort_keys=False, width=1000)
        write_atomically(record, HEADER + content)
        return
    before, after = _lines(recorded(record)), _lines(now)
    if changed := "\n".join(line for line in ndiff(before, after) if line[0] in "+-"):
        raise BuildError(
            f"These verdicts are not the recorded ones of notebooks/verdicts/{record.name}:\n"
            f"{changed}\nIf that is meant, record them: w2s book --profile {record.stem} "
            "--record-verdicts"
        )


def flips(record: Path, executed: Iterable[Path]) -> list[str]:
    """Name the rows whose verdict in executed notebooks is not the recorded one.

    Parameters
    ----------
    record : Path
        File of the profile's verdicts.
    executed : iterable of Path

    Returns
    -------
    list of str
        A line each. Rows that are recorded as unresolved are left out: they may come out either
        way.

    Raises
    ------
    UserError
        If the record is damaged.
    """
    now, before = found(executed), recorded(record)
    return [
        f"{chapter}: {row}: {was} on record, {now.get(chapter, {}).get(row, 'absent')} now"
        for chapter, rows in before.items()
        for row, was in rows.items()
        if was not in ("unresolved", now.get(chapter, {}).get(row))
    ]


def _lines(verdicts: Verdicts) -> list[str]:
    return [
        f"{chapter}: {row}: {said}"
        for chapter, rows in verdicts.items()
        for row, said in rows.items()
    ]
