"""The diagnosis of three sets: what it must agree with, what changes nothing, what it says."""

import json
import re
from html import escape

import numpy as np
import pytest

from w2s_utils.diagnosis import (
    RankingReport,
    ShiftReport,
    diagnose,
    diagnose_shift,
    rank_pools,
    rank_teachers,
    split_sets,
)
from w2s_utils.metrics import MODELS

HOSTILE = "<script>document.title='owned'</script>\"'&$\\frac${x}.npy"
SIZES = {"n": [30, 100], "N": [60, 500]}
D, SEEN = 14, 9  # inputs, of which the weak features see the first


def inputs(rows, seed, spread=1.0, mean=0.0):
    """Features and labels of inputs that spread more along later coordinates."""
    rng = np.random.default_rng(seed)
    Z = mean + rng.standard_normal((rows, D)) * np.geomspace(1, spread, D)
    y = Z @ np.linspace(0.6, 0.2, D) + 0.7 * rng.standard_normal(rows)
    return Z[:, :SEEN], Z[:, 6:] + 0.3 * Z[:, :8], y


@pytest.fixture(scope="module")
def three():
    """Sets of three laws, and groups of the test inputs."""
    names = np.array(["b", "a", "b", "c"])
    groups = names[np.random.default_rng(4).integers(4, size=500)]
    return inputs(700, 1), inputs(600, 2, 1.5, 0.3), inputs(500, 3, 0.6, -0.4), groups


@pytest.fixture(scope="module")
def shifted(three):
    labelled, unlabelled, test, groups = three
    return diagnose_shift(*labelled, unlabelled=unlabelled, test=test, groups=groups, **SIZES)


def assert_same(found, known, rtol=1e-7):
    for model in MODELS:
        one, other = found.risk[model], known.risk[model]
        np.testing.assert_allclose(one.value, other.value, rtol=rtol, err_msg=model)
        width = np.max(other.high - other.value)
        np.testing.assert_allclose(one.high, other.high, atol=width * rtol * 100, err_msg=model)


# ---- what it must agree with --------------------------------------------------------------------


@pytest.mark.parametrize("ridge", ["tuned", 0.0])
@pytest.mark.parametrize("seed", range(3))
def test_three_sets_of_one_law_are_diagnosed_as_one(seed, ridge):
    labelled, unlabelled, test = (inputs(rows, 10 * seed + rows) for rows in (700, 600, 500))
    plain = diagnose(*labelled, ridge=ridge, **SIZES)
    found = diagnose_shift(*labelled, unlabelled=unlabelled, test=test, ridge=ridge, **SIZES)
    for one, other in ((found.risk[model], plain.risk[model]) for model in MODELS):
        half, known = one.high - one.value, other.high - other.value
        assert (np.abs(one.value - other.value) < 1.2 * np.hypot(half, known)).all()
    gap = np.abs(found.gain.value - plain.gain.value)
    assert (gap < 1.2 * np.hypot(*(f.gain.high - f.gain.value for f in (found, plain)))).all()


@pytest.mark.parametrize("as_given", [False, True])
@pytest.mark.parametrize(("ridge", "rtol"), [("tuned", 0.002), (0.0, 0.003), (0.3, 0.001)])
def test_one_set_in_all_roles_is_diagnosed_as_by_diagnose(three, ridge, rtol, as_given):
    """Only the way in which optimism is taken off differs, and how the tuned ridges are refined."""
    labelled = three[0]
    how = {"ridge": ridge, "as_given": as_given} | SIZES
    plain, found = diagnose(*labelled, **how), diagnose_shift(*labelled, groups=["g"] * 700, **how)
    for model in MODELS:
        np.testing.assert_allclose(found.risk[model].value, plain.risk[model].value, rtol=rtol)
        for one in (found.alike, found.nearby):
            np.testing.assert_allclose(one.risk[model].value, found.risk[model].value[:, -1:])
    assert found.verdict.outcome == plain.verdict.outcome
    assert found.rows == {"labelled": 700, "unlabelled": 700, "test": 700}
    assert found.known == {"labelled": True, "unlabelled": True, "test": True}
    assert_same(found.groups["g"], found)


def test_labels_that_nobody_gave_are_close_to_those_that_were(three, shifted):
    """The target is linear in both feature sets together, so that the assumption holds."""
    labelled, unlabelled, test, _ = three
    found = diagnose_shift(*labelled, unlabelled=unlabelled[:2], test=test[:2], **SIZES)
    assert found.known == {"labelled": True, "unlabelled": False, "test": False}
    assert "Test inputs have no labels" in found.warnings[0]
    assert "Unlabelled inputs have no labels" in found.warnings[1]
    for model in MODELS:
        one, other = found.risk[model], shifted.risk[model]
        half, known = one.high - one.value, other.high - other.value
        assert (np.abs(one.value - other.value) < np.hypot(half, known)).all(), model


