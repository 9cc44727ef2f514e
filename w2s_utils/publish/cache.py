"""The executed notebooks that are kept: what each depends on, and whether it is still so."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_utils._files import digest, packages, read_json, write_atomically
from w2s_utils.publish.execution import execute
from w2s_utils.publish.notebook import cells

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Task:
    """A notebook to execute, and everything that its outputs depend on."""

    notebook: Path
    parameters: Mapping[str, Any]
    output: Path
    environment: str

    @property
    def name(self) -> str:
        """The notebook's name, as in profiles and on the command line."""
        return self.notebook.stem

    @property
    def stamp(self) -> Path:
        """The file that vouches for the output; written after it."""
        return self.output.with_suffix(".json")

    def key(self) -> str:
        """Hash of the cells and tags, the parameters, the environment, the modules beside it."""
        parts = [(c["cell_type"], c["source"], c["metadata"]) for c in cells(self.notebook)]
        # A kernel finds modules and matplotlib's settings in the folder that it runs in.
        beside = files_in(self.notebook.parent, "*.py", "matplotlibrc")
        return digest(parts, self.parameters, self.environment, beside)

    def is_done(self) -> bool:
        """Whether the output is there, whole and unaltered, and made from the present sources."""
        stamp = self._read_stamp()
        try:
            return stamp == stamp | {"key": self.key(), "sha256": self._sha256()}
        except OSError:
            return False

    @property
    def seconds(self) -> float:
        """How long the execution took that made the output."""
        return float(self._read_stamp()["seconds"])

    def _read_stamp(self) -> dict[str, Any]:
        return read_json(self.stamp, key=str, sha256=str, seconds=float) or {}

    def run(self) -> float:
        """Execute the notebook and vouch for the output; return the seconds taken."""
        key = self.key()  # before the run: an edit during it must not go unnoticed
        seconds = execute(self.notebook, self.parameters, self.output)
        stamp = {"key": key, "sha256": self._sha256(), "seconds": round(seconds, 1)}
        write_atomically(self.stamp, json.dumps(stamp))
        return seconds

    def _sha256(self) -> str:
        return hashlib.sha256(self.output.read_bytes()).hexdigest()


def environment_key() -> str:
    """Hash what every output depends on: Python, all installed packages and this one's sources.

    The hashes of the data are written in these sources and in the manifests of what is shipped, so
    they count too.
    """
    return digest(sys.version, packages(), files_in(PACKAGE, "*.py", "*.json"))


def files_in(folder: Path, *patterns: str) -> dict[str, Path]:
    """Files anywhere in a folder, by their paths in it, as a digest takes them."""
    return {
        path.relative_to(folder).as_posix(): path
        for pattern in patterns
        for path in folder.rglob(pattern)
        if path.is_file()
    }
