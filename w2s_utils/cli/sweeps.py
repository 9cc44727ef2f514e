"""The command ``w2s sweep``."""

from pathlib import Path
from typing import Annotated

import typer

from w2s_utils.cli.options import Dask
from w2s_utils.cli.requests import check_targets, request


def sweep(
    output: Annotated[Path, typer.Argument(dir_okay=False, help="Table to write, as CSV.")],
    n: Annotated[list[int], typer.Option("--n", help="Labels; may be repeated.")],
    N: Annotated[list[int], typer.Option("--N", help="Pseudo-labels; may be repeated.")],
    d_sw: Annotated[list[int], typer.Option(help="Shared dimensions; may be repeated.")] = [10],  # noqa: B006
    noise_variance: Annotated[float, typer.Option(help="Label noise sigma^2.")] = 1e-2,
    d_w: Annotated[int, typer.Option(help="Dimension of the weak features.")] = 200,
    d_s: Annotated[int, typer.Option(help="Dimension of the strong features.")] = 100,
    trials: Annotated[int, typer.Option(help="Training sets a cell.")] = 40,
    seed: Annotated[int, typer.Option(help="The same seed gives the same table.")] = 0,
    jobs: Annotated[int, typer.Option(help="Processes; -1 for one a core.")] = 1,
    dask: Dask = None,
) -> None:
    """Draw the four models' risks, PGR and OPR for the paper's pair at each n and N.

    Finished parts are kept in the folder OUTPUT.parts: a sweep that was stopped goes on where it
    was, and one with more values draws only those. Examples:

    w2s sweep risks.csv --n 400 --n 4000 --N 4000 --d-sw 10 --d-sw 90

    w2s sweep large.csv --n 1000000 --N 100000000 --jobs -1

    w2s sweep risks.csv --n 400 --N 4000 --trials 100000 --dask tcp://10.0.0.1:8786
    """
    from w2s_utils import _progress, sweeps
    from w2s_utils.pair import GaussianPair

    with request():
        check_targets(output)
        pairs = {
            f"d_sw={shared}": GaussianPair.paper(shared, noise_variance, d_w=d_w, d_s=d_s)
            for shared in d_sw
        }
        with _progress.reported("blocks") as progress:
            result = sweeps.run(
                pairs,
                [(labels, pseudo) for labels in n for pseudo in N],
                trials,
                seed,
                jobs=jobs,
                cluster=dask,
                checkpoints=f"{output}.parts",
                progress=progress,
            )
    result.save(output)
    typer.echo(f"{len(result.risks)} cells of {trials} trials: {output}")
