"""`w2s diagnose` and `w2s rank` from files to reports, and what they refuse."""

import json

import numpy as np
import pandas as pd
import pytest

ROWS, HALF = 600, 300


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Features, labels and classes in files of each kind, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(20250212)
    X = rng.standard_normal((ROWS, 12))
    weak, strong = X[:, :8], X[:, 5:]
    clean = X @ np.linspace(1, 0.5, 12)
    labels, again = (clean + rng.standard_normal(ROWS) for _ in range(2))
    again[::3] = np.nan
    np.save("weak.npy", weak.astype(np.float16))
    np.save("other.npy", X[:, :5] + 0.3 * rng.standard_normal((ROWS, 5)))
    np.savez("both.npz", small=weak, large=strong.astype(np.float32))
    pd.DataFrame(strong).to_csv("strong.csv", index=False)
    np.savetxt("plain.csv", strong, delimiter=",")
    pd.DataFrame(strong).rename(columns=str).to_parquet("strong.parquet")
    np.save("strong.npy", strong)
    np.save("labels.npy", labels)
    np.save("again.npy", again)
    mood = np.where(labels > 0, "<b>&good", "bad")
    people = pd.DataFrame({"age": labels, "mood": mood})
    people.to_csv("people.csv", index=False)
    people.to_parquet("people.parquet")
    pd.DataFrame({"mood": mood}).to_csv("mood.csv", index=False)
    return tmp_path


def diagnose(w2s, weak="weak.npy", strong="strong.npy", labels="labels.npy", *more):
    given = ["--weak", weak, "--strong", strong, "--labels", labels]
    return w2s("diagnose", *given, *map(str, more))


def strict(path):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.mark.parametrize(
    ("weak", "strong", "labels"),
    [
        ("weak.npy", "strong.npy", "labels.npy"),
        ("both.npz::small", "both.npz::large", "people.csv::age"),
        ("weak.npy", "strong.csv", "labels.npy"),
        ("weak.npy", "plain.csv", "mood.csv"),
        ("weak.npy", "strong.npy", "people.csv::mood"),
        ("weak.npy", "strong.parquet", "people.parquet::mood"),
    ],
)
def test_diagnosis_from_files_of_each_kind(w2s, pair, weak, strong, labels):
    code, out, err = diagnose(w2s, weak, strong, labels, "--out", "report")
    assert (code, err) == (0, "")
    assert f"Teacher {weak}, student {strong}: {ROWS} rows" in " ".join(out.split())
    assert [line for line in out.splitlines() if len(line) > 80] == []
    found = strict(pair / "report/diagnosis.json")
    assert (found["d_w"], found["d_s"]) == (8, 7)
    assert abs(found["correlation_dimension"]["estimate"] - 3) < 0.5
    assert found["verdict"]["headline"] in " ".join(out.split())
    assert found["noise_variance"] is None
    classes = ["<b>&good", "bad"] if "mood" in labels else None
    assert found["classes"] == classes
    html = (pair / "report/report.html").read_text()
    assert "<b>&good" not in html
    assert ("&lt;b&gt;&amp;good" in html) == (classes is not None)


