"""`w2s diagnose` and `w2s rank` of labelled, unlabelled and test inputs in files of their own."""

import json

import numpy as np
import pandas as pd
import pytest

ROWS = {"labelled": 400, "unlabelled": 300, "test": 300}
SIZES = ("--n", "60", "--N", "200")


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """Features and labels of each set in files, and of all in one, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(20250212)
    every = []
    for k, (role, rows) in enumerate(ROWS.items()):
        Z = 0.3 * k + rng.standard_normal((rows, 12)) * np.geomspace(1, 1 + k / 2, 12)
        y = Z @ np.linspace(1, 0.5, 12) + rng.standard_normal(rows)
        every.append((Z[:, :8], Z[:, 5:], y))
        for name, values in zip("wsy", every[-1], strict=True):
            np.save(f"{role}_{name}.npy", values)
        np.save(f"{role}_few.npy", Z[:, :3])
    W, S, y = map(np.concatenate, zip(*every, strict=True))
    y[400:] = np.nan
    np.savez("all.npz", w=W, few=W[:, :3], s=S, y=y)
    pd.DataFrame({"role": np.repeat([*ROWS], [*ROWS.values()])}).to_csv("split.csv", index=False)
    names = np.where(np.arange(1000) % 3, "<b>hard", "easy")
    pd.DataFrame({"group": names}).to_csv("groups_of_all.csv", index=False)
    pd.DataFrame({"group": names[700:]}).to_csv("groups.csv", index=False)
    return tmp_path


LABELLED = ("--weak", "labelled_w.npy", "--strong", "labelled_s.npy", "--labels", "labelled_y.npy")
POOL = ("--unlabelled-weak", "unlabelled_w.npy", "--unlabelled-strong", "unlabelled_s.npy")
TEST = ("--test-weak", "test_w.npy", "--test-strong", "test_s.npy")
ALL = ("--weak", "all.npz::w", "--strong", "all.npz::s", "--labels", "all.npz::y",
       "--split", "split.csv")  # fmt: skip


def strict(path):
    return json.loads(path.read_text(), parse_constant=pytest.fail)


def student(path):
    return [point["student"] for point in strict(path)["predictions"]]


def test_diagnosis_of_three_sets_and_groups(w2s, sets):
    code, out, err = w2s("diagnose", *LABELLED, *POOL, *TEST, "--test-labels", "test_y.npy",
                         "--groups", "groups.csv", "--out", "r")  # fmt: skip
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if len(line) > 80] == []
    flat = " ".join(out.split())
    assert "Teacher labelled_w.npy, student labelled_s.npy: 400 labelled, 300 unlabelled," in flat
    assert "Groups of test inputs at n =" in flat
    found = strict(sets / "r/diagnosis.json")
    assert found["rows"] == ROWS
    assert found["labels_known"] == {"labelled": True, "unlabelled": False, "test": True}
    assert set(found["groups"]) == {"<b>hard", "easy"}
    assert found["verdict"]["headline"] in flat
    html = (sets / "r/report.html").read_text()
    assert "<b>hard" not in html
    assert "&lt;b&gt;hard" in html


def test_one_file_with_a_split_gives_what_three_files_give(w2s, sets):
    assert w2s("diagnose", *LABELLED, *POOL, *TEST, *SIZES, "--out", "three")[0] == 0
    code, out, err = w2s("diagnose", *ALL, *SIZES, "--out", "one")
    assert (code, err) == (0, "")
    assert "Test inputs have no labels" in " ".join(out.split())
    one, three = (student(sets / f"{name}/diagnosis.json") for name in ("one", "three"))
    assert one == pytest.approx(three, rel=1e-12)
    code, _, _ = w2s("diagnose", *ALL, *SIZES, "--groups", "groups_of_all.csv", "--out", "groups")
    assert code == 0
    # Groups put test rows into other blocks, which a jackknife takes off by turns.
    assert student(sets / "groups/diagnosis.json") == pytest.approx(three, rel=0.03)
    assert len(strict(sets / "groups/diagnosis.json")["groups"]) == 2


def test_words_are_classes_in_all_sets(w2s, sets):
    for role in ("labelled", "test"):
        y = np.load(f"{role}_y.npy")
        pd.DataFrame({"mood": np.where(y > 0, "good", "bad")}).to_csv(f"{role}.csv", index=False)
    code, _, err = w2s("diagnose", *LABELLED[:-1], "labelled.csv", *POOL, *TEST, *SIZES,
                       "--test-labels", "test.csv", "--out", "r")  # fmt: skip
    assert (code, err) == (0, "")
    assert strict(sets / "r/diagnosis.json")["unshifted"]["classes"] == ["bad", "good"]


@pytest.mark.parametrize("groups", [(), ("--groups", "groups.csv")])
def test_teachers_are_ranked_for_the_test_inputs(w2s, sets, groups):
    code, out, err = w2s(
        "rank", *LABELLED, "--weak", "labelled_few.npy", *POOL, *TEST, *groups,
        "--unlabelled-weak", "unlabelled_few.npy", "--test-weak", "test_few.npy", *SIZES,
        "--out", "r",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if len(line) > 80] == []
    found = strict(sets / "r/ranking.json")
    assert [row["teacher"] for row in found["ranking"]] == ["labelled_w.npy", "labelled_few.npy"]
    assert found["diagnoses"]["labelled_few.npy"]["rows"] == ROWS


def test_teachers_are_ranked_by_a_split(w2s, sets):
    code, out, err = w2s("rank", *ALL, "--weak", "all.npz::few", "--out", "r")
    assert (code, err) == (0, "")
    found = strict(sets / "r/ranking.json")
    assert (found["n"], found["N"]) == (32, 70)  # 4 a weak column, 10 a strong one
    assert "Take all.npz::w" in " ".join(out.split())


def test_pools_are_ranked(w2s, sets):
    pool = "--unlabelled-weak", "test_w.npy", "--unlabelled-strong", "test_s.npy"
    code, out, err = w2s("rank", *LABELLED, *POOL, *pool, *TEST, *SIZES, "--out", "r")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if len(line) > 80] == []
    found = strict(sets / "r/ranking.json")
    order = [row["pool"] for row in found["ranking"]]
    assert sorted(order) == ["test_w.npy", "unlabelled_w.npy"]
    assert f"Pseudo-label {order[0]}" in " ".join(out.split())
    assert "Which pool for labelled_s.npy?" in (sets / "r/report.html").read_text()


def save(name, change):
    def make():
        np.save("bad.npy", change(np.load(name)))

    return make


def with_nan(X):
    X[3, 1] = np.nan
    return X


def lacking():
    values = dict(np.load("all.npz"))
    values["y"][5] = np.nan
    np.savez("all.npz", **values)


def strange_words():
    pd.DataFrame({"role": ["train"] * 1000}).to_csv("split.csv", index=False)


@pytest.mark.parametrize(
    ("make", "command", "message"),
    [
        (save("test_w.npy", with_nan),
         ("diagnose", *LABELLED, *TEST, "--test-weak", "bad.npy"), "weak (test)[0:300] must be"),
        (save("test_w.npy", lambda X: X[:, 1:]),
         ("diagnose", *LABELLED, *TEST, "--test-weak", "bad.npy"), "need the same columns in all"),
        (save("test_s.npy", lambda X: X[:99]),
         ("diagnose", *LABELLED, *TEST, "--test-strong", "bad.npy"), "weak has 300, strong has 99"),
        (save("test_y.npy", lambda y: y[:99]),
         ("diagnose", *LABELLED, *TEST, "--test-labels", "bad.npy"), "labels has 99"),
        (save("test_y.npy", lambda y: np.arange(300)),
         ("diagnose", *LABELLED, *TEST, "--groups", "bad.npy"), "has 1 test rows: at least 40"),
        (None, ("diagnose", *LABELLED, *POOL), "Say which inputs count: give test"),
        (None, ("diagnose", *LABELLED, *TEST[:2]), "must come 1 and 1 times"),
        (None, ("diagnose", *LABELLED, "--test-labels", "test_y.npy"), "--test-labels needs"),
        (None, ("diagnose", *LABELLED, *TEST, "--verify"), "are for inputs of one kind"),
        (None, ("diagnose", *LABELLED, *TEST, "--replicates", "test_y.npy"), "of one kind"),
        (None, ("diagnose", *LABELLED, *TEST, "--groups", "groups_of_all.csv"), "each of 300 test"),
        (None, ("diagnose", *ALL, *TEST), "--split says it all"),
        (lacking, ("diagnose", *ALL), "1 of 400 labelled rows lack their label"),
        (strange_words, ("diagnose", *ALL), "or test of each row, got 'train'"),
        (None, ("diagnose", *ALL, "--groups", "groups.csv"), "groups must name one for each of"),
        (None, ("rank", *LABELLED, *POOL, *POOL, *TEST), "At least two pools"),
        (None, ("rank", *LABELLED, *POOL, "--unlabelled-weak", "test_w.npy",
                "--unlabelled-strong", "test_s.npy"), "Say which inputs count: --test-weak"),
        (None, ("rank", *LABELLED, "--weak", "labelled_few.npy", *TEST), "must come 2 and 1 times"),
        (None, ("rank", *LABELLED, *LABELLED[:2], *TEST), "The same file was given for --weak"),
        (None, ("rank", *ALL), "At least two teachers"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(w2s, sets, make, command, message):
    if make is not None:
        make()
    code, out, err = w2s(*command)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
