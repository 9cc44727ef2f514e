import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.known import as_matrix
from tests.small_sweep import BLOCKS, GRID, PAIRS, POINTS, assert_identical, finished
from w2s_utils import metrics, sweeps
from w2s_utils.cli import app
from w2s_utils.errors import UserError
from w2s_utils.metrics import MODELS, Risks
from w2s_utils.pair import GaussianPair
from w2s_utils.theory.exact import expected_risks


@pytest.fixture(scope="module")
def reference():
    return sweeps.run(**GRID)


def test_two_processes_give_the_same_bits(reference):
    assert_identical(reference, sweeps.run(**GRID, jobs=2))


def test_the_rest_of_the_grid_its_order_and_more_trials_change_nothing(reference):
    backwards = {name: PAIRS[name] for name in reversed(PAIRS)}
    assert_identical(reference, sweeps.run(**GRID | {"pairs": backwards, "points": POINTS[::-1]}))
    for trials in range(101, 113):  # BLAS rounds the last few rows of a product differently
        fewer = sweeps.run(**GRID | {"points": POINTS[1:2], "trials": trials})
        for cell, risks in fewer.risks.items():
            same = as_matrix(reference.risks[cell])[:trials]
            np.testing.assert_array_equal(as_matrix(risks), same)


def test_cells_and_seeds_have_streams_of_their_own(reference):
    other = sweeps.run(**GRID | {"seed": 4})
    renamed = sweeps.run(**GRID | {"pairs": {"other name": PAIRS["generic"]}})
    columns = [sweep.risks[cell].weak for sweep in (reference, other) for cell in sweep.risks]
    columns.append(renamed.risks["other name", 40, 30].weak)
    assert len({column.tobytes() for column in columns}) == len(columns)
    blocks = np.split(reference.risks["generic", 40, 30].weak, [100, 200])
    assert len({block[:30].tobytes() for block in blocks}) == 3


def test_means_are_exact(reference):
    for pair, n, N in [cell for cell in reference.risks if cell.n != 8]:
        expected = expected_risks(PAIRS[pair], n, N)
        for model in MODELS:
            estimate = metrics.mean(reference.risks[pair, n, N][model])
            assert abs(estimate.z_score(float(expected[model]))) < 4


def test_number_of_blas_threads_changes_nothing():
    """At this size OpenBLAS rounds differently with two threads, unless it is held to one."""
    code = (
        "from w2s_utils import sweeps; from w2s_utils.pair import GaussianPair;"
        "pair = GaussianPair.paper(50, d_w=600, d_s=300);"
        "risks = sweeps.run({'p': pair}, [(4000, 4000)], 2, 0).risks['p', 4000, 4000];"
        "print(*(float(x).hex() for x in (*risks.baseline, *risks.ceiling)))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"OMP_NUM_THREADS": k, "OPENBLAS_NUM_THREADS": k},
            capture_output=True,
            check=True,
        ).stdout
        for k in "12"
    }
    assert len(outputs) == 1


# --- Interruptions --------------------------------------------------------------------------------


def test_a_killed_sweep_resumes_to_the_same_bits(reference, tmp_path):
    code = (
        "import os, signal, sys; from tests.small_sweep import BLOCKS, GRID;"
        "from w2s_utils import sweeps;"
        "die = lambda done, _: done == BLOCKS // 2 and os.kill(os.getpid(), signal.SIGKILL);"
        "sweeps.run(**GRID, checkpoints=sys.argv[1], progress=die)"
    )
    sweep = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert sweep.returncode == -signal.SIGKILL
    before = finished(tmp_path)
    assert len(before) == BLOCKS // 2

    steps = []
    resumed = sweeps.run(**GRID, checkpoints=tmp_path, progress=lambda *step: steps.append(step))
    assert_identical(reference, resumed)
    assert steps == [(done, BLOCKS) for done in range(len(before) + 1, BLOCKS + 1)]
    after = finished(tmp_path)
    assert len(after) == BLOCKS
    assert before.items() <= after.items()  # what was finished has not been written again