# ---- what changes nothing -----------------------------------------------------------------------


def test_units_and_origins_of_columns_change_nothing(three, shifted):
    units, origins = np.geomspace(1e-3, 1e3, SEEN), np.linspace(-50, 50, SEEN)
    *sets, groups = three
    moved = [(W * units + origins, 100 - 7 * S, y) for W, S, y in sets]
    found = diagnose_shift(*moved[0], unlabelled=moved[1], test=moved[2], groups=groups, **SIZES)
    assert_same(found, shifted, 1e-6)
    assert_same(found.worst, shifted.worst, 1e-6)


def test_the_order_of_rows_within_blocks_changes_nothing(three, shifted):
    def turned(of_set):
        order = np.arange(len(of_set[2])).reshape(-1, 20)[::-1].ravel()
        return tuple(part[order] for part in of_set)

    labelled, unlabelled, test, _ = three
    plain = diagnose_shift(*labelled, unlabelled=unlabelled, test=test, **SIZES)
    found = diagnose_shift(
        *turned(labelled), unlabelled=turned(unlabelled), test=turned(test), **SIZES
    )
    assert_same(found, plain)
    np.testing.assert_allclose(shifted.risk["weak"].value, plain.risk["weak"].value, rtol=0.01)


def test_files_and_memory_and_one_matrix_for_all_sets_give_the_same(three, shifted, tmp_path):
    *sets, groups = three
    mapped = []
    for k, (W, S, y) in enumerate(sets):
        np.save(tmp_path / f"w{k}.npy", W)
        np.save(tmp_path / f"s{k}.npy", S)
        mapped.append((*(np.load(tmp_path / f"{f}{k}.npy", mmap_mode="r") for f in "ws"), y))
    found = diagnose_shift(*mapped[0], unlabelled=mapped[1], test=mapped[2], groups=groups, **SIZES)
    assert_same(found, shifted, 1e-12)
    # The same rows in a random order of the sets.
    rows = [len(y) for _, _, y in sets]
    split = np.repeat(["labelled", "unlabelled", "test"], rows)
    order = np.argsort(np.random.default_rng(0).permutation(len(split)) // 7, kind="stable")
    W, S, y = (np.concatenate(parts)[order] for parts in zip(*sets, strict=True))
    names = np.full(len(split), "b")
    names[-rows[2] :] = groups
    given = split_sets(W, S, y, split[order], names[order])
    parts = {role: W[split[order] == role] for role in ("labelled", "unlabelled", "test")}
    alone = {role: [X[split[order] == role] for X in (W, S, y)] for role in parts}
    direct = diagnose_shift(
        *alone["labelled"],
        unlabelled=tuple(alone["unlabelled"]),
        test=tuple(alone["test"]),
        groups=names[order][split[order] == "test"],
        **SIZES,
    )
    assert_same(diagnose_shift(**given, **SIZES), direct, 1e-12)


# ---- groups -------------------------------------------------------------------------------------


def test_groups_add_up_to_all_test_inputs_and_the_worst_is_the_largest(three, shifted):
    groups = three[-1]
    assert list(shifted.groups) == ["a", "b", "c"]
    shares = {name: np.mean(groups == name) for name in shifted.groups}
    for model in MODELS:
        of_groups = {name: one.risk[model].value for name, one in shifted.groups.items()}
        mixed = sum(shares[name] * risk for name, risk in of_groups.items())
        np.testing.assert_allclose(mixed, shifted.risk[model].value, rtol=1e-3)
        largest = np.max([*of_groups.values()], axis=0)
        np.testing.assert_array_equal(shifted.worst.risk[model].value, largest)


def test_groups_of_unlike_noise_are_told_apart(three):
    labelled, unlabelled, (W, S, y), _ = three
    rng = np.random.default_rng(0)
    loud = np.arange(500) % 2 == 0
    noisy = np.where(loud, y + 3 * rng.standard_normal(500), y)
    found = diagnose_shift(*labelled, unlabelled=unlabelled, test=(W, S, noisy),
                           groups=np.where(loud, 1.0, 0.0), **SIZES)  # fmt: skip
    assert list(found.groups) == ["0", "1"]
    gap = found.groups["1"].risk["student"].value - found.groups["0"].risk["student"].value
    assert np.abs(gap - 9).max() < 2.5
    assert "Its worst group is 1, with an error of" in " ".join(found.verdict.reasons)


# ---- verdicts -----------------------------------------------------------------------------------

WEAK = 40  # weak directions, of which the student knows but the first ten


def helped(rows, seed, alone, last):
    """The teacher alone sees a last coordinate, with a coefficient and a spread of its own."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((rows, WEAK))
    Z[:, -1] *= last
    y = Z[:, :10] @ np.full(10, 0.3) + alone * Z[:, -1] + rng.standard_normal(rows)
    return Z, Z[:, :10], y


@pytest.mark.parametrize(("alone", "last", "now"), [(0.3, 6.0, False), (2.0, 0.05, True)])
def test_the_shift_is_named_where_it_turns_the_verdict(alone, last, now):
    labelled, unlabelled = helped(1500, 1, alone, 1.0), helped(1500, 2, alone, 1.0)
    found = diagnose_shift(*labelled, unlabelled=unlabelled, test=helped(1500, 3, alone, last),
                           n=100, N=2000, ridge=0.0)  # fmt: skip
    assert (found.gain.low > 0).all() == now
    assert (found.alike.gain.low > 0).all() != now
    assert found.verdict.reasons[0].startswith("The shift is the reason: if all inputs were like")
    said = "the shift brings the student" if now else "the shift costs the student"
    assert said in found.verdict.reasons[1]


@pytest.mark.parametrize("seed", range(10))
def test_of_one_law_the_shift_is_never_the_reason(seed):
    sets = [helped(600, 10 * seed + k, 0.3, 1.0) for k in range(3)]
    found = diagnose_shift(*sets[0], unlabelled=sets[1], test=sets[2], n=100, N=2000, ridge=0.0)
    assert not any("The shift is the reason" in reason for reason in found.verdict.reasons)


def test_no_signal_passes_through(three):
    (W, S, _), unlabelled, test, _ = three
    chance = np.random.default_rng(0).standard_normal(len(W))
    found = diagnose_shift(W, S, chance, unlabelled=unlabelled, test=test, **SIZES)
    assert found.verdict == found.unshifted.verdict
    assert found.verdict.outcome == "no signal"


# ---- rankings -----------------------------------------------------------------------------------


def disturbed(rows, seed, spread):
    """Strong features are signals with disturbances, which are small in another law."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((rows, 56))
    Z[:, 8:16] *= spread
    y = Z[:, :8].sum(axis=1) / np.sqrt(8) + rng.standard_normal(rows)
    return Z[:, np.r_[:8, 16:56]], Z[:, :8] + Z[:, 8:16], y


@pytest.fixture(scope="module")
def pools():
    near, far = disturbed(1500, 3, 0.2), disturbed(1500, 4, 1.0)
    return rank_pools(*disturbed(1500, 1, 1.0), {"far": far[:2], "near": near[:2]},
                      test=disturbed(1500, 2, 0.2), n=200, N=1000)  # fmt: skip


def test_the_pool_that_is_like_the_test_inputs_comes_first(pools):
    assert list(pools.table["pool"]) == ["near", "far"] == list(pools.diagnoses)
    assert pools.kind == "pool"
    assert not pools.ties
    assert pools.table["probability"][0] > 0.999
    assert "Pseudo-label near: the student has the lowest" in RankingReport(pools).text


def test_pools_of_one_law_are_a_tie():
    """Nine times of ten: five of the six here at least."""
    ties = 0
    for seed in range(100, 700, 100):
        of_one_law = {f"{k}": disturbed(1500, seed + k, 0.2)[:2] for k in (3, 4)}
        found = rank_pools(
            *disturbed(1500, seed + 1, 1.0),
            of_one_law,
            test=disturbed(1500, seed + 2, 0.2),
            n=200,
            N=1000,
        )
        ties += len(found.ties)
        sure = "The order is sure" in RankingReport(found).text
        assert sure == (found.table["probability"][0] > 0.95) == (not found.ties)
    assert ties >= 5


def test_teachers_are_ranked_on_the_inputs_that_count(three):
    labelled, unlabelled, test, _ = three
    columns = {"all": slice(None), "few": slice(3)}

    def of_teachers(W):
        return {name: W[:, some] for name, some in columns.items()}

    others = {
        role: (of_teachers(W), S, y)
        for role, (W, S, y) in (("unlabelled", unlabelled), ("test", test))
    }
    found = rank_teachers(of_teachers(labelled[0]), *labelled[1:], n=100, N=500, **others)
    assert list(found.table["teacher"]) == ["all", "few"]
    alone = diagnose_shift(*labelled, unlabelled=unlabelled, test=test, n=100, N=500)
    assert_same(found.diagnoses["all"], alone)
    assert list(found.table["d_w"]) == [SEEN, 3]
    others["test"] = {"few": test[0]}, *test[1:]
    with pytest.raises(ValueError, match="Teacher all: its weak features are missing, there are"):
        rank_teachers(of_teachers(labelled[0]), *labelled[1:], n=100, N=500, **others)
    with pytest.raises(ValueError, match="replicates, group and cluster are for inputs of one"):
        rank_teachers(of_teachers(labelled[0]), *labelled[1:], n=100, N=500,
                      replicates=labelled[2], groups=["g"] * 700)  # fmt: skip


def test_a_pool_that_is_wrong_is_named(three):
    labelled, unlabelled, test, _ = three
    with pytest.raises(ValueError, match="At least two pools are needed for a ranking, got 1"):
        rank_pools(*labelled, {"a": unlabelled}, test=test, n=100, N=500)
    bad = unlabelled[0][:, :4], unlabelled[1]
    with pytest.raises(ValueError, match="Pool bad: The weak features need the same columns"):
        rank_pools(*labelled, {"a": unlabelled, "bad": bad}, test=test, n=100, N=500)


# ---- what is refused ----------------------------------------------------------------------------


def infinite(X):
    X = X.copy()
    X[7, 1] = np.inf
    return X


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda L, U, T, g: {"test": (infinite(T[0]), *T[1:])}, r"weak \(test\)\[0:500\] must be"),
        (lambda L, U, T, g: {"unlabelled": (U[0], infinite(U[1]))}, r"strong \(unlabelled\)\[0"),
        (lambda L, U, T, g: {"test": (T[0].astype(str), T[1])}, r"weak \(test\).* real numbers"),
        (lambda L, U, T, g: {"test": (T[0][0], T[1])}, r"weak \(test\) must be a matrix"),
        (lambda L, U, T, g: {"test": (T[0][:9], T[1])}, "All test inputs need the same number of"),
        (lambda L, U, T, g: {"test": (*T[:2], T[2][:9])}, "labels has 9"),
        (lambda L, U, T, g: {"test": (T[0][:, 1:], T[1])}, "The weak features need the same col"),
        (lambda L, U, T, g: {"unlabelled": (U[0], U[1][:, 1:])}, "8 of the labelled inputs, got 7"),
        (lambda L, U, T, g: {"test": tuple(X[:6] for X in T), "groups": None}, "At least 9 test"),
        (lambda L, U, T, g: {"unlabelled": tuple(X[:6] for X in U)}, "At least 8 unlabelled rows"),
        (lambda L, U, T, g: {"test": None}, "Say which inputs count: give test"),
        (lambda L, U, T, g: {"groups": g[:-1]}, "must name one for each of 500 test rows"),
        (lambda L, U, T, g: {"groups": np.r_[g[:-1], ["rare"]]}, "Group 'rare' has 1 test rows"),
        (lambda L, U, T, g: {"groups": [None, *g[1:]]}, "1 of 500 test rows lack the name"),
        (lambda L, U, T, g: {"test": (*T[:2], T[2].astype(str))}, "labels"),
        (lambda L, U, T, g: {"test": (*T[:2], np.c_[T[2], T[2]])}, "labels of all sets need the"),
        (lambda L, U, T, g: {"test": (*T[:2], np.full(500, np.nan))}, "labels must be finite"),
        (lambda L, U, T, g: {"n": 700}, "n must be below the number of rows 700"),
        (lambda L, U, T, g: {"ridge": -1.0}, "ridge must be >= 0"),
        (lambda L, U, T, g: {"test": T[:1]}, r"test must be \(weak, strong\) or"),
        (lambda L, U, T, g: {"unlabelled": U[0]}, r"unlabelled must be \(weak, strong\) or"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(three, change, message):
    labelled, unlabelled, test, groups = three
    asked = {"unlabelled": unlabelled, "test": test, "groups": groups} | SIZES
    with pytest.raises(ValueError, match=message) as refused:
        diagnose_shift(*labelled, **asked | change(labelled, unlabelled, test, groups))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": ["labelled"] * 60}, "that they are test, got none"),
        ({"split": ["test"] * 60}, "that they are labelled, got none"),
        ({"split": ["labelled", "trial"] * 30}, "or test of each row, got 'trial'"),
        ({"split": ["labelled"] * 59}, "a word for each of 60 rows"),
        ({"labels": np.r_[np.nan, np.ones(59)]}, "1 of 20 labelled rows lack their label"),
        ({"labels": np.r_[np.ones(59), np.nan]}, "1 of 20 test rows lack their label"),
        ({"labels": np.ones(59)}, "labels must hold one for each of 60 rows"),
        ({"strong": np.ones((59, 3))}, "weak has 60 rows and strong 59"),
        ({"groups": ["a"] * 59}, "groups must name one for each of 60 rows"),
        ({"groups": ["z"] * 20 + ["a"] * 40}, "Group 'z' has no test rows"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(change, message):
    given = {
        "weak": np.ones((60, 2)), "strong": np.ones((60, 3)), "labels": np.arange(60.0),
        "split": np.repeat(["labelled", "unlabelled", "test"], 20),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        split_sets(**given | change)


def test_labels_may_be_missing_where_nobody_gave_them():
    labels = np.r_[np.arange(20.0), np.full(40, np.nan)]
    split = np.repeat(["labelled", "unlabelled", "test"], 20)
    found = split_sets(np.ones((60, 2)), np.ones((60, 3)), labels, split)
    assert found["unlabelled"][2] is found["test"][2] is None
    np.testing.assert_array_equal(found["labels"], labels[:20])
    words = np.array(["x", None, "y"] * 20, object)
    with pytest.raises(ValueError, match="7 of 20 labelled rows lack their label"):
        split_sets(np.ones((60, 2)), np.ones((60, 3)), words, split)


# ---- reports ------------------------------------------------------------------------------------


def test_the_text_fits_a_terminal_and_says_what_the_diagnosis_says(shifted):
    text = ShiftReport(shifted, teacher="w.npy", student="s.npy").text
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "nan" not in text
    flat = " ".join(text.split())
    for said in (shifted.verdict.headline, *shifted.verdict.reasons, *shifted.warnings):
        assert said in flat
    assert "700 labelled, 600 unlabelled, 500 test rows" in flat
    shown = float(re.search(r"\n +100 +(\d+\.\d+) ± ", text)[1])
    assert shown == pytest.approx(shifted.risk["weak"].value[-1, -1], abs=1e-3)


def test_the_json_is_strict_and_holds_the_same_numbers(shifted):
    found = json.loads(ShiftReport(shifted).json, parse_constant=pytest.fail)
    student = [point["student"] for point in found["predictions"]]
    np.testing.assert_array_equal(student, shifted.risk["student"].value.ravel())
    assert set(found["groups"]) == {"a", "b", "c"}
    assert found["rows"] == shifted.rows
    assert found["unshifted"]["verdict"]["outcome"] == shifted.unshifted.verdict.outcome


def test_without_groups_and_predictions_the_reports_are_whole(three):
    labelled, unlabelled, test, _ = three
    found = diagnose_shift(*labelled, unlabelled=unlabelled, test=test[:2], n=8, N=60, ridge=0.0)
    assert np.isnan(found.risk["weak"].value).all()
    report = ShiftReport(found)
    json.loads(report.json, parse_constant=pytest.fail)
    assert "nan" not in report.text
    assert "no prediction" in report.text
    assert "<svg" in report.html


def test_pages_stand_alone_and_hostile_names_stay_text(three, shifted, pools):
    labelled, unlabelled, test, groups = three
    names = np.where(groups == "a", HOSTILE, groups)
    found = diagnose_shift(*labelled, unlabelled=unlabelled, test=test, groups=names, n=60, N=200)
    both = dict(zip([HOSTILE, "far"], pools.diagnoses.values(), strict=True))
    table = pools.table.assign(pool=[*both])
    hostile = type(pools)("pool", pools.n, pools.N, table, (), both)
    pages = (
        ShiftReport(shifted, teacher=HOSTILE, student="s").html,
        ShiftReport(found, teacher="w", student=HOSTILE).html,
        RankingReport(hostile, student=HOSTILE).html,
    )
    for html in pages:
        assert not re.search(
            r"https?:|@import|<script|<link(?! rel=\"icon\" href=\"data:,\")", html
        )
        assert html.count("<svg") >= 1
        ids = re.findall(r' id="([^"]+)"', html)
        assert len(set(ids)) == len(ids)
        assert escape(HOSTILE) in html
    for shown in (found._repr_html_(), ShiftReport(found, teacher=HOSTILE)._repr_html_()):
        assert escape(found.verdict.headline) in shown
        assert not re.search("<html|<style|<script|<svg", shown)


def test_names_of_groups_cannot_command_the_terminal(three):
    labelled, unlabelled, test, groups = three
    names = np.where(groups == "a", "\x1b[2Ja\n", groups)
    found = diagnose_shift(*labelled, unlabelled=unlabelled, test=test, groups=names, n=60, N=200)
    text = ShiftReport(found).text
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line.startswith("a")] == []
