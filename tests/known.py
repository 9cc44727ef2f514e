"""Pairs and tasks whose answers are known, for the tests that compare with them."""

import numpy as np

from w2s_utils.metrics import Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.subspaces import pair_with_angles, random_basis


def generic_pair(seed=0, d_w=20, d_s=12, dimension=60, noise_variance=0.7):
    rng = np.random.default_rng(seed)
    angles = np.linspace(0.1, 1.5, min(d_w, d_s))
    weak, strong = pair_with_angles(dimension, angles, d_w, d_s, rng)
    return GaussianPair(weak, strong, rng.standard_normal(dimension) / 8, noise_variance)


def pair_at(angles, d_w, d_s, dimension=40, seed=0):
    rng = np.random.default_rng(seed)
    weak, strong = pair_with_angles(dimension, angles, d_w, d_s, rng)
    return GaussianPair(weak, strong, rng.standard_normal(dimension), 0.3)


def scanned_pair(seed):
    """Random dimensions, canonical angles, target and noise, over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    d_w, d_s = (int(d) for d in rng.integers(1, 15, 2))
    D = d_w + d_s + int(rng.integers(5))
    weak, strong = np.eye(D)[:, :d_w], np.eye(D)[:, d_w - int(rng.integers(min(d_w, d_s) + 1)) :]
    strong = strong[:, :d_s]
    if seed % 2:
        angles = rng.uniform(0, rng.choice([0.01, np.pi / 2]), min(d_w, d_s))
        weak, strong = pair_with_angles(D, angles, d_w, d_s, rng)
    sizes = 10.0 ** rng.uniform(-3, 2, 3)
    target = sizes[0] * weak @ rng.standard_normal(d_w) + sizes[1] * strong @ rng.standard_normal(
        d_s
    )
    target += sizes[2] * rng.choice([0, 1]) * rng.standard_normal(D)
    return GaussianPair(weak, strong, target, 10.0 ** rng.uniform(-3, 4))


PAIRS = {
    "generic, d_w > d_s": generic_pair(),
    "generic, d_w < d_s": generic_pair(seed=1, d_w=9, d_s=14, dimension=40),
    "aligned": GaussianPair.paper(d_sw=50),
    "0, small, large and 90 degrees": pair_at([0, 0, 1e-6, 0.3, 1.5, np.pi / 2], 9, 6),
    "the same with d_w < d_s": pair_at([0, 0, 1e-6, 0.3, 1.5, np.pi / 2], 6, 9),
    "orthogonal": pair_at([np.pi / 2] * 4, 4, 7),
    "equal": pair_at([0.0] * 5, 5, 5),
    "weak inside strong": pair_at([0.0] * 3, 3, 8),
    "strong inside weak": pair_at([0.0] * 3, 8, 3),
    "one-dimensional": pair_at([0.7], 1, 1),
    "they fill the space": GaussianPair(
        np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0],
        np.eye(6)[:, :4],
        np.arange(6.0),
        1.0,
    ),
}


def gaussian_task(rows=4000, seed=0):
    """Features of a known pair, so that the sweep has a known answer."""
    target = np.random.default_rng(99).standard_normal(16) / 4
    pair = GaussianPair.aligned(d_w=8, d_s=6, d_sw=2, target=target, noise_variance=0.5)
    Z = np.random.default_rng(seed).standard_normal((rows, 16))
    return pair, Z @ pair.weak_basis, Z @ pair.strong_basis, Z @ pair.target


def noisy(f, variance):
    return lambda rng: f + np.sqrt(variance) * rng.standard_normal(len(f))


def as_matrix(risks: Risks):
    return np.column_stack([*risks])


def overlapping_pair(d_w=14, d_s=10, D=30, noise_variance=0.4):
    rng = np.random.default_rng(3)
    shared = random_basis(D, 5, rng)
    bases = [
        np.linalg.qr(np.hstack([shared, 0.6 * rng.standard_normal((D, d - 5))]))[0]
        for d in (d_w, d_s)
    ]
    target = (
        shared @ np.full(5, 0.3)
        + 0.1 * bases[1] @ rng.standard_normal(d_s)
        + 0.05 * rng.standard_normal(D)
    )
    return GaussianPair(*bases, target, noise_variance)


def sample(pair, rows, seed, scales=(1.0, 1.0)):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((rows, len(pair.target)))
    noise = np.sqrt(pair.noise_variance) * rng.standard_normal(rows)
    W, S = Z @ pair.weak_basis * scales[0], Z @ pair.strong_basis * scales[1]
    return W, S, Z @ pair.target + noise