def test_only_what_is_missing_is_drawn_again(tmp_path):
    def drawn(**changed):
        steps = []
        sweeps.run(**GRID | changed, checkpoints=tmp_path, progress=lambda *s: steps.append(s))
        return len(steps)

    assert drawn() == BLOCKS
    assert drawn() == 0
    next(tmp_path.glob("*.npy")).unlink()
    assert drawn() == 1
    assert drawn(points=[*POINTS, (70, 30)]) == 2 * 3
    assert drawn(trials=300) == 2 * 3  # the last block of each cell was shorter
    # The same names for another pair, another seed or risk: nothing may be taken from the folder.
    changed = PAIRS | {"generic": replace(PAIRS["generic"], noise_variance=0.8)}
    assert drawn(pairs=changed) == BLOCKS // 2
    assert drawn(seed=4) == BLOCKS
    assert drawn(risk="transductive") == BLOCKS


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
        lambda content: content[:-32],  # an array without its hash
    ],
    ids=["truncated", "empty", "one bit", "no hash"],
)
def test_a_damaged_block_is_drawn_anew(reference, tmp_path, damage):
    sweeps.run(**GRID, checkpoints=tmp_path)
    block = sorted(tmp_path.glob("*.npy"))[0]
    intact = block.read_bytes()
    block.write_bytes(damage(intact))
    steps = []
    again = sweeps.run(**GRID, checkpoints=tmp_path, progress=lambda *step: steps.append(step))
    assert_identical(reference, again)
    assert steps == [(BLOCKS, BLOCKS)]
    assert block.read_bytes() == intact


def test_a_block_under_the_name_of_another_is_drawn_anew(reference, tmp_path):
    sweeps.run(**GRID, checkpoints=tmp_path)
    one, other, *_ = sorted(tmp_path.glob("*.npy"))
    intact = other.read_bytes()
    shutil.copy(one, other)
    steps = []
    again = sweeps.run(**GRID, checkpoints=tmp_path, progress=lambda *step: steps.append(step))
    assert_identical(reference, again)
    assert steps == [(BLOCKS, BLOCKS)]
    assert other.read_bytes() == intact


def test_a_dask_cluster_gives_the_same_bits(reference, cluster):
    assert_identical(reference, sweeps.run(**GRID, cluster=cluster))
    assert_identical(reference, sweeps.run(**GRID, cluster=cluster.scheduler.address))


def test_a_dask_worker_that_is_killed_costs_nothing_but_time(cluster, tmp_path):
    grid = GRID | {"trials": 1000}
    pids = cluster.run(os.getpid)
    steps = []

    def kill_one(done, total):
        steps.append(done)
        if done == 10:
            os.kill(next(iter(pids.values())), signal.SIGKILL)

    survived = sweeps.run(**grid, cluster=cluster, checkpoints=tmp_path, progress=kill_one)
    cluster.wait_for_workers(2)
    assert set(cluster.run(os.getpid).values()) != set(pids.values())
    assert steps == list(range(1, len(steps) + 1))
    assert len(finished(tmp_path)) == len(steps) == 2 * 3 * 10
    assert_identical(survived, sweeps.run(**grid))


# --- The table ------------------------------------------------------------------------------------


def test_table_has_a_row_per_cell_and_metric(reference):
    table = reference.table().set_index(["pair", "n", "N", "metric"])
    assert len(table) == 6 * 8
    risks = reference.risks["aligned", 60, 30]
    row = table.loc["aligned", 60, 30, "student"]
    assert row["mean"] == pytest.approx(risks.student.mean())
    assert row["std"] == pytest.approx(risks.student.std(ddof=1))
    assert row["standard_error"] == pytest.approx(risks.student.std(ddof=1) / np.sqrt(230))
    assert row["q05"] == pytest.approx(np.quantile(risks.student, 0.05))
    assert row["q50"] == pytest.approx(np.median(risks.student))
    assert row["trials"] == 230
    for metric, per_trial, of_means in (
        ("pgr", risks.pgr, metrics.pgr(risks)),
        ("opr", risks.opr, metrics.opr(risks)),
    ):
        row = table.loc["aligned", 60, 30, metric]
        assert row["trials"] == np.isfinite(per_trial).sum()
        assert row["mean"] == pytest.approx(np.nanmean(per_trial))
        row = table.loc["aligned", 60, 30, f"{metric}_of_means"]
        assert row["mean"] == pytest.approx(of_means.value)
        assert row["standard_error"] == pytest.approx(of_means.standard_error)


