"""Studies and rankings on a Dask cluster."""

import os
import signal
from importlib import import_module

import numpy as np
import pytest

from tests.diagnosis.test_study import SIZES, models
from w2s_utils import _files, _workers
from w2s_utils._workers import WorkerError, _packed, _unpacked
from w2s_utils.diagnosis import blocks, diagnose, rank_teachers, second_pass, spread, study
from w2s_utils.diagnosis.rows import Reader
from w2s_utils.diagnosis.study import Study
from w2s_utils.io.files import open_features
from w2s_utils.io.shards import Picked, Shards

MODULE = import_module("w2s_utils.diagnosis.study")


def many(teachers=6):
    small, large, y = models()
    rng = np.random.default_rng(5)
    for k in range(teachers - len(small)):
        small[f"t{k}"] = small["s3"] + rng.standard_normal(small["s3"].shape).astype(np.float32)
    return small, large, y


def assert_same(one, other):
    """The same table, to rounding."""
    assert list(one.columns) == list(other.columns)
    for name in one.columns:
        if one[name].dtype == float:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-12)
        else:
            assert list(one[name]) == list(other[name])


def test_a_study_is_that_of_one_machine(cluster):
    small, large, y = many()
    here = study(small, large, y, **SIZES)
    there = study(small, large, y, **SIZES, cluster=cluster)
    assert_same(here.table, there.table)
    assert here.best.verdict.outcome == there.best.verdict.outcome


def test_a_ranking_is_that_of_one_machine(cluster):
    small, large, y = many()
    small["t0 again"] = small["t0"]  # equal risks: the order is the given one
    how = {**SIZES, "ridge": 0.1, "noise_variance": 0.2}
    here = rank_teachers(small, large["l1"], y, **how)
    there = rank_teachers(small, large["l1"], y, **how, cluster=cluster.scheduler.address)
    assert_same(here.table, there.table)
    assert here.ties == there.ties


