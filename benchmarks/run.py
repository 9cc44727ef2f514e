"""Measure the samplers and the probe sweeps against plain code: ``make bench``.

CPU time, not wall time, and only ratios of measurements that take turns in one run, so that other
work on the machine matters little. Writes results.json and the book's page on it; ends with exit
code 1 if a target is missed.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tracemalloc
from datetime import date
from importlib import metadata
from pathlib import Path

# Before NumPy is loaded: the comparison is on one core.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ.update(ONE_THREAD)

import numpy as np

from w2s_utils import sweeps
from w2s_utils.metrics import MODELS
from w2s_utils.pair import GaussianPair
from w2s_utils.probes import probe_sweep
from w2s_utils.simulation import simulate, simulate_teacher_student
from w2s_utils.splits import Splits
from w2s_utils.subspaces import random_basis

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "book" / "benchmarks.md"

EXCESS_RISK_PANELS = [(10, 1e-2), (90, 1e-2), (90, 4e-4)]
RATIO_PANELS = [(d_sw, noise) for noise in (1e-2, 1e-1) for d_sw in (10, 50, 90)]
SIZES = np.linspace(400, 4000, 20).round().astype(int).tolist()
GRID = [(n, 4000) for n in SIZES] + [(2000, N) for N in SIZES]

# The paper's age regression: rows, columns, test rows, the two sweeps, and the trials of each
# point. Trials repeat one another, so only some are measured; of the naive one, one.
ROWS, WEAK_COLUMNS, STRONG_COLUMNS, TEST_ROWS, PUBLISHED_TRIALS = 23_708, 512, 768, 3_708, 10
PROBE_GRID = [(n, 10_000) for n in np.linspace(800, 2000, 20).astype(int).tolist()]
PROBE_GRID += [(1600, N) for N in np.linspace(1000, 18_000, 20).astype(int).tolist()]
PROBE_RIDGE, PROBE_TRIALS = 1e-6, 3

# Speed of a diagnosis of files beside the bare products of their rows, (weak, strong)' (weak,
# strong), by all cores; and of a million rows in parts.
LARGE, WIDTH, SHARDS = 200_000, 1024, 5
LARGE_DIAGNOSIS = """
import sys, time
import numpy as np
from w2s_utils.diagnosis import blocks, diagnose, moments, rows
from w2s_utils.io.files import open_features
seconds = dict.fromkeys(("diagnose", "find_directions", "read_grams", "map"), 0.0)
def timed(function):
    def call(*args, **kwargs):
        began = time.perf_counter()
        found = function(*args, **kwargs)
        seconds[function.__name__] += time.perf_counter() - began
        return found
    return call
for place, name in ((rows.Reader, "find_directions"), (moments, "read_grams"),
                    (blocks.BlockGrams, "map")):
    setattr(place, name, timed(getattr(place, name)))
