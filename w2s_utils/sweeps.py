"""Sweeps: the four risks over a grid of pairs and sample sizes, on many cores or machines.

The trials of a cell are drawn in blocks, and each block has a random stream of its own, derived
from the seed, the pair's name, n, N and the block's number. So the numbers of a cell are the same
bit for bit whatever else is in the grid, in which order the blocks are drawn, by how many workers,
and whether the sweep was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from w2s_utils import metrics
from w2s_utils._files import code, digest, read_array, write_array, write_atomically
from w2s_utils._validate import Array, count, seeded
from w2s_utils._workers import VERSIONS, compute
from w2s_utils.errors import WorkerError as WorkerError  # for those who catch it
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.principal import PrincipalCoordinates
from w2s_utils.simulation import wishart
from w2s_utils.theory.exact import RiskKind

if TYPE_CHECKING:
    from distributed import Client

BLOCK = 100  # trials that are drawn, sent and kept together
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_CODE = code(__name__)  # at import: of what runs here, not of a file that was edited since


class Cell(NamedTuple):
    """A place in the grid: the pair's name, labels n and pseudo-labels N."""

    pair: str
    n: int
    N: int


@dataclass(frozen=True)
class Sweep:
    """Risks of all trials of all cells, and what they were drawn with.

    Attributes
    ----------
    risks : dict of Cell to Risks
        Of (trials,) arrays, in squared units of the target, in the order of the grid. A cell may
        be looked up as the plain tuple (pair, n, N).
    trials, seed : int
    risk : {"population", "transductive"}
    versions : dict of str to str
        Of Python and the packages that determine the numbers.
    """

    risks: dict[Cell, Risks]
    trials: int
    seed: int
    risk: RiskKind
    versions: dict[str, str]

    def table(self) -> pd.DataFrame:
        """Summarise the trials.

        Returns
        -------
        DataFrame
            One row per cell and metric, with columns pair, n, N, metric, mean, std,
            standard_error, the quantiles q05, q25, q50, q75 and q95, and trials. The metrics are
            the four models' risks; ``pgr`` and ``opr``, averaged over the trials' own ratios, of
            which those without a gap to recover are left out and not counted; and
            ``pgr_of_means`` and ``opr_of_means``, ratios of mean risks with delta-method standard
            errors, for which std and quantiles are NaN.
        """
        rows = [
            {**cell._asdict(), "metric": metric, **row}
            for cell, risks in self.risks.items()
            for metric, row in _summaries(risks)
        ]
        return pd.DataFrame(rows)

    def save(self, path: str | Path) -> None:
        """Write the table as CSV, after one line ``# {...}`` with seed, trials and versions.

        Parameters
        ----------
        path : str or Path
            Appears only when it is complete; ``pandas.read_csv(path, comment="#")`` reads it.
        """
        about = {k: getattr(self, k) for k in ("seed", "trials", "risk", "versions")}
        text = f"# {json.dumps(about)}\n{self.table().to_csv(index=False)}"
        write_atomically(Path(path), text)