HOWS = {
    "tuned": {},
    "as given, without ridge": {"ridge": 0, "as_given": True},
    "some directions are cut off": {"energy": 0.8},
    "three classes": {"classes": True},
    "groups": {"group": np.arange(2000) // 3},
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_a_diagnosis_is_that_of_one_machine(cluster, monkeypatch, how, dtype):
    """Its rows in five parts; half precision is multiplied in single."""
    monkeypatch.setattr(second_pass, "CHUNK", 1)  # 400 rows a time
    monkeypatch.setattr(spread, "RUN", 1)
    monkeypatch.setattr(blocks, "HELD", 3 * 10_000)  # so that rows are read again for some blocks
    rng = np.random.default_rng(0)
    W, S = (rng.standard_normal((2000, 30)) @ rng.standard_normal((30, d)) for d in (12, 9))
    y = W[:, 0] + S[:, 0] + 5 * rng.standard_normal(2000)
    y = np.digitize(y, [-3, 3]) if "classes" in HOWS[how] else y
    given = W.astype(dtype), S.astype(dtype), y
    here = diagnose(*given, **SIZES, **HOWS[how])
    there = diagnose(*given, **SIZES, **HOWS[how], cluster=cluster)
    precision = 1e-9 if dtype == np.float64 else 1e-5
    for one, other in ((here, there), (here.ridgeless, there.ridgeless)):
        np.testing.assert_allclose(one.table(), other.table(), rtol=precision)
        np.testing.assert_allclose(one.correlation.held_out, other.correlation.held_out, precision)
    assert (here.verdict, here.warnings) == (there.verdict, there.warnings)
    for mine, others in ((here.weak, there.weak), (here.strong, there.strong)):
        assert mine.leverage == pytest.approx(others.leverage, rel=100 * precision)
        assert vars(mine.cut) == pytest.approx(vars(others.cut), rel=100 * precision, nan_ok=True)
    np.testing.assert_array_equal(here.copies, there.copies)


def test_a_worker_that_is_killed_costs_a_diagnosis_nothing_but_time(cluster, monkeypatch):
    monkeypatch.setattr(second_pass, "CHUNK", 1)
    monkeypatch.setattr(spread, "RUN", 1)
    small, large, y = models()
    rows = [np.tile(X.astype(float).T, 3).T for X in (small["s3"], large["l1"], y)]
    here = diagnose(*rows, **SIZES)
    (lost, *_) = cluster.run(os.getpid).values()
    over, killed = spread.Spread.over, []

    def watched(self, chunks, readers, work):
        for result in over(self, chunks, readers, work):
            if not killed:
                os.kill(lost, signal.SIGKILL)
                killed.append(lost)
            yield result

    monkeypatch.setattr(spread.Spread, "over", watched)
    there = diagnose(*rows, **SIZES, cluster=cluster)
    np.testing.assert_allclose(here.table(), there.table(), rtol=1e-9)
    cluster.wait_for_workers(2)


def test_from_the_command_line(cluster, w2s, tmp_path):
    small, large, y = models()
    for name, X in (small | large).items():
        np.save(tmp_path / f"{name}.npy", X)
    np.save(tmp_path / "y.npy", y)
    weak = [word for name in small for word in ("--weak", tmp_path / f"{name}.npy")]
    options = ["--labels", tmp_path / "y.npy", "--n", 40, "--N", 300]
    address = ["--dask", cluster.scheduler.address]
    pair = ["--weak", tmp_path / "s1.npy", "--strong", tmp_path / "l1.npy"]
    words = [str(word) for word in ("diagnose", *pair, *options)]
    assert w2s(*words)[:2] == w2s(*words, *address)[:2]
    for students in (["l1"], ["l1", "l2"]):
        strong = [word for name in students for word in ("--strong", tmp_path / f"{name}.npy")]
        words = [str(word) for word in ("rank", *weak, *strong, *options)]
        here, there = w2s(*words), w2s(*words, *address)
        assert here[0] == there[0] == 0, there
        assert here[1] == there[1]


def test_a_killed_worker_costs_nothing_but_time(cluster, tmp_path, monkeypatch):
    small, large, y = many(10)
    (lost, *_) = cluster.run(os.getpid).values()
    write, written = MODULE.write_atomically, []

    def kill(path, content):
        if not written:
            os.kill(lost, signal.SIGKILL)
        written.append(path)
        write(path, content)

    monkeypatch.setattr(MODULE, "write_atomically", kill)
    there = study(small, large, y, **SIZES, cluster=cluster, checkpoints=tmp_path)
    assert len(written) == len(set(written)) == len([*tmp_path.iterdir()]) == 20
    assert_same(study(small, large, y, **SIZES).table, there.table)
    cluster.wait_for_workers(2)


def test_finished_pairs_are_kept_and_not_sent(cluster, tmp_path, monkeypatch):
    small, large, y = many()
    first = study(small, {"l1": large["l1"]}, y, **SIZES, cluster=cluster, checkpoints=tmp_path)
    sent = []

    def packed(task):
        some = task.__self__
        sent.extend((teacher, some.student) for teacher in some.teachers)
        return _packed(task)

    monkeypatch.setattr(_workers, "_packed", packed)
    whole = study(small, large, y, **SIZES, cluster=cluster, checkpoints=tmp_path)
    assert isinstance(whole, Study)
    assert {student for _, student in sent[: len(small)]} == {"l2"}
    assert len(sent) <= len(small) + 1  # the best pair, for its verdict
    kept = whole.table[whole.table["student"] == "l1"].reset_index(drop=True)
    assert_same(first.table, kept)


def test_what_is_wrong_with_a_pair_is_said_as_here(cluster):
    small, large, y = models()
    with pytest.raises(ValueError, match=r"Teacher bad, student l[12]: n must be below .* 9"):
        study({"bad": small["s1"][:9]}, large, y, **SIZES, cluster=cluster)
    teachers = {"bad": small["s1"][:9], **small}
    with pytest.raises(ValueError, match=r"Teacher bad: n must be below .* 9"):
        rank_teachers(teachers, large["l1"], y, **SIZES, cluster=cluster)
    more = {"unlabelled": (small, large["l1"]), "cluster": cluster}
    with pytest.raises(ValueError, match="cluster are for inputs of one kind"):
        rank_teachers(small, large["l1"], y, **SIZES, **more)


def test_other_versions_are_refused(cluster, monkeypatch):
    small, large, y = models()
    monkeypatch.setitem(_workers.VERSIONS, "numpy", "0.1")
    spread._about.cache_clear()
    with pytest.raises(WorkerError, match=r"computes with numpy .* instead of 0.1"):
        study(small, large, y, **SIZES, cluster=cluster)
    spread._about.cache_clear()


@pytest.mark.parametrize("module", ["diagnosis.sample", "diagnosis.pairs", "theory.ridge"])
def test_other_code_of_any_module_is_told_apart(monkeypatch, tmp_path, module):
    here, source, other = spread._about(), _files._source, tmp_path / "other.py"
    other.write_text("")
    altered = f"w2s_utils.{module}"
    monkeypatch.setattr(_files, "_source", lambda m: other if m == altered else source(m))
    there = spread._about.__wrapped__()
    assert {name for name in here if here[name] != there[name]} == {"the code of w2s_utils"}


def test_mapped_files_are_sent_by_name(tmp_path, monkeypatch):
    values = np.arange(60_000.0).reshape(3000, 20)
    for name, X in {"c": values, "f": np.asfortranarray(values)}.items():
        np.save(tmp_path / f"{name}.npy", X)
    monkeypatch.chdir(tmp_path)
    mapped = [open_features(f"{name}.npy") for name in "cf"]
    order = np.arange(3000)[::-1]
    sent = _packed((*mapped, Shards(mapped), Picked(mapped[0], order[:2]), mapped[0][5:7]))
    assert len(sent) < 5000
    monkeypatch.chdir("/")
    c, f, shards, picked, part = _unpacked(tuple, sent)
    assert isinstance(c, np.memmap)
    assert str(c.filename) == str(tmp_path / "c.npy")
    for X in (c, f, shards[3000:]):
        np.testing.assert_array_equal(X, values)
    np.testing.assert_array_equal(picked[:], values[[2999, 2998]])
    np.testing.assert_array_equal(part, values[5:7])
    changed = np.load(tmp_path / "c.npy", mmap_mode="c")
    changed[0] = -1  # in this process only
    assert _unpacked(np.array, _packed(changed))[0, 0] == -1


@pytest.mark.parametrize("where", ["memory", "file", "shards in memory", "rows of a file"])
def test_a_part_of_the_rows_takes_no_other_rows_along(tmp_path, where):
    values = np.random.default_rng(0).standard_normal((3000, 20))
    np.save(tmp_path / "x.npy", values)
    mapped = open_features(str(tmp_path / "x.npy"))
    features = {
        "memory": values,
        "file": mapped,
        "shards in memory": Shards([values[:1000], values[1000:]]),
        "rows of a file": Picked(mapped, np.arange(3000)),
    }[where]
    part = Reader("weak", features).within(slice(800, 1200))
    sent = _packed(part)
    assert len(sent) < (400 * 20 * 8 if "memory" in where else 3000 * 8) + 2000
    there = _unpacked(lambda reader: reader, sent)
    assert there.shape == (3000, 20)
    np.testing.assert_array_equal(there[900:1100], values[900:1100])