weak, strong = map(open_features, sys.argv[1:3])
labels = np.random.default_rng(0).standard_normal(len(weak))
timed(diagnose)(weak, strong, labels, ridge=0, as_given=True)
with open("/proc/self/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(*seconds.values(), peak)
"""
# The same by workers of a cluster on this machine, of one thread each.
CLUSTERS = """
import sys, time
import numpy as np
from distributed import Client, LocalCluster
from w2s_utils.diagnosis import diagnose
from w2s_utils.io.files import open_features
weak, strong = map(open_features, sys.argv[1:3])
labels = np.random.default_rng(0).standard_normal(len(weak))
how = {"threads_per_worker": 1, "memory_limit": None, "dashboard_address": None}
for workers in (1, 2):
    with LocalCluster(n_workers=workers, **how) as cluster, Client(cluster) as client:
        began = time.perf_counter()
        diagnose(weak, strong, labels, ridge=0, as_given=True, cluster=client)
        print(time.perf_counter() - began)
"""
BARE_PRODUCTS = """
import sys, time
import numpy as np
weak, strong = (np.load(file, mmap_mode="r") for file in sys.argv[1:3])
kind, step = np.dtype(sys.argv[3]), 8000
total, seconds = np.zeros((2 * weak.shape[1],) * 2, kind), 0.0
for start in range(0, len(weak), step):
    Z = np.hstack([X[start : start + step].astype(kind) for X in (weak, strong)])
    across = Z.T.copy()  # hides from NumPy that half of the product is enough
    began = time.perf_counter()
    total += across @ Z
    seconds += time.perf_counter() - began
print(seconds)
"""

# Rankings: rows, columns of all sets, and teachers.
RANKED, RANKED_WIDTH, TEACHERS = 20_000, 768, 20
RANKING = """
import sys, time
import numpy as np
from w2s_utils.diagnosis import diagnose, rank_teachers
rows, width, teachers = map(int, sys.argv[1:4])
rng = np.random.default_rng(0)
latent = rng.standard_normal((rows, 32), np.float32)
def features():
    mixed = latent @ rng.standard_normal((32, width), np.float32)
    return mixed + rng.standard_normal((rows, width), np.float32)
strong, labels = features(), latent[:, 0] + rng.standard_normal(rows)
weak = {f"{k}": features() for k in range(teachers)}
sizes = {"n": 2000, "N": 10_000}
began = time.perf_counter()
for k in range(0, teachers, 4):
    diagnose(weak[f"{k}"], strong, labels, **sizes)
alone = 4 * (time.perf_counter() - began)  # a quarter of them
began = time.perf_counter()
rank_teachers(weak, strong, labels, **sizes)
print(alone, time.perf_counter() - began)
"""

# Memory of a diagnosis: rows, and the columns and retained directions of both feature sets.
DIAGNOSED = 200_000
DIAGNOSES = [(256, 8), (256, 64), (256, 256), (1024, 8), (1024, 256), (1024, 1024)]
DIAGNOSE = """
import sys
import numpy as np
from w2s_utils.diagnosis import diagnose
weak, strong = (np.load(file, mmap_mode="r") for file in sys.argv[1:3])
labels = np.random.default_rng(0).standard_normal(len(weak))
how = {"ridge": 0, "as_given": True}
found = diagnose(weak, strong, labels, energy=float(sys.argv[3]), **how)
assert found.d_w == found.d_s == int(sys.argv[4]), (found.d_w, found.d_s)
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def naive_trial(n, N, rng, d_sw=10, noise_variance=1e-2, only_student=False):
    """Simulate one training set of the paper's pair as one would write it down.

    Features are columns of the inputs, the fits are NumPy's least squares (LAPACK's gelsd).
    """
    d_w, d_s = 200, 100
    D = d_w + d_s
    strong, weak = slice(0, d_s), slice(d_s - d_sw, d_s - d_sw + d_w)
    beta = np.sqrt(1 / (d_w * d_s * np.arange(1.0, D + 1)))
    sigma = np.sqrt(noise_variance)

    def fit(X, y, columns):
        b = np.zeros(D)
        b[columns] = np.linalg.lstsq(X[:, columns], y)[0]
        return b

    X = rng.standard_normal((n, D))
    y = X @ beta + sigma * rng.standard_normal(n)
    Z = rng.standard_normal((N, D))
    teacher = fit(X, y, weak)
    models = [teacher, fit(Z, Z @ teacher, strong)]
    if not only_student:
        withheld = Z @ beta + sigma * rng.standard_normal(N)
        models.append(fit(X, y, strong))
        models.append(fit(np.vstack([X, Z]), np.concatenate([y, withheld]), strong))
    return [np.sum((b - beta) ** 2) for b in models]


def svd_ridge(X, y, ridge):
    """Ridge regression by the singular value decomposition of the features."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    return Vt.T @ (s / (s**2 + len(X) * ridge) * (U.T @ y))


def naive_sweep(W, S, draw, f, seed):
    """Refit all models at every point, as one would write it down; one trial, (points, 4)."""
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    order = rng.permutation(ROWS)
    y = draw(rng)
    test, pool = order[:TEST_ROWS], order[TEST_ROWS:]
    errors = []
    for n, N in PROBE_GRID:
        labelled, unlabelled = pool[:n], pool[-N:]
        every = np.concatenate([labelled, unlabelled])
        teacher = svd_ridge(W[labelled], y[labelled], PROBE_RIDGE)
        predictions = [
            W[test] @ teacher,
            S[test] @ svd_ridge(S[unlabelled], W[unlabelled] @ teacher, PROBE_RIDGE),
            S[test] @ svd_ridge(S[labelled], y[labelled], PROBE_RIDGE),
            S[test] @ svd_ridge(S[every], y[every], PROBE_RIDGE),
        ]
        errors.append([np.mean((p - f[test]) ** 2) for p in predictions])
    return np.array(errors)


def probe_speed():
    """CPU seconds of one trial, naive and ours, and the largest relative difference of an error.

    Features with a decaying spectrum, as a network's (condition number 1000), in rotated
    coordinates; the time does not depend on their values, the difference does.
    """
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((ROWS, STRONG_COLUMNS))
    S, W = (
        latent
        @ random_basis(STRONG_COLUMNS, d, rng)
        * np.geomspace(1, 1e-3, d)
        @ random_basis(d, d, rng)
        for d in (STRONG_COLUMNS, WEAK_COLUMNS)
    )
    f = latent[:, :50].sum(axis=1)

    def draw(rng):
        return f + rng.standard_normal(ROWS)

    results = {}

    def ours(trials):
        results["ours"] = probe_sweep(
            W,
            S,
            {1: draw},
            f,
            PROBE_GRID,
            Splits(trials, TEST_ROWS, seed=0),
            PROBE_RIDGE,
        )

    def naive():
        results["naive"] = naive_sweep(W, S, draw, f, seed=0)

    fast = cpu(lambda: ours(PROBE_TRIALS)) / PROBE_TRIALS
    slow = cpu(naive)
    first = results["ours"].query("trial == 0")[list(MODELS)].to_numpy()
    return slow, fast, float(np.abs(first / results["naive"] - 1).max())


def cpu(call):
    """CPU seconds of a call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def median_ratio(slow, fast, fast_trials, rounds):
    """CPU a trial of the two, and their ratio, as medians over rounds that take turns."""
    times = np.array(
        [(cpu(slow), cpu(lambda: fast(fast_trials)) / fast_trials) for _ in range(rounds)]
    )
    return *np.median(times, axis=0), float(np.median(times[:, 0] / times[:, 1]))


def peak_megabytes(call):
    """Largest memory that NumPy held at once during a call."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def diagnosis_megabytes(columns, directions):
    """Peak memory of a process that reads two float16 files and diagnoses them; and their size."""
    scale = np.where(np.arange(columns) < directions, 1, 1e-3)
    energy = 1.0 if directions == columns else 1 - 0.5 / directions
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("weak.npy", "strong.npy")]
        for seed, file in enumerate(files):
            write_features(file, DIAGNOSED, scale, seed)
        (peak,) = in_child(DIAGNOSE, *files, energy, directions)
        return peak / 1e3, sum(file.stat().st_size for file in files) / 1e6


def write_features(file, rows, scale, seed):
    """Write Gaussian columns of these scales in half precision."""
    rng = np.random.default_rng(seed)
    written = np.lib.format.open_memmap(file, "w+", np.float16, (rows, len(scale)))
    for some in np.array_split(np.arange(rows), 20):
        values = scale * rng.standard_normal((len(some), len(scale)), np.float32)
        written[some[0] : some[-1] + 1] = values


def in_child(code, *arguments):
    """Numbers that a process of its own prints, with a BLAS thread for each core."""
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    words = [sys.executable, "-c", code, *map(str, arguments)]
    child = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    return [float(word) for word in child.stdout.split()]


def large_diagnoses():
    """Wall seconds and peak megabytes of large diagnoses, and of the bare products of one.

    Of what was measured twice it is the faster.
    """
    with tempfile.TemporaryDirectory() as folder:
        scale = np.geomspace(1, 0.1, WIDTH, dtype=np.float32)
        for name, first in (("weak", 0), ("strong", SHARDS)):
            for part in range(SHARDS):
                write_features(Path(folder, f"{name}-{part}.npy"), LARGE, scale, first + part)
        one = [Path(folder, f"{name}-0.npy") for name in ("weak", "strong")]
        every = [Path(folder, f"{name}-*.npy") for name in ("weak", "strong")]
        rounds = [
            [
                in_child(LARGE_DIAGNOSIS, *one),
                in_child(BARE_PRODUCTS, *one, "float64"),
                in_child(BARE_PRODUCTS, *one, "float32"),
            ]
            for _ in range(2)
        ]
        (whole, *parts, peak), (in_double,), (in_single,) = map(min, zip(*rounds, strict=True))
        of_shards, *_, shards_peak = in_child(LARGE_DIAGNOSIS, *every)
        seconds = {
            f"diagnosis of {LARGE:,} x {WIDTH:,}": whole,
            "of it the first reading, for directions": parts[0],
            "the second, along them": parts[1],
            "leaving blocks out": parts[2],
            "its bare products in double precision": in_double,
            "in single precision": in_single,
            f"diagnosis of {SHARDS * LARGE:,} x {WIDTH:,} in {SHARDS} parts": of_shards,
        }
        by_one, by_two = in_child(CLUSTERS, *every)
        seconds |= {"by one worker of a cluster": by_one, "by two": by_two}
        return seconds, peak / 1e3, shards_peak / 1e3


def measure():
    """Run everything; each entry holds what was measured and the target."""
    pair, rng = GaussianPair.paper(d_sw=10), np.random.default_rng(0)

    def ours(n, N):
        return lambda trials: simulate(pair, n, N, trials, seed=0)

    ours(4000, 4000)(100)  # principal coordinates, LAPACK and caches are warm
    naive_ms, ours_ms, ratio = median_ratio(
        lambda: naive_trial(4000, 4000, rng), ours(4000, 4000), 200, rounds=9
    )
    *_, grows = median_ratio(
        lambda: ours(10**6, 10**6)(200), lambda trials: ours(4000, 4000)(200), 1, rounds=9
    )
    grid = [
        median_ratio(lambda n=n, N=N: naive_trial(n, N, rng), ours(n, N), 100, rounds=3)[2]
        for n, N in GRID
    ]
    naive_two_ms, two_ms, two_ratio = median_ratio(
        lambda: naive_trial(4000, 4000, rng, only_student=True),
        lambda trials: simulate_teacher_student(pair, 4000, 4000, trials, seed=0),
        20_000,
        rounds=9,
    )
    panels = {
        f"{kind} {d_sw} {noise}": GaussianPair.paper(d_sw, noise)
        for kind, settings in (("risk", EXCESS_RISK_PANELS), ("ratio", RATIO_PANELS))
        for d_sw, noise in settings
    }
    small = peak_megabytes(lambda: ours(4000, 4000)(100))
    large = peak_megabytes(lambda: ours(10**8, 10**8)(100))
    began = time.perf_counter()
    sweep = sweeps.run(panels, GRID, trials=40, seed=0, jobs=2)
    seconds = time.perf_counter() - began
    drawn = sum(len(risks.weak) for risks in sweep.risks.values())

    naive_probes, probes, difference = probe_speed()
    memory = {shape: diagnosis_megabytes(*shape) for shape in DIAGNOSES}
    large_seconds, peak, shards_peak = large_diagnoses()
    alone, ranked = in_child(RANKING, RANKED, RANKED_WIDTH, TEACHERS)

    def at_least(text, value, target):
        return {"what": text, "value": float(value), "target": target, "relation": "at least"}

    def at_most(text, value, target):
        return {"what": text, "value": float(value), "target": target, "relation": "at most"}

    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "scipy", "w2s-utils")},
        },
        "trials": drawn,
        "probe_seconds": {"SVD of every fit": naive_probes, "probe_sweep": probes},
        "milliseconds": {
            "direct, four models": 1e3 * naive_ms,
            "simulate": 1e3 * ours_ms,
            "direct, teacher and student": 1e3 * naive_two_ms,
            "simulate_teacher_student": 1e3 * two_ms,
        },
        "large_seconds": {
            **large_seconds,
            f"{TEACHERS} diagnoses of {RANKED:,} x {RANKED_WIDTH}": alone,
            f"one ranking of the {TEACHERS} teachers": ranked,
        },
        "diagnosis_megabytes": [[*shape, *found] for shape, found in memory.items()],
        "results": [
            at_least("four risks, n = N = 4000: times less CPU than direct", ratio, 20),
            at_least("four risks, mean over the published grid: times less CPU", np.mean(grid), 8),
            at_least("four risks, worst point of the published grid: times less CPU", min(grid), 8),
            at_least("teacher and student, n = N = 4000: times less CPU", two_ratio, 500),
            at_most("four risks, CPU at n = N = 10^6 over CPU at 4000", grows, 1.2),
            at_most(
                "four risks, peak memory at n = N = 10^8 over that at 4000", large / small, 1.05
            ),
            at_most("all published panels on two cores, seconds", seconds, 30),
            at_least(
                "probes, two sweeps of the age regression's shape: times less CPU than SVDs",
                naive_probes / probes,
                25,
            ),
            at_most("probes, largest relative difference of a test error", difference, 1e-6),
            at_most("diagnosis, most memory at any shape, MB", max(memory.values())[0], 1000),
            at_most(
                f"diagnosis of {SHARDS * LARGE:,} rows in parts over one of {LARGE:,}, memory",
                shards_peak / peak,
                1.1,
            ),
            at_least(
                f"diagnosis of {SHARDS * LARGE:,} rows on a cluster: one worker's time over two's",
                large_seconds["by one worker of a cluster"] / large_seconds["by two"],
                1.6,
            ),
            at_most("diagnosis, peak memory at 200,000 x 1,024, MB", peak, 600),
            at_most(f"ranking {TEACHERS} teachers: times as many diagnoses", ranked / alone, 1),
        ],
    }


def met(result):
    """Whether a result reaches its target."""
    if result["relation"] == "at least":
        return result["value"] >= result["target"]
    return result["value"] <= result["target"]


def render(run):
    """Write the run as a page of the book."""
    rows = "\n".join(
        f"| {r['what']} | {number(r['value'])} | {r['relation']} {r['target']:g} | "
        f"{'met' if met(r) else 'missed'} |"
        for r in run["results"]
    )
    times = "\n".join(
        f"| {what} | {number(1e3 * value)} |" for what, value in run["milliseconds"].items()
    )
    sweeps_of_probes = "\n".join(
        f"| {what} | {number(value)} |" for what, value in run["probe_seconds"].items()
    )
    memory = "\n".join(
        f"| {columns:,} | {directions:,} | {number(files)} | {number(peak)} |"
        for columns, directions, peak, files in run["diagnosis_megabytes"]
    )
    large = "\n".join(
        f"| {what} | {number(value)} |" for what, value in run["large_seconds"].items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return f"""# Speed

The samplers of {{py:mod}}`w2s_utils.simulation` draw the risks of a training set without drawing
the set. This page compares them with a direct simulation, written plainly: draw all inputs and
labels, fit each model by NumPy's least squares. The pair is the paper's with $d_{{sw}}=10$.

On real features, {{py:func}}`~w2s_utils.probes.probe_sweep` fits the four models at all sample
sizes from Gram products that grow with them. It is compared with a singular value decomposition
for every fit, at the shape of the paper's age regression: {ROWS:,} rows, {WEAK_COLUMNS} weak and
{STRONG_COLUMNS} strong columns, {len(PROBE_GRID)} points, ridge $10^{{-6}}$.

All numbers are from one run of `make bench` on {run["date"]}
({run["machine"]}; {versions}; one BLAS thread). They are CPU times, and what is compared took
turns. They do not change when the book is built: run `make bench` for your machine.

| measured | value | target | |
| --- | ---: | ---: | --- |
{rows}

The published panels are nine, with {run["trials"]:,} training sets in all.

| one trial of the probe sweeps | CPU, seconds |
| --- | ---: |
{sweeps_of_probes}

The paper has {PUBLISHED_TRIALS} trials; measured were 1 of the decompositions and {PROBE_TRIALS} of
`probe_sweep`.

| one training set, $n=N=4000$ | CPU, microseconds |
| --- | ---: |
{times}

The memory of {{py:func}}`~w2s_utils.diagnosis.diagnose` grows little with the directions that it
retains: {DIAGNOSED:,} rows in two float16 files, read in a process of its own.

| columns of each | directions of each | both files, MB | peak memory, MB |
| ---: | ---: | ---: | ---: |
{memory}

Large diagnoses use all cores. Beside them what any of them needs, $(W, S)^\\top(W, S)$, as one
general matrix product:

| two sets of half-precision files, or a ranking | wall, seconds |
| --- | ---: |
{large}

The cost of a direct simulation grows with $n+N$, that of the samplers does not:
{{py:func}}`~w2s_utils.simulation.simulate` draws triangular factors with a column for each
direction that matters, {{py:func}}`~w2s_utils.simulation.simulate_teacher_student` a single vector.
"""


def number(value):
    """Three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main():
    """Measure, write the results and the page, and compare with the targets."""
    run = measure()
    RESULTS.write_text(json.dumps(run, indent=2) + "\n")
    PAGE.write_text(render(run))
    for r in run["results"]:
        print(f"{r['what']}: {number(r['value'])} ({r['relation']} {r['target']:g})")
    sys.exit(0 if all(map(met, run["results"])) else 1)


if __name__ == "__main__":
    main()
