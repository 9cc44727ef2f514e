"""Monte Carlo risks of the four models: directly from data, or from its triangular factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from w2s_utils._validate import Array, sample_size
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge


def simulate(
    pair: GaussianPair,
    n: int,
    N: int,
    trials: int,
    seed: int | np.random.SeedSequence,
    method: Literal["wishart", "direct"] = "wishart",
    risk: Literal["population", "transductive"] = "population",
) -> Risks:
    r"""Draw the excess risks of the four models over independent training sets.

    Parameters
    ----------
    pair : GaussianPair
    n, N : int
        Labelled and unlabelled samples; any positive numbers, fits below d samples interpolate
        with least norm.
    trials : int
        Number of training sets.
    seed : int or SeedSequence
        The same seed gives the same risks.
    method : {"wishart", "direct"}
        ``direct`` draws all n + N inputs. ``wishart`` draws the triangular factor of their QR
        decomposition instead; the law of the risks is the same, the cost a trial does not grow
        with n or N.
    risk : {"population", "transductive"}
        On fresh inputs, or averaged over the N unlabelled inputs.

    Returns
    -------
    Risks
        Of (trials,) arrays, in squared units of the target. The four risks of a trial share data.

    Raises
    ------
    ValueError
        If a count is not a positive integer, or `method` or `risk` is unknown.

    Notes
    -----
    Least squares on the rows of :math:`X = QR` equals least squares on the rows of R, for every
    right-hand side in the span of X. With the label noise as one more column, R holds all that the
    four fits use. For Gaussian X of m rows its entries are independent: :math:`\chi_{m-i}` at
    place i of the diagonal (counted from 0), standard normal above (Bartlett 1933). Only the
    coordinates in the span of V_w, V_s and the target matter.
    """
    for name, count in (("n", n), ("N", N), ("trials", trials)):
        sample_size(count, name, 0, "zero")
    if method not in ("wishart", "direct"):
        raise ValueError(f"method must be 'wishart' or 'direct', got {method!r}.")
    if risk not in ("population", "transductive"):
        raise ValueError(f"risk must be 'population' or 'transductive', got {risk!r}.")
    rng = np.random.default_rng(seed)
    draw = _triangular_rows if method == "wishart" else _all_rows
    pair = _relevant(pair) if method == "wishart" else pair
    samples = [_trial(pair, n, N, rng, draw, risk == "transductive") for _ in range(trials)]
    return Risks(**dict(zip(MODELS, np.transpose(samples), strict=True)))


def _trial(
    pair: GaussianPair,
    n: int,
    N: int,
    rng: np.random.Generator,
    draw: Callable[[int, int, np.random.Generator], Array],
    transductive: bool,
) -> list[float]:
    V_w, V_s, beta = pair.weak_basis, pair.strong_basis, pair.target
    sigma = np.sqrt(pair.noise_variance)

    def labelled(rows: int) -> tuple[Array, Array]:
        data = draw(rows, len(beta) + 1, rng)
        return data[:, :-1], data[:, :-1] @ beta + sigma * data[:, -1]

    def fit(basis: Array, X: Array, y: Array) -> Array:
        return basis @ fit_ridge(X @ basis, y)

    X, y = labelled(n)
    unlabelled, withheld = labelled(N)
    weak = fit(V_w, X, y)
    student = fit(V_s, unlabelled, unlabelled @ weak)
    baseline = fit(V_s, X, y)
    ceiling = fit(V_s, np.vstack([X, unlabelled]), np.concatenate([y, withheld]))
    errors = [b - beta for b in (weak, student, baseline, ceiling)]
    if transductive:
        return [float(np.sum((unlabelled @ error) ** 2)) / N for error in errors]
    return [float(error @ error) for error in errors]


def _all_rows(rows: int, columns: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal((rows, columns))


def _triangular_rows(rows: int, columns: int, rng: np.random.Generator) -> Array:
    kept = min(rows, columns)
    factor = np.triu(rng.standard_normal((kept, columns)), 1)
    np.fill_diagonal(factor, np.sqrt(rng.chisquare(rows - np.arange(kept))))
    return factor


def _relevant(pair: GaussianPair) -> GaussianPair:
    """Express the pair in orthonormal coordinates of the span of V_w, V_s and the target."""
    columns = np.column_stack([pair.weak_basis, pair.strong_basis, pair.target])
    if columns.shape[1] >= len(columns):
        return pair
    frame = np.linalg.qr(columns)[0].T
    return GaussianPair(
        frame @ pair.weak_basis, frame @ pair.strong_basis, frame @ pair.target, pair.noise_variance
    )
