"""The commands that execute notebooks: ``w2s book``, ``pdf`` and ``run``."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from w2s_utils import publish
from w2s_utils.cli.data import fetch
from w2s_utils.cli.requests import check_targets
from w2s_utils.errors import UserError


def book(
    profile: Annotated[
        str, typer.Option(help="quick: minutes on a laptop; paper: the paper's sample sizes.")
    ] = "quick",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Notebooks that run at once.", show_default="one a core"),
    ] = None,
    record_verdicts: Annotated[
        bool,
        typer.Option(
            "--record-verdicts", help="Accept the verdicts on the paper's claims that are found."
        ),
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Instead: run at so many other seeds, and show the verdicts that differ."
        ),
    ] = None,
) -> None:
    """Execute the notebooks and build the book in build/html.

    Only what has changed since the last build runs again. A verdict on one of the paper's claims
    that differs from the recorded one fails the build. Examples:

    w2s book

    w2s book --profile paper --jobs 4

    w2s book --seeds 8
    """
    if seeds is not None:
        if record_verdicts:
            raise UserError("Give --seeds or --record-verdicts, not both.")
        flips = publish.unstable_verdicts(
            project_root(), profile, seeds, jobs, before_execution=fetch, report=typer.echo
        )
        raise typer.Exit(code=min(flips, 1))
    publish.build_book(
        project_root(),
        profile,
        jobs,
        before_execution=fetch,
        report=typer.echo,
        record_verdicts=record_verdicts,
    )


def pdf(
    profile: Annotated[str, typer.Option(help="As of w2s book.")] = "quick",
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="The PDF.", show_default="build/book.pdf"),
    ] = None,
) -> None:
    """Build the book and print all of it in one PDF, with Chromium.

    w2s pdf --profile paper --output book.pdf
    """
    from w2s_utils.publish.pdf import print_book

    root = project_root()
    target = output or root / "build" / "book.pdf"
    check_targets(target)
    first = publish.build_book(root, profile, before_execution=fetch, report=typer.echo)
    print_book(first.parent.resolve(), publish.page_names(root), target)
    typer.echo(f"Printed: {target}")


class RunCommand(TyperCommand):
    """Reads ``-p NAME VALUE`` as NAME=VALUE: typer's options repeat or take a pair, not both."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join each name with its value before typer reads them."""
        joined = []
        rest = iter(args)
        for arg in rest:
            joined.append(arg)
            if arg.startswith("-p"):
                pair = list(islice(rest, 2))
                if arg != "-p" or len(pair) < 2:
                    raise typer.BadParameter("-p takes a name and a value: -p NAME VALUE.", ctx)
                joined.append("=".join(pair))
            elif arg == "--":
                break
        return super().parse_args(ctx, [*joined, *rest])


def run(
    notebook: Annotated[str, typer.Argument(help="A name, such as 04_w2s_risk, or a path.")],
    parameters: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME VALUE", help="Set a parameter; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Executed notebook.", show_default="build/runs/NAME.ipynb"
        ),
    ] = None,
) -> None:
    """Execute one notebook with parameters of your own.

    The notebook's cell tagged "parameters" shows what can be set. Values are numbers, words or
    lists as in YAML. Examples:

    w2s run 04_w2s_risk -p trials 2000

    w2s run 01_five_minutes -p teacher h0 -p n_grid "[600, 1200]" --output mine.ipynb
    """
    root = project_root()
    source = Path(notebook)
    if source.suffix != ".ipynb":
        source = root / "notebooks" / f"{notebook}.ipynb"
    if not source.is_file():
        names = ", ".join(sorted(path.stem for path in (root / "notebooks").glob("*.ipynb")))
        raise UserError(f"There is no notebook {notebook}; choose a path or: {names}.")
    pairs = [parameter.split("=", maxsplit=1) for parameter in parameters or []]
    values = {name: publish.parse_yaml(value) for name, value in pairs}
    target = output or root / "build" / "runs" / source.name
    check_targets(target)
    seconds = publish.execute(source.absolute(), values, target)
    typer.echo(f"Executed in {seconds:.1f} s: {target}")


def project_root() -> Path:
    """Find the book's project: the working directory or the nearest one above it."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "_config.yml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise UserError(
        f"{Path.cwd()} is not inside the book's project: go to the folder with _config.yml."
    )