def test_shards_in_another_order_are_joined_by_ids_and_copies_by_groups(w2s, pair):
    ids = np.random.default_rng(0).permutation(ROWS)
    people = pd.read_csv("people.csv").assign(id=[f"person {i}" for i in range(ROWS)])
    people.to_csv("people.csv", index=False)
    strong = np.load("strong.npy")[ids]
    for folder, parts in (("one", [strong]), ("many", np.array_split(strong, 3))):
        (pair / folder).mkdir()
        for number, part in enumerate(parts):
            np.save(f"{folder}/part-{number}.npy", part)
        people["id"][ids].to_csv(f"{folder}/rows.csv", index=False)
    (pair / "teacher").mkdir()
    np.save("teacher/weak.npy", np.load("weak.npy"))
    people["id"].to_csv("teacher/rows.csv", index=False)
    plain = diagnose(w2s, "weak.npy", "strong.npy", "people.csv::age", "--n", 50, "--N", 200)
    for folder in ("one/part-0.npy", "many/part-*.npy"):
        joined = diagnose(w2s, "teacher/weak.npy", folder, "people.csv::age", "--n", 50, "--N",
                          200, "--id", "id")  # fmt: skip
        assert joined[0] == plain[0] == 0
        assert joined[1].splitlines()[2:] == plain[1].splitlines()[2:]
    code, out, err = diagnose(
        w2s, "teacher/weak.npy", "strong.npy", "people.csv::age", "--id", "id"
    )
    assert (code, out) == (2, "")
    assert "write the ids of its rows to rows.csv in its folder" in err
    pd.DataFrame({"who": np.arange(ROWS) // 2}).to_csv("who.csv", index=False)
    code, out, err = diagnose(w2s, "weak.npy", "strong.npy", "labels.npy", "--group", "who.csv")
    assert (code, err) == (0, "")
    assert f"{ROWS} rows in {HALF} groups" in " ".join(out.split())
    code, out, err = w2s(
        "rank", "--weak", "weak.npy", "--weak", "other.npy", "--strong", "strong.npy",
        "--labels", "labels.npy", "--group", "who.csv",
    )  # fmt: skip
    assert (code, err) == (0, "")


def test_options_reach_the_diagnosis(w2s, pair):
    code, out, _ = diagnose(
        w2s, "weak.npy", "strong.npy", "labels.npy", "--replicates", "again.npy",
        "--n", 20, "--n", 60, "--N", 200, "--ridge", 0.01, "--energy", 0.9, "--out", "a/b",
    )  # fmt: skip
    assert code == 0
    assert "expected excess risk" in out
    found = strict(pair / "a/b/diagnosis.json")
    assert [(p["n"], p["N"]) for p in found["predictions"]] == [(20, 200), (60, 200)]
    assert (found["ridge"], found["energy"]) == ([0.01] * 4, 0.9)
    noise = found["noise_variance"]
    assert abs(noise["value"] - 1) < 4 * noise["standard_error"]
    assert found["residual_w"]["value"] - noise["value"] == pytest.approx(found["rho_w"])


def test_sigma2_is_taken_as_given_and_classes_can_be_numbers(w2s, pair):
    code, _, _ = diagnose(
        w2s, "weak.npy", "strong.npy", "labels.npy", "--sigma2", 0.5, "--numbers", "--out", "r"
    )
    assert code == 0
    noise = strict(pair / "r/diagnosis.json")["noise_variance"]
    assert noise == {"value": 0.5, "standard_error": 0}


def test_verification_is_shown_beside_the_prediction(w2s, pair):
    code, out, _ = diagnose(
        w2s, "weak.npy", "strong.npy", "labels.npy", "--n", 60, "--n", 120, "--N", 100, "--N", 9999,
        "--verify", "--out", "r",
    )  # fmt: skip
    assert code == 0
    assert "Predicted / measured" in out
    checked = strict(pair / "r/diagnosis.json")["verification"]
    assert {(row["n"], row["N"]) for row in checked} == {(60, 100), (120, 100)}  # 9999 do not fit
    assert {row["quantity"] for row in checked} >= {"student", "pgr", "opr"}


def test_classes_have_accuracies_of_either_loss(w2s, pair):
    sizes = "--n", 100, "--N", 1000
    code, out, _ = diagnose(w2s, "weak.npy", "strong.npy", "mood.csv", *sizes)
    assert code == 0
    assert "Accuracy at N = 1,000, % (least squares)" in out
    code, out, _ = diagnose(
        w2s, "weak.npy", "strong.npy", "mood.csv", *sizes, "--loss", "cross-entropy", "--out", "r"
    )
    assert code == 0
    assert "Accuracy at N = 1,000, % (logistic probes)" in out
    assert strict(pair / "r/diagnosis.json")["classification"]["loss"] == "cross-entropy"
    code, out, _ = w2s(
        "rank", "--weak", "weak.npy", "--weak", "other.npy", "--strong", "strong.npy",
        "--labels", "mood.csv", "--n", "100", "--N", "1000", "--by", "accuracy",
    )  # fmt: skip
    assert code == 0
    assert "by the student's share of wrong answers" in out


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ("labels.npy", ["--loss", "cross-entropy"], "The cross-entropy is for classes"),
        ("mood.csv", ["--loss", "hinge"], 'loss must be "squared" or "cross-entropy"'),
        ("mood.csv", ["--loss", "cross-entropy", "--as-given"], "have an intercept"),
    ],
)
def test_a_loss_that_does_not_fit_is_one_sentence(w2s, pair, labels, options, message):
    code, out, err = diagnose(
        w2s, "weak.npy", "strong.npy", labels, "--n", 100, "--N", 1000, *options
    )
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_ranking_from_files(w2s, pair):
    code, out, err = w2s(
        "rank", "--weak", "weak.npy", "--weak", "other.npy", "--strong", "both.npz::large",
        "--labels", "labels.npy", "--out", "r",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if len(line) > 80] == []
    found = strict(pair / "r/ranking.json")
    assert (found["n"], found["N"]) == (32, 70)  # 4 a weak column, 10 a strong one
    order = [row["teacher"] for row in found["ranking"]]
    assert sorted(order) == ["other.npy", "weak.npy"]
    risks = [row["student"] for row in found["ranking"]]
    assert risks == sorted(risks)
    assert f"Take {order[0]}" in out
    assert order[1] in (pair / "r/report.html").read_text()