def test_trials_without_a_gap_are_left_out_and_counted():
    risks = Risks(*np.array([[1.0, 2, 3, 4], [1, 1, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]]))
    table = sweeps.Sweep({sweeps.Cell("p", 1, 1): risks}, 4, 0, "population", {}).table()
    row = table.set_index("metric").loc["pgr"]
    assert row["trials"] == 2
    assert row["mean"] == pytest.approx((2 / 1 + 3 / 2) / 2)
    none = Risks(*np.array([[1.0, 1], [1, 1], [2, 2], [2, 2]]))
    table = sweeps.Sweep({sweeps.Cell("p", 1, 1): none}, 2, 0, "population", {}).table()
    row = table.set_index("metric").loc["pgr"]
    assert row["trials"] == 0
    assert np.isnan(row["mean"])


def test_saved_table_tells_where_it_comes_from(reference, tmp_path):
    reference.save(tmp_path / "sweep.csv")
    first = (tmp_path / "sweep.csv").read_text().splitlines()[0]
    about = json.loads(first.removeprefix("# "))
    assert (about["seed"], about["trials"], about["risk"]) == (3, 230, "population")
    assert about["versions"]["numpy"] == np.__version__
    read = pd.read_csv(tmp_path / "sweep.csv", comment="#")
    pd.testing.assert_frame_equal(read, reference.table(), rtol=1e-14)
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.csv"]


# --- Requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pairs": {}}, "at least one pair and one point"),
        ({"points": []}, "at least one pair and one point"),
        ({"points": [(3.5, 30)]}, "n must hold whole numbers"),
        ({"points": [(30, 0)]}, "N must exceed zero"),
        ({"trials": 1}, "trials must exceed one"),
        ({"trials": 2.5}, "trials must hold whole numbers"),
        ({"trials": np.nan}, "trials must be finite"),
        ({"trials": [20, 30]}, "trials must be one whole number"),
        ({"trials": 10**12}, "6 cells of 1000000000000 trials take 384,000 GB of memory"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"seed": 0.5}, "seed must be a whole number >= 0, got 0.5"),
        ({"jobs": 0}, "jobs must be a number of processes or -1 for one a core, got 0"),
        ({"jobs": -2}, "jobs must be a number of processes or -1 for one a core, got -2"),
        ({"risk": "train"}, "'population' or 'transductive', got 'train'"),
    ],
)
def test_bad_requests_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        sweeps.run(**GRID | changed)


def test_command_line_says_what_cannot_be_done(tmp_path):
    command = f"sweep {tmp_path / 'table.csv'} --n 30 --N 50 --d-sw 300"
    with pytest.raises(UserError, match="d_sw must be between 0 and"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_command_line(tmp_path):
    output = tmp_path / "table.csv"
    command = f"sweep {output} --n 30 --n 1000000 --N 50 --d-w 6 --d-s 4 --d-sw 0 --d-sw 2"
    result = CliRunner().invoke(app, f"{command} --trials 20", catch_exceptions=False)
    assert result.exit_code == 0
    assert "4 cells of 20 trials" in result.output
    table = pd.read_csv(output, comment="#").set_index(["pair", "n", "N", "metric"])
    assert len(table) == 4 * 8
    pair = GaussianPair.paper(2, d_w=6, d_s=4)
    row = table.loc["d_sw=2", 10**6, 50, "student"]
    expected = float(expected_risks(pair, 10**6, 50).student)
    assert abs(row["mean"] - expected) < 4 * row["standard_error"]