def run(
    pairs: Mapping[str, GaussianPair],
    points: Iterable[tuple[int, int]],
    trials: int,
    seed: int,
    *,
    risk: RiskKind = "population",
    jobs: int = 1,
    cluster: str | Client | None = None,
    checkpoints: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Draw the four risks for each pair at each (n, N).

    Parameters
    ----------
    pairs : mapping of str to GaussianPair
        The names are part of the random streams' seeds.
    points : iterable of (n, N)
        Labelled and unlabelled samples, as in `simulation.simulate`.
    trials : int
        Training sets a cell, at least 2. More trials extend those of a smaller sweep.
    seed : int
    risk : {"population", "transductive"}
    jobs : int
        Processes on this machine, at most one a core; -1 for one a core.
    cluster : str or distributed.Client, optional
        A Dask scheduler, or its address such as ``"tcp://10.0.0.1:8786"``, to draw there instead;
        its workers need the same versions of Python, numpy, scipy and this package. Needs the
        extra ``w2s-utils[cluster]``.
    checkpoints : str or Path, optional
        Folder in which each finished block is kept. A sweep that finds a block there, drawn by
        the same code from the same pair and seed and unaltered since, does not draw it again.
    progress : callable, optional
        Called with the number of finished and of all blocks, after each.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        If there is no pair or point, a size is not a positive integer, trials < 2, `seed` is
        negative, `jobs` is neither -1 nor positive, `risk` is unknown, or the risks of all trials
        would not fit into the memory.
    WorkerError
        If a worker computes with other code or versions than this process, or the workers are
        lost. Blocks finished before are kept in `checkpoints`.

    Examples
    --------
    >>> sweep = run({"paper": GaussianPair.paper()}, [(400, 4000)], trials=20, seed=0)
    >>> bool(sweep.risks["paper", 400, 4000].student.mean() < 2e-3)
    True
    """
    points = [(count(n, "n"), count(N, "N")) for n, N in points]
    if not (pairs and points):
        raise ValueError("A sweep needs at least one pair and one point (n, N).")
    trials = count(trials, "trials", 1, "one")
    seeded(seed)
    if risk not in ("population", "transductive"):
        raise ValueError(f"risk must be 'population' or 'transductive', got {risk!r}.")
    cells = dict.fromkeys(Cell(name, n, N) for name in pairs for n, N in points)
    _check_memory(len(cells), trials)
    blocks = [
        _Block(cell, pairs[cell.pair].principal, start, min(BLOCK, trials - start), seed, risk)
        for cell in cells
        for start in range(0, trials, BLOCK)
    ]
    folder = None if checkpoints is None else Path(checkpoints)
    drawn = {} if folder is None else _load(blocks, folder)
    missing = [block for block in blocks if block.key not in drawn]
    for key, risks in compute(_Block.draw, missing, _about, jobs, cluster):
        if folder is not None:
            write_array(folder / f"{key}.npy", risks)
        drawn[key] = risks
        if progress is not None:
            progress(len(drawn), len(blocks))
    return Sweep(
        {
            cell: Risks(*np.hstack([drawn[block.key] for block in group]))
            for cell, group in groupby(blocks, key=lambda block: block.cell)
        },
        trials,
        seed,
        risk,
        VERSIONS,
    )


@dataclass(frozen=True)
class _Block:
    """Consecutive trials of one cell: a unit of work, a few kilobytes to send anywhere."""

    cell: Cell
    coordinates: PrincipalCoordinates
    start: int
    trials: int
    seed: int
    risk: RiskKind

    @cached_property
    def key(self) -> str:
        """Digest of all that the block's numbers depend on."""
        parts = vars(self.coordinates), self.cell, self.start, self.trials, self.seed, self.risk
        return digest(_about(), *parts)

    def draw(self) -> tuple[str, Array]:
        """Return the key and the (4, trials) risks."""
        place = hashlib.sha256(repr((*self.cell, self.start)).encode()).digest()
        stream = np.random.SeedSequence(self.seed, spawn_key=(int.from_bytes(place, "big"),))
        # BLAS splits sums among its threads, and so rounds differently for another number of them.
        with threadpool_limits(1):
            risks = wishart.risks(
                self.coordinates,
                self.cell.n,
                self.cell.N,
                self.trials,
                np.random.default_rng(stream),
                self.risk == "transductive",
            )
        return self.key, np.array([*risks])


def _load(blocks: list[_Block], folder: Path) -> dict[str, Array]:
    """Read the finished and intact blocks, making the folder if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {block.key: read_array(folder / f"{block.key}.npy") for block in blocks}
    return {key: risks for key, risks in found.items() if risks is not None}


def _summaries(risks: Risks) -> Iterator[tuple[str, dict[str, float]]]:
    for metric in (*MODELS, "pgr", "opr"):
        values = getattr(risks, metric)
        values = values[~np.isnan(values)]
        mean, std, *quantiles = (
            (values.mean(), values.std(ddof=1), *np.quantile(values, QUANTILES))
            if len(values) > 1
            else np.full(2 + len(QUANTILES), np.nan)
        )
        error = std / np.sqrt(max(len(values), 1))
        yield metric, _row(mean, std, error, quantiles, len(values))
    for metric, estimate in (("pgr", metrics.pgr(risks)), ("opr", metrics.opr(risks))):
        no_quantiles = [np.nan] * len(QUANTILES)
        yield (
            f"{metric}_of_means",
            _row(estimate.value, np.nan, estimate.standard_error, no_quantiles, len(risks.weak)),
        )


def _row(
    mean: float, std: float, standard_error: float, quantiles: list[float], trials: int
) -> dict[str, float]:
    names = (f"q{100 * level:02.0f}" for level in QUANTILES)
    return {
        "mean": mean,
        "std": std,
        "standard_error": standard_error,
        **dict(zip(names, quantiles, strict=True)),
        "trials": trials,
    }


def _check_memory(cells: int, trials: int) -> None:
    needed = 2 * len(MODELS) * 8 * cells * trials  # as blocks, and joined
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise ValueError(
            f"{cells} cells of {trials} trials take {needed / 1e9:,.0f} GB of memory, this machine "
            f"has {there / 1e9:,.0f} GB: ask for fewer."
        )


def _about() -> dict[str, str]:
    """What this process draws with."""
    return {"the code of w2s_utils": _CODE[:16], **VERSIONS}