def test_ways_through_a_middle_model_from_files(w2s, pair):
    files = ["--weak", "weak.npy", "--chain", "other.npy", "--strong", "strong.csv"]
    code, out, err = w2s("rank", *files, "--labels", "people.csv::age", "--out", "r")
    assert (code, err) == (0, "")
    found = strict(pair / "r/ranking.json")
    ways = [row["route"] for row in found["routes"]]
    assert set(ways) == {
        "one step", "through other.npy", "committee with other.npy", "other.npy as teacher",
    }  # fmt: skip
    assert found["advice"] in " ".join(out.split())
    assert (found["n"], found["N"], found["rows"]) == (32, 70, ROWS)
    assert "How to teach strong.csv?" in (pair / "r/report.html").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--weak", "other.npy"], "--chain starts at one teacher, got 2 --weak."),
        (["--ridge", "1", "--ridge", "1", "--ridge", "1", "--ridge", "1"], "takes one --ridge"),
        (["--by", "accuracy"], "--chain has risks on inputs of one kind: leave out --by."),
        (["--groups", "mood.csv"], "leave out --groups."),
        (["--chain", "./other.npy"], "Two middle models have files of the same name"),
    ],
)
def test_odd_chains_are_one_sentence_and_exit_code_2(w2s, pair, more, said):
    files = ["--weak", "weak.npy", "--chain", "other.npy", "--strong", "strong.npy"]
    code, _, err = w2s("rank", *files, "--labels", "labels.npy", *more)
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_misfit_of_predictions_stands_beside_the_prediction(w2s, pair):
    rng = np.random.default_rng(0)
    np.save("teacher.npy", rng.standard_normal(200))
    np.save("student.npy", rng.standard_normal(200))
    given = "--n", 50, "--N", 300, "--ridge", 0
    says = "--teacher-says", "teacher.npy", "--student-says", "student.npy"
    code, out, err = diagnose(
        w2s, "weak.npy", "strong.npy", "labels.npy", *given, *says, "--out", "r"
    )
    assert (code, err) == (0, "")
    told = " ".join(out.split())
    assert "Teacher and student differ by" in told
    assert "with one the reading overlooks more" not in told
    found = strict(pair / "r/diagnosis.json")["misfit_meter"]
    apart = np.mean((np.load("teacher.npy") - np.load("student.npy")) ** 2)
    assert found["misfit"]["value"] == pytest.approx(apart)
    assert "By the misfit" in (pair / "r/report.html").read_text()
    _, out, _ = diagnose(w2s, "weak.npy", "strong.npy", "labels.npy", *given[:4], *says)
    assert "with one the reading overlooks more" in " ".join(out.split())
    for options, said in (
        (says[:2], "Give both --teacher-says and --student-says, or neither."),
        (says, "Say with one --N on how many pseudo-labels the student was trained."),
    ):
        code, _, err = diagnose(w2s, "weak.npy", "strong.npy", "labels.npy", *options)
        assert code == 2
        assert said in " ".join(err.split())


def test_small_n_of_a_ranking_can_be_asked_for(w2s, pair):
    files = ["--weak", "weak.npy", "--weak", "other.npy", "--strong", "strong.npy"]
    code, out, _ = w2s("rank", *files, "--labels", "labels.npy", "--n", "50", "--N", "400")
    assert code == 0
    assert "n = 50, N = 400" in out


@pytest.mark.parametrize("size", ["--n", "--N"])
def test_no_samples_are_no_default_of_a_ranking(w2s, pair, size):
    files = ["--weak", "weak.npy", "--weak", "other.npy", "--strong", "strong.npy"]
    code, _, err = w2s("rank", *files, "--labels", "labels.npy", size, "0")
    assert code == 2
    assert f"{size[2:]} must exceed zero" in err


def without_finite(pair):
    X = np.load("strong.npy")
    X[5, 2] = np.nan
    np.save("bad.npy", X)


def infinite_labels(pair):
    y = np.load("labels.npy")
    y[0] = np.inf
    np.save("bad.npy", y)


def constant(pair):
    np.save("bad.npy", np.ones((ROWS, 3)))


def short(pair):
    np.save("bad.npy", np.load("strong.npy")[:HALF])


