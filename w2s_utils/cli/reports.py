"""Reports of the commands on features: printed, and in the folder that is asked for."""

from pathlib import Path
from typing import Protocol

import typer

from w2s_utils._files import write_atomically
from w2s_utils.cli.requests import check_targets


class Shown(Protocol):
    """A report of any kind."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def json(self) -> str: ...  # noqa: D102
    @property
    def html(self) -> str: ...  # noqa: D102


def check_folder(out: Path | None, json_file: str) -> None:
    """Make the folder of a report before hours are spent."""
    if out is not None:
        if not out.is_dir():
            check_targets(out)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ValueError(
                f"The folder {out} cannot be made ({reason}): give --out another name."
            ) from error
        check_targets(out / json_file, out / "report.html")


def show(report: Shown, out: Path | None, json_file: str) -> None:
    """Print a report, and write its two files."""
    typer.echo(report.text)
    if out is not None:
        for file, content in ((json_file, report.json), ("report.html", report.html)):
            write_atomically(out / file, content)
            typer.echo(f"Written: {out / file}")
