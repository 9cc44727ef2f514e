"""Risks with ridge and feature spectra, drawn from triangular factors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils._validate import Array, count, ridges, seeded
from w2s_utils.directions import PairDirections
from w2s_utils.metrics import Risks
from w2s_utils.simulation import wishart


def simulate_ridge(
    directions: PairDirections,
    n: int,
    N: int,
    trials: int,
    seed: int | np.random.SeedSequence,
    alpha_w: ArrayLike,
    alpha_s: ArrayLike,
) -> Risks:
    r"""Draw the four models' excess risks on fresh inputs over independent training sets.

    Parameters
    ----------
    directions : PairDirections
        As from `GaussianPair.along`; the inputs are Gaussian, whatever its radii.
    n, N : int
        Labelled and unlabelled samples; any positive numbers.
    trials : int
        Number of training sets.
    seed : int or SeedSequence
        The same seed gives the same risks.
    alpha_w, alpha_s : array_like
        Ridge of the weak and of the strong models on the mean squared loss (`probes.fit_ridge`).
        Arrays broadcast, and all of their entries are fitted to the same training sets.

    Returns
    -------
    Risks
        Of (trials, ...) arrays, the ridges' broadcast shape last, in squared units of the target.

    Raises
    ------
    ValueError
        If a count is not a positive integer or a ridge negative.

    Notes
    -----
    With :math:`X = QR`, :math:`\frac1m\|Xw-y\|^2 + \alpha\|w\|^2` differs from
    :math:`\frac1m\|Rw-Q^\top y\|^2 + \alpha\|w\|^2` by a constant, whatever number of rows R has:
    m remains the number of samples. See `simulation.wishart`.
    """
    n, N, trials = count(n, "n"), count(N, "N"), count(trials, "trials")
    alpha_w, alpha_s = np.broadcast_arrays(ridges(alpha_w, "alpha_w"), ridges(alpha_s, "alpha_s"))
    scale_w, scale_s = (np.sqrt(f.spectrum) for f in (directions.weak, directions.strong))
    # Orthonormal coordinates of the span of both subspaces and the target: no others matter.
    columns = np.asarray(np.linalg.qr(directions.columns, mode="r"))
    d_w = len(scale_w)
    weak_map, strong_map = columns[:, :d_w] * scale_w, columns[:, d_w:-1] * scale_s
    beta = columns[:, -1:]
    label_map = np.vstack([beta, [[np.sqrt(directions.noise_variance)]]])
    weak_ridges, strong_ridges = alpha_w.ravel(), alpha_s.ravel()
    rng = np.random.default_rng(seeded(seed))

    def trial() -> list[Array]:
        """Risks of the four models, one for each pair of ridges."""
        labelled, withheld = (
            wishart.triangular_factor(rows, len(label_map), rng) for rows in (n, N)
        )
        both = np.vstack([labelled, withheld])

        def strong(data: Array, labels: Array, rows: int) -> Array:
            return strong_map @ _fit(data[:, :-1] @ strong_map, labels, rows * strong_ridges)

        weak = weak_map @ _fit(labelled[:, :-1] @ weak_map, labelled @ label_map, n * weak_ridges)
        fits = (
            weak,
            strong(withheld, withheld[:, :-1] @ weak, N),
            strong(labelled, labelled @ label_map, n),
            strong(both, both @ label_map, n + N),
        )
        return [np.sum((b - beta) ** 2, axis=0) for b in fits]

    samples = np.array([trial() for _ in range(trials)]).swapaxes(0, 1)
    return Risks(*samples.reshape(4, trials, *alpha_w.shape))


def _fit(X: Array, y: Array, penalty: Array) -> Array:
    """Weights (d, k) that minimise |X w - y_j|^2 + penalty_j |w|^2 for each of k penalties.

    `y` has one column for all penalties or one for each.
    """
    left, singular, right = np.linalg.svd(X, full_matrices=False)
    # As in probes.fit_ridge: what is rounding noise has no direction of its own.
    seen = singular > singular[0] * max(X.shape) * np.finfo(float).eps
    left, singular, right = left[:, seen], singular[seen, None], right[seen]
    return np.asarray(right.T @ (singular / (singular**2 + penalty) * (left.T @ y)))