def vector(pair):
    np.save("bad.npy", np.load("labels.npy"))


def complex_numbers(pair):
    np.save("bad.npy", np.load("strong.npy") + 1j)


def few(pair):
    np.save("bad.npy", np.load("strong.npy")[:9])


@pytest.mark.parametrize(
    ("make", "changed", "message"),
    [
        (without_finite, {"--strong": "bad.npy"}, "must be finite, got 1 NaN"),
        (without_finite, {"--weak": "bad.npy"}, "must be finite, got 1 NaN"),
        (constant, {"--weak": "bad.npy"}, "All columns of weak are constant"),
        (short, {"--strong": "bad.npy"}, "weak has 600, strong has 300, labels has 600"),
        (short, {"--weak": "bad.npy"}, "weak has 300, strong has 600, labels has 600"),
        (vector, {"--weak": "bad.npy"}, "must hold a matrix of real numbers, got shape (600,)"),
        (complex_numbers, {"--weak": "bad.npy"}, "and dtype complex128"),
        (infinite_labels, {"--labels": "bad.npy"}, "bad.npy must be finite"),
        (short, {"--labels": "bad.npy"}, "must have 1 dimension(s), got shape (300, 7)"),
        (None, {"--weak": "absent.npy"}, "There is no file absent.npy"),
        (None, {"--weak": "both.npz"}, "add ::NAME to choose one of large, small"),
        (None, {"--weak": "both.npz::huge"}, "has no array 'huge'"),
        (None, {"--labels": "people.csv"}, "choose a column with ::NAME"),
        (None, {"--n": "600"}, "n must be below the number of rows 600, got 600"),
        (None, {"--n": "0"}, "n must exceed zero"),
        (None, {"--N": "-5"}, "N must exceed zero"),
        (None, {"--sigma2": "-1"}, "noise_variance must be finite and >= 0"),
        (None, {"--ridge": "-1"}, "ridge must be >= 0"),
        (None, {"--energy": "2"}, "energy"),
        (None, {"--sigma2": "1", "--replicates": "again.npy"}, "not both"),
        (short, {"--replicates": "bad.npy"}, "replicates must be an (M, r) array"),
        (complex_numbers, {"--replicates": "bad.npy"}, "bad.npy must hold a vector or a matrix"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(w2s, pair, make, changed, message):
    if make is not None:
        make(pair)
    asked = {"--weak": "weak.npy", "--strong": "strong.npy", "--labels": "labels.npy"} | changed
    code, out, err = w2s("diagnose", *(part for option in asked.items() for part in option))
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_words_in_an_array_are_labels_and_objects_are_told_how_to_become_one(w2s, pair):
    words = np.where(np.load("labels.npy") > 0, "good", "bad").astype(object)
    np.save("words.npy", words, allow_pickle=True)
    np.savez("words.npz", y=words)
    for file in ("words.npy", "words.npz"):
        code, _, err = diagnose(w2s, "weak.npy", "strong.npy", file)
        assert (code, len(err.splitlines())) == (2, 1)
        assert f"{file} holds an array of Python objects" in err
        assert "words by np.save(file, words.astype(str))" in err
    np.save("words.npy", words.astype(str))
    np.savez("words.npz", y=words.astype(str))
    for file in ("words.npy", "words.npz"):
        code, _, err = diagnose(
            w2s, "weak.npy", "strong.npy", file, "--replicates", file, "--n", 60, "--N", 100,
            "--verify", "--out", "report",
        )  # fmt: skip
        assert (code, err) == (0, "")
        assert strict(pair / "report/diagnosis.json")["classes"] == ["bad", "good"]


@pytest.mark.parametrize("values", [np.ones(ROWS), np.array(["yes"] * ROWS)])
def test_labels_of_one_value_are_refused(w2s, pair, values):
    pd.DataFrame({"same": values}).to_csv("same.csv", index=False)
    code, _, err = diagnose(w2s, "weak.npy", "strong.npy", "same.csv")
    assert code == 2
    assert "labels must take more than one value" in err
    assert len(err.splitlines()) == 1


def test_too_few_rows_for_the_directions_are_refused(w2s, pair):
    for name in ("weak", "strong", "labels"):
        np.save(f"{name}.npy", np.load(f"{name}.npy")[:30])
    code, _, err = diagnose(w2s)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "rows are needed" in err


def test_verification_without_room_is_refused(w2s, pair):
    code, _, err = diagnose(
        w2s, "weak.npy", "strong.npy", "labels.npy", "--n", 500, "--N", 500, "--verify"
    )
    assert (code, len(err.splitlines())) == (2, 1)
    assert "No point of the grid fits into 600 rows" in err


@pytest.mark.parametrize(
    ("weak", "message"),
    [
        (["weak.npy"], "At least two teachers"),
        (["weak.npy", "./weak.npy"], "files of the same name"),
        (["weak.npy", "bad.npy"], "Teacher bad.npy: All columns of weak are constant"),
    ],
)
def test_bad_rankings_are_one_sentence_and_exit_code_2(w2s, pair, weak, message):
    constant(pair)
    options = [part for file in weak for part in ("--weak", file)]
    code, _, err = w2s("rank", *options, "--strong", "strong.npy", "--labels", "labels.npy")
    assert (code, len(err.splitlines())) == (2, 1)
    assert message in err


def test_teachers_whose_files_have_one_name_are_told_apart_by_folders(w2s, pair):
    for folder in ("more", "most"):
        (pair / folder).mkdir()
        np.save(f"{folder}/weak.npy", np.load("other.npy" if folder == "more" else "weak.npy"))
    teachers = ["--weak", "more/weak.npy", "--weak", "most/weak.npy"]
    code, out, _ = w2s("rank", *teachers, "--strong", "strong.npy", "--labels", "labels.npy")
    assert code == 0
    assert "more/weak.npy" in out
    assert "most/weak.npy" in out


def test_a_file_in_the_place_of_the_folder_is_refused(w2s, pair):
    code, _, err = diagnose(w2s, "weak.npy", "strong.npy", "labels.npy", "--out", "weak.npy")
    assert code == 2
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(w2s, pair):
    (pair / "file").write_text("kept")
    code, out, err = diagnose(w2s, "missing.npy", "strong.npy", "labels.npy", "--out", "file/sub")
    assert (code, out) == (2, "")
    assert err == (
        "w2s: The folder file/sub cannot be made (not a directory): give --out another name.\n"
    )
    assert (pair / "file").read_text() == "kept"


def layers(folder, count, width, seed, rows=240):
    """A folder as `w2s features` leaves it."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for number in range(count):
        np.save(folder / f"layer-{number:02d}.npy", rng.standard_normal((rows, width)))
    (folder / "features.json").write_text("{}")
    ids = "\n".join(f"r{row}" for row in range(rows))
    (folder / "rows.csv").write_text(f"id\n{ids}\n")
    return str(folder)


def test_all_layers_of_two_models_are_compared(w2s, tmp_path):
    small, large = layers(tmp_path / "small", 3, 4, 0), layers(tmp_path / "large", 2, 6, 1)
    order = np.random.default_rng(2).permutation(240)
    rated = "\n".join(f"r{row},{row % 7}" for row in order)
    (tmp_path / "ratings.csv").write_text(f"id,rating\n{rated}\n")
    about = ["--labels", f"{tmp_path}/ratings.csv::rating", "--numbers", "--id", "id"]
    study = ["rank", "--weak", small, "--strong", large, *about, "--n", "30", "--N", "90"]
    code, out, _ = w2s(*study, "--out", f"{tmp_path}/study")
    assert code == 0
    assert "3 teachers (small) with 2 students (large): 240 rows" in out
    kept = sorted((tmp_path / "study/pairs").iterdir())
    assert len(kept) == 6
    content = json.loads((tmp_path / "study/ranking.json").read_text())
    assert [pair["teacher"] for pair in content["pairs"]] == 2 * [f"layer-0{k}" for k in range(3)]
    first = kept[0].stat().st_mtime_ns
    code, again, _ = w2s(*study, "--out", f"{tmp_path}/study")
    assert (code, again) == (0, out)
    assert kept[0].stat().st_mtime_ns == first

    one = [*study[:4], f"{large}/layer-01.npy", *study[5:]]
    code, out, _ = w2s(*one)
    assert code == 0
    assert "  1  layer-0" in out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            ["--chain", "weak.npy"],
            "--chain has risks on inputs of one kind: leave out more than one",
        ),
        (
            ["--split", "weak.npy"],
            "Several students are compared on inputs of one kind: leave out --s",
        ),
        (["--test-weak", "weak.npy"], "leave out --test-weak"),
        (["--strong", "strong.npy"], "The same file was given for --strong twice"),
    ],
)
def test_what_a_study_cannot_do_is_told(w2s, pair, more, told):
    students = ["--strong", "strong.npy", "--strong", "other.npy"]
    code, _, err = w2s("rank", "--weak", "weak.npy", *students, "--labels", "labels.npy", *more)
    assert code == 2
    assert told in err
