"""A notebook as a file: its cells, and which values its parameters take."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from w2s_utils.errors import UserError


def cells(notebook: Path) -> list[dict[str, Any]]:
    """Cells of a notebook, each with a type, a source and metadata.

    Raises
    ------
    UserError
        If the file is no notebook.
    """
    return cast("list[dict[str, Any]]", _read(notebook)["cells"])


def with_ids(notebook: Path) -> Any:
    """The notebook in format 4.5: earlier ones have no ids, and other tools give random ones."""
    import nbformat

    content = _read(notebook)
    if content.get("nbformat_minor", 0) < 5:
        content["nbformat_minor"] = 5
        for number, cell in enumerate(content["cells"], start=1):
            cell["id"] = f"cell-{number}"
    try:
        nbformat.validate(content)
    except nbformat.ValidationError as error:
        problem = str(error).partition("\n")[0].rstrip(".")
        raise UserError(f"{notebook} cannot be read as a notebook: {problem}.") from error
    return nbformat.v4.reads_json(json.dumps(content))  # type: ignore[no-untyped-call]


def _read(notebook: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
        if content.get("nbformat", 4) != 4:
            raise ValueError("it is not of format 4; open it in Jupyter and save it")
        for cell in content["cells"]:
            "parameters" in cell["metadata"].get("tags", []) and "".join(cell["source"])
            _ = cell["cell_type"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{notebook} cannot be read as a notebook: {error}.") from error
    return content


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Raise UserError unless each parameter is declared, with a default of the same kind."""
    tagged = [cell for cell in cells(notebook) if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise UserError(
            f"{notebook.name} has {len(tagged)} cells tagged 'parameters': "
            "give that tag to the one cell that assigns them."
        )
    try:
        declared = dict(_assignments("".join(tagged[0]["source"])))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{notebook.name}: the parameters cell is no Python: {error}.") from error
    for name, value in parameters.items():
        if name not in declared:
            raise UserError(
                f"{notebook.name} declares no parameter {name!r}; "
                f"it declares {', '.join(declared) or 'none'}."
            )
        if not _is_plain(value):
            raise UserError(
                f"{notebook.name} takes for {name} numbers, words, and lists of them or mappings "
                f"from words to them, got {value!r}."
            )
        try:
            default = ast.literal_eval(declared[name])
        except (ValueError, TypeError):  # an expression: any value may do
            continue
        if not _same_kind(value, default):
            raise UserError(
                f"{notebook.name} takes for {name} a value like {default!r}, got {value!r}."
            )


def _assignments(source: str) -> Iterator[tuple[str, ast.expr]]:
    """Names that the statements assign, each with the expression of its value.

    papermill's own inspection skips lines with two equals signs or with several names.
    """
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            pairs = [(target, statement.value)]
            if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
                pairs = list(zip(target.elts, statement.value.elts, strict=False))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    yield name.id, value


def _is_plain(value: object) -> bool:
    """Whether papermill writes the value as a literal: it does not quote others, YAML's bytes say.

    What is not quoted could be code.
    """
    if isinstance(value, dict):
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _same_kind(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list) and isinstance(value, list) and default:
        return all(_same_kind(item, default[0]) for item in value)
    return default is None or isinstance(value, type(default))
