"""A small sweep, and what its tests ask of it."""

import numpy as np

from tests.known import as_matrix, generic_pair
from w2s_utils.pair import GaussianPair

PAIRS = {
    "generic": generic_pair(),
    "aligned": GaussianPair.aligned(
        d_w=6, d_s=4, d_sw=2, target=np.ones(9) / 20, noise_variance=0.5
    ),
}
POINTS = [(40, 30), (60, 30), (8, 30)]  # the last is below interpolation
GRID = {"pairs": PAIRS, "points": POINTS, "trials": 230, "seed": 3}
BLOCKS = 2 * 3 * 3  # of 100, 100 and 30 trials


def assert_identical(one, two):
    assert set(one.risks) == set(two.risks)
    for cell, risks in one.risks.items():
        np.testing.assert_array_equal(as_matrix(risks), as_matrix(two.risks[cell]))


def finished(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
