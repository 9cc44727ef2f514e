"""A fixed set of results, to compare between Pythons, BLAS threads and numbers of processes.

    python -m tests.drift [JOBS]

prints them as JSON: the same to 1e-6 everywhere. `tests/test_drift.py` runs it with one and two
BLAS threads and processes; other Pythons are compared by hand, with the lock's versions in each.
"""

import json
import sys

import numpy as np

from w2s_utils import measure, metrics, simulation, sweeps
from w2s_utils.geometry import Geometry
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import fit_ridge, probe_sweep
from w2s_utils.softmax import fit_softmax
from w2s_utils.splits import Splits
from w2s_utils.theory import bounds, exact, phases, ridge


def results(jobs):
    """Name -> list of numbers."""
    rng = np.random.default_rng(0)
    pair = GaussianPair.paper(10, d_w=60, d_s=40)
    directions = pair.along(np.arange(1.0, 61) ** -1, np.arange(1.0, 41) ** -1)
    X = rng.standard_normal((3000, 120)) * np.geomspace(1, 1e-4, 120)
    S = X[:, :80] @ rng.standard_normal((80, 90)) + 0.1 * rng.standard_normal((3000, 90))
    y = X @ rng.standard_normal(120) + 0.1 * rng.standard_normal(3000)
    W, few = X[:, :60], np.eye(3)[rng.integers(3, size=300)]
    levels = {0.0: lambda g: y, 0.5: lambda g: y + 0.5 * g.standard_normal(3000)}
    found = {
        "exact": exact.student_terms(pair, [100, 900], 500).total,
        "bounds": bounds.pgr_lower_bound(pair, [100, 900], 500),
        "phases": np.nan_to_num(phases.winning_N(pair, [100, 900], "baseline")),
        "ridge": ridge.expected_risks(directions, [30, 900], 500, 0.01, 0.1).student,
        "wishart": simulation.simulate(pair, 100, 200, 20, 1).student,
        "direct": simulation.simulate(pair, 100, 200, 5, 1, "direct").ceiling,
        "few": simulation.simulate(pair, 30, 20, 5, 1).student,
        "teacher and student": np.ravel(simulation.simulate_teacher_student(pair, 100, 90, 20, 1)),
        "drawn ridge": simulation.simulate_ridge(
            directions, 30, 90, 5, 1, [0.0, 0.1], [0.1, 1.0]
        ).student,
        "sweep": sweeps.run({"paper": pair}, [(100, 200), (90, 300)], 150, 2, jobs=jobs)
        .table()
        .drop(columns=["pair", "metric"])
        .fillna(0),
        "fit": fit_ridge(W, y, 1e-6),
        "probes": probe_sweep(
            W, S, levels, y, [(90, 400), (40, 60), (500, 1500)], splits=Splits(3, 400, 3)
        ).drop(columns=["level"]),
        "softmax": fit_softmax(W[:300, :20], few, 1e-3),
        "spectrum": measure.spectrum(S),
        "dimensions": [
            *(getattr(measure.correlation_dimension(W, S), k) for k in ("estimate", "held_out")),
            measure.leverage_excess(W),
            measure.noise_inflation(W, y),
            measure.intrinsic_dimension(S),
        ],
        "sketch": [measure.rotation_sketch(W, S, np.random.default_rng(4))],
        "geometry": [
            getattr(Geometry.from_features(W, X[:, 30:110], y, 0.1), name)
            for name in ("d_sw", "rho_w", "rho_s", "missed", "leaked")
        ],
        "metrics": [
            metrics.pgr(simulation.simulate(pair, 100, 200, 50, 5)).value,
            metrics.pgr(simulation.simulate(pair, 100, 200, 50, 5)).standard_error,
        ],
    }
    return {
        name: np.ravel(np.asarray(value, dtype=float)).tolist() for name, value in found.items()
    }


if __name__ == "__main__":
    print(json.dumps(results(int(sys.argv[1]) if len(sys.argv) > 1 else 1)))
