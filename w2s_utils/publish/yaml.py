"""YAML, which parameters and what a project lists are written in."""

import re
from pathlib import Path
from typing import Any

from w2s_utils.errors import UserError


def read_yaml(path: Path) -> Any:
    """Read a file of YAML.

    Raises
    ------
    UserError
        If it is no YAML.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except (UserError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: {error}") from error


def parse_yaml(text: str) -> Any:
    """Read YAML, taking ``1e-2`` for a number as version 1.2 of YAML does.

    Raises
    ------
    UserError
        If the text is no YAML.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )
    try:
        return yaml.load(text, Loader)  # a safe loader
    except Exception as error:  # a value that is not of its tag: any error of its constructor
        raise UserError(f"This cannot be read as YAML: {error}") from error
