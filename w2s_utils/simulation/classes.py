"""Classifiers of two classes, drawn and fitted: the oracle of `theory.logistic`."""

from __future__ import annotations

from typing import Literal

import numpy as np

from w2s_utils._progress import counted
from w2s_utils._validate import Array, count, seeded
from w2s_utils.directions import PairDirections
from w2s_utils.probes import fit_ridge
from w2s_utils.softmax import fit_logistic
from w2s_utils.theory.classes import Classes, Labels, Score, Scores, check_target
from w2s_utils.theory.logistic import Probes

Linear = tuple[Array, float]  # weights and intercept


def simulate_classes(
    directions: PairDirections,
    labels: Labels,
    n: int,
    N: int,
    trials: int,
    seed: int | np.random.SeedSequence,
    alpha_w: float,
    alpha_s: float,
    *,
    loss: Literal["cross-entropy", "squared"] = "cross-entropy",
    pseudo_labels: Literal["soft", "hard"] = "soft",
    temperature: float = 1.0,
    alpha_b: float | None = None,
    alpha_c: float | None = None,
) -> Scores:
    r"""Draw training sets of two classes, fit the four models, and return the laws of their scores.

    Parameters
    ----------
    directions : PairDirections
        As from `GaussianPair.along`. Its target is what the labels depend on: of variance
        `labels.power`, or for `Classes` the part of the label that is linear in the inputs.
    labels : Labels
    n, N : int
        Labelled and unlabelled samples.
    trials : int
        Number of training sets.
    seed : int or SeedSequence
        The same seed gives the same scores.
    alpha_w, alpha_s, alpha_b, alpha_c : float
        Ridge of each model, as in `theory.logistic.expected_scores`; the last two are `alpha_s` by
        default.
    loss, pseudo_labels, temperature
        As of `theory.logistic.Probes`; all models have an intercept.

    Returns
    -------
    Scores
        Of (trials,) arrays. Given its weights the score of a model on fresh inputs has exactly such
        a law, so there is no test set.

    Raises
    ------
    ValueError
        If a count is no positive integer, an option is unknown, the target has another variance
        than the labels' law says, a fit does not exist, or all labels of one are the same.
    """
    Probes(directions, labels, loss, pseudo_labels, temperature)
    check_target(directions, labels)
    n, N, trials = count(n, "n"), count(N, "N"), count(trials, "trials")
    alpha_b, alpha_c = (alpha_s if alpha is None else alpha for alpha in (alpha_b, alpha_c))
    d_w, d_s = (len(features.target) for features in (directions.weak, directions.strong))
    V, beta = directions.columns[:, :-1], directions.columns[:, -1]
    to_features = V * np.sqrt(np.r_[directions.weak.spectrum, directions.strong.spectrum])
    rng = np.random.default_rng(seeded(seed))
    root = np.sqrt(labels.power)

    def fit(X: Array, told: Array, alpha: float) -> Linear:
        """Fit to log odds, or to amounts."""
        if loss == "squared":
            mean, middle = X.mean(axis=0), told.mean()
            weights = fit_ridge(X - mean, told - middle, alpha)
            return weights, float(middle - mean @ weights)
        return fit_logistic(X, told, alpha)

    certain = 1.0 if loss == "squared" else np.inf

    def taught(scores: Array) -> Array:
        if pseudo_labels == "hard":
            return certain * np.where(scores > 0, 1.0, -1.0)
        return scores / (temperature if loss == "cross-entropy" else 1.0)

    def law(model: Linear, to: Array) -> tuple[float, float, float]:
        weights = to @ model[0]
        slope = float(weights @ beta) / root
        return model[1], slope, float(np.sqrt(max(weights @ weights - slope**2, 1e-300)))

    to_w, to_s = to_features[:, :d_w], to_features[:, d_w : d_w + d_s]
    found = []
    with counted(trials, "trials") as tell:
        for _ in range(trials):
            z, y = draw(labels, beta, n + N, rng)
            W, S, told = z @ to_w, z @ to_s, certain * y
            teacher = fit(W[:n], told[:n], alpha_w)
            pseudo = taught(W[n:] @ teacher[0] + teacher[1])
            models = (
                (teacher, to_w),
                (fit(S[n:], pseudo, alpha_s), to_s),
                (fit(S[:n], told[:n], alpha_b), to_s),
                (fit(S, told, alpha_c), to_s),
            )
            found.append([law(*model) for model in models])
            tell(1)
    return Scores(*(Score(*part) for part in np.transpose(found, (1, 2, 0))))


def draw(labels: Labels, beta: Array, rows: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Inputs of unit covariance, and their labels -1 and 1."""
    z = rng.standard_normal((rows, len(beta)))
    if isinstance(labels, Classes):
        y = np.where(rng.random(rows) < labels.share, 1.0, -1.0)
        size = np.linalg.norm(beta)
        along, unit = z @ beta / size, beta / size
        within = np.sqrt(1 - size**2 / labels.power)
        moved = within * along + size / labels.power * (y - (2 * labels.share - 1))
        return z + np.outer(moved - along, unit), y
    latent = z @ beta / np.sqrt(labels.power)
    chance, _ = labels.chance(0, latent, np.zeros(rows))
    return z, np.where(rng.random(rows) < chance, 1.0, -1.0)
