"""Execute one notebook in one kernel."""

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2s_utils._files import write_atomically
from w2s_utils.errors import UserError
from w2s_utils.publish.kernel import running_kernel
from w2s_utils.publish.notebook import check_parameters, with_ids

ANSI_STYLE = re.compile(r"\x1b\[[0-9;]*m")
DRAWN_ID = re.compile(r"\bT_[0-9a-f]{5}(?=[_\W])")  # which pandas gives a styled table
ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")  # of an object


class BuildError(UserError):
    """A notebook or the book failed while it was being built."""


def execute(notebook: Path, parameters: Mapping[str, Any], output: Path) -> float:
    """Run a notebook from a fresh kernel of this interpreter, in the notebook's own folder.

    Parameters
    ----------
    notebook : Path
        The source, which must have a cell tagged ``parameters``.
    parameters : mapping of str to object
        Values that replace those of the parameters cell.
    output : Path
        Where the executed notebook goes; it appears there only when every cell has succeeded.

    Returns
    -------
    float
        Seconds taken.

    Raises
    ------
    UserError
        If the file is no notebook, or does not declare one of the parameters.
    BuildError
        If a cell fails.
    """
    import papermill
    from nbformat import writes
    from papermill.exceptions import PapermillExecutionError

    check_parameters(notebook, parameters)
    if output.resolve() == notebook.resolve():
        raise UserError(f"{output} is the source itself: give the output another name.")
    output.parent.mkdir(parents=True, exist_ok=True)
    # Its warnings come from a cruder reading of the parameters cell than check_parameters has.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    source = with_ids(notebook)
    places = {
        cell.id: f"cell {number} of {len(source.cells)} (id {cell.id})"
        for number, cell in enumerate(source.cells, start=1)
    }
    place = "before the first cell"

    def on_cell_start(cell: Any, cell_index: int) -> None:
        nonlocal place
        place = places.get(cell.id, "the cell that sets the parameters")

    def on_cell_executed(cell: Any, cell_index: int, execute_reply: dict[str, Any]) -> None:
        # papermill takes sys.exit(0) for success; after exit() the kernel dies some cells later.
        reply, tags = execute_reply["content"], cell.metadata.get("tags", [])
        left = reply.get("ename") == "SystemExit" and reply["evalue"] in ("", "0")
        asked = "ask_exit" in [part["source"] for part in reply.get("payload", [])]
        if asked or (left and "raises-exception" not in tags):
            raise RuntimeError("it ends the notebook, by exit, quit or SystemExit: remove that.")

    began = time.monotonic()
    try:
        with running_kernel(notebook.parent) as kernel:
            executed = papermill.execute_notebook(
                source,
                None,
                parameters=dict(parameters),
                kernel_name=kernel.kernel_name,
                language="python",
                progress_bar=False,
                km=kernel,
                on_cell_start=on_cell_start,
                on_cell_executed=on_cell_executed,
            )
    except PapermillExecutionError as error:
        trace = ANSI_STYLE.sub("", "\n".join(error.traceback)).splitlines()[-20:]
        problem = "\n".join([f"{error.ename}: {error.evalue}", *trace])
    except RuntimeError as error:  # the kernel died or did not start, or a cell ended it
        problem = str(error)
    else:
        _drop_what_differs(executed)
        write_atomically(output, writes(executed) + "\n")  # type: ignore[no-untyped-call]
        return time.monotonic() - began
    raise BuildError(f"{notebook.name} failed, {place}: {problem}".replace("\n", "\n    "))


def _drop_what_differs(notebook: Any) -> None:
    """Remove what differs from run to run: times, paths, random ids, addresses of objects."""
    for part in (notebook, *notebook.cells):
        for name in ("papermill", "execution"):
            part.metadata.pop(name, None)
        if "injected-parameters" in part.metadata.get("tags", []):
            part.id = "injected-parameters"
    for cell in notebook.cells:
        ids: dict[str, str] = {}

        def named(drawn: re.Match[str], cell: Any = cell, ids: dict[str, str] = ids) -> str:
            return ids.setdefault(drawn[0], f"T_{cell.id}-{len(ids)}")

        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in [kind for kind in data if kind.startswith("text/")]:
                data[kind] = ADDRESS.sub("", DRAWN_ID.sub(named, data[kind]))
