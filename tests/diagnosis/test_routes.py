import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from w2s_utils.diagnosis import Routes, RoutesReport, diagnose, rank_routes, verify_routes
from w2s_utils.metrics import mean
from w2s_utils.probes import fit_ridge
from w2s_utils.simulation import simulate_chain
from w2s_utils.theory import chain
from w2s_utils.theory.chain import Stage

D, ROWS = 40, 3000
NAMES = {"one step", "through m", "committee with m", "m as teacher"}


def basis(d, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((D, d)))[0]


BASES = {"w": basis(12, 1), "m": basis(14, 2), "s": basis(16, 3)}


def draw(rows, seed, noise=0.5):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((rows, D))
    y = Z @ np.full(D, D**-0.5) + np.sqrt(noise) * rng.standard_normal(rows)
    return {name: Z @ V for name, V in BASES.items()}, y


def ranked(rows=ROWS, seed=0, n=100, N=200, **how):
    X, y = draw(rows, seed)
    return rank_routes(X["w"], {"m": X["m"]}, X["s"], y, n=n, N=N, **how)


def expected(n, N, ridge=0.0):
    """Student's risk by each way, from the population's bases."""
    beta = np.full(D, D**-0.5)
    w, m, s = BASES.values()

    def of(teachers, *students):
        answers = chain.committee([Stage(V, k, ridge) for V, k in teachers], beta, 0.5)
        for V, k in students:
            answers = Stage(V, k, ridge).taught(answers)
        return answers.risk(beta)

    return {
        "one step": of([(w, n)], (s, N)),
        "through m": of([(w, n)], (m, N // 2), (s, N // 2)),
        "committee with m": of([(w, n // 2), (m, n // 2)], (s, N)),
        "m as teacher": of([(m, n)], (s, N)),
    }


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_bands_hold_the_populations_risks_and_changes(ridge):
    """Features as given, whose population is known; 20 samples of 3,000 rows."""
    truth = expected(100, 200, ridge)
    risks, changes = [], []
    for seed in range(20):
        found = ranked(seed=seed, ridge=ridge, noise_variance=0.5, as_given=True)
        table = found.table.set_index("route")
        assert set(table.index) == NAMES
        for name, risk in truth.items():
            row, change = table.loc[name], risk - truth["one step"]
            risks.append(row["student_low"] < risk < row["student_high"])
            if name != "one step":
                changes.append(row["change_low"] < change < row["change_high"])
                middle = (row["change_high"] + row["change_low"]) / 2
                assert row["change"] == pytest.approx(middle)
    assert 0.78 < np.mean(risks) <= 1
    assert 0.78 < np.mean(changes) <= 1


def test_one_step_is_the_diagnosis():
    X, y = draw(ROWS, 1)
    for ridge in ("tuned", 0.2):
        found = ranked(seed=1, ridge=ridge).table.set_index("route").loc["one step"]
        known = diagnose(X["w"], X["s"], y, n=100, N=200, ridge=ridge).risk["student"]
        for name, value in (
            ("student", known.value), ("student_low", known.low), ("student_high", known.high)
        ):  # fmt: skip
            assert found[name] == pytest.approx(float(value[0, 0]), rel=1e-6)
    as_teacher = ranked(seed=1).table.set_index("route").loc["m as teacher", "student"]
    known = diagnose(X["m"], X["s"], y, n=100, N=200).risk["student"].value
    assert as_teacher == pytest.approx(float(known[0, 0]), rel=1e-6)


def test_against_models_that_are_fitted():
    """Unequal inputs and an intercept: predictions from 4,000 rows, fits to 150 fresh sets."""
    rng = np.random.default_rng(5)

    def inputs(rows):
        Z = rng.standard_normal((rows, D)) * np.sqrt(rng.chisquare(8, (rows, 1)) / 8)
        y = 2 + Z @ np.full(D, D**-0.5) + np.sqrt(0.5) * rng.standard_normal(rows)
        return {name: Z @ V + 1 for name, V in BASES.items()}, y

    def fit(X, y, ridge):
        centre, mean_y = X.mean(axis=0), y.mean()
        weights = fit_ridge(X - centre, y - mean_y, ridge)
        return lambda Z: mean_y + (Z - centre) @ weights

    X, y = inputs(4000)
    n, N, ridge = 100, 200, 0.05
    scale = {name: values.std(axis=0) for name, values in X.items()}
    measured = {name: [] for name in NAMES}
    for _ in range(150):
        (a, y_a), (b, _), (test, y_t) = inputs(n), inputs(N), inputs(2000)
        a, b, test = ({k: v / scale[k] for k, v in part.items()} for part in (a, b, test))
        half, rest = slice(n // 2), slice(n // 2, None)
        teacher = fit(a["w"], y_a, ridge)(b["w"])
        middle = fit(b["m"][: N // 2], teacher[: N // 2], ridge)(b["m"][N // 2 :])
        pair = [fit(a[k][part], y_a[part], ridge)(b[k]) for k, part in (("w", half), ("m", rest))]
        told = {
            "one step": (b["s"], teacher),
            "through m": (b["s"][N // 2 :], middle),
            "committee with m": (b["s"], np.mean(pair, axis=0)),
            "m as teacher": (b["s"], fit(a["m"], y_a, ridge)(b["m"])),
        }
        for name, (Z, answers) in told.items():
            student = fit(Z, answers, ridge)
            measured[name].append(np.mean((student(test["s"]) - y_t) ** 2))
    found = rank_routes(X["w"], {"m": X["m"]}, X["s"], y, n=n, N=N, ridge=ridge)
    for row in found.table.to_dict("records"):
        truth = mean(measured[row["route"]])
        own = (row["student_high"] - row["student"]) / 1.73
        assert abs(row["student"] - truth.value) < 3 * np.hypot(own, truth.standard_error)


@pytest.mark.parametrize("ridge", ["tuned", 0.05, 0.0])
def test_ways_that_are_run_agree_with_what_was_predicted(ridge):
    """Predicted from 3,000 rows, run on 3,000 others; 12 splits."""
    (X, y), (Z, w) = draw(ROWS, 10), draw(ROWS, 11)
    found = rank_routes(X["w"], {"m": X["m"]}, X["s"], y, n=120, N=400, ridge=ridge)
    check = verify_routes(found, Z["w"], {"m": Z["m"]}, Z["s"], w, trials=12)
    assert set(check.index) == NAMES
    own = (check["student_high"] - check["student"]) / 1.73
    z = (check["measured"] - check["student"]) / np.hypot(own, check["standard_error"])
    assert (z.abs() < 3.5).all()
    ways = check.drop("one step")
    own = (ways["change_high"] - ways["change"]) / 1.73
    z = (ways["change_measured"] - ways["change"]) / np.hypot(own, ways["change_error"])
    assert (z.abs() < 3.5).all()
    with pytest.raises(ValueError, match="Features of m are missing"):
        verify_routes(found, Z["w"], {}, Z["s"], w)
    few = {"m": Z["m"][:600]}
    with pytest.raises(ValueError, match="n = 120 and N = 400 do not fit into 600 rows beside 120"):
        verify_routes(found, Z["w"][:600], few, Z["s"][:600], w[:600])


def test_shifts_and_units_do_not_matter():
    X, y = draw(ROWS, 2)
    plain = rank_routes(X["w"], {"m": X["m"]}, X["s"], y, n=60, N=150)
    units = 10.0 ** np.linspace(-3, 3, 14)
    moved = rank_routes(
        X["w"] * 5 - 3, {"m": X["m"] * units + 7 * units}, X["s"], y - 4, n=60, N=150
    )
    assert list(moved.table["route"]) == list(plain.table["route"])
    numbers = plain.table.columns[1:]
    np.testing.assert_allclose(moved.table[numbers], plain.table[numbers], rtol=1e-5, atol=1e-9)


def test_several_middle_models_and_classes():
    X, y = draw(ROWS, 3)
    found = rank_routes(
        X["w"], {"m": X["m"], "twin": X["s"]}, X["s"], np.where(y > 0, "yes", "no"), n=60, N=150
    )
    names = {"through twin", "committee with twin", "twin as teacher"}
    assert set(found.table["route"]) == NAMES | names
    assert found.table["student"].is_monotonic_increasing


def test_reports_say_the_same_in_each_form():
    found = ranked()
    report = RoutesReport(found, teacher="<w>", student="s")
    assert all(len(line) <= 80 for line in report.text.splitlines())
    said = json.loads(report.json)
    assert [row["route"] for row in said["routes"]] == list(found.table["route"])
    assert said["advice"] == found.advice
    for told in (report.html, report._repr_html_()):
        assert "<w>" not in told
        assert "&lt;w&gt;" in told
        assert found.advice.split(":")[0] in told


def test_advice_follows_the_bands():
    X, y = draw(ROWS, 0)
    blind = rank_routes(X["w"][:, :2], {"m": X["m"]}, X["s"], y, n=100, N=200)
    assert blind.advice.startswith("Teach the student with m as teacher: the student's squared")
    assert ranked().advice.startswith("Take one step: no other way is predicted to be better, the")
    row = {"student_low": 1.0, "student_high": 3.0, "probability": 0.9}
    ways = pd.DataFrame([
        {"route": "committee with m", "student": 1.9, "change": -0.1, "change_low": -0.3,
         "change_high": 0.1, **row},
        {"route": "one step", "student": 2.0, "change": 0.0, "change_low": 0.0,
         "change_high": 0.0, **row},
    ])  # fmt: skip
    unsure = Routes(100, 200, ROWS, ways, 0.5, 0.0, 1.0, True, {})
    assert unsure.advice == (
        "No way is surely better than one step. The lowest prediction is that of committee with m: "
        "the student's excess risk is 5.0 ± 10.0 % lower, and this band holds no change, too."
    )
    sure = replace(unsure, table=ways.assign(change_high=-0.05))
    assert sure.advice.startswith("Teach the student by a committee with m: the student's excess")


def test_without_prediction_there_is_no_number():
    found = ranked(n=14, ridge=0.0).table.set_index("route")
    assert np.isnan(found.loc["one step", "student"])
    assert "There is no prediction for one step" in ranked(n=14, ridge=0.0).advice


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 3000}, "n must be below the number of rows 3000, got 3000"),
        ({"n": 2}, "n must exceed the least for two fits = 3, got 2"),
        ({"ridge": -1.0}, "ridge must be >= 0"),
        ({"ridge": "best"}, 'ridge must be "tuned" or not negative'),
        ({"ridge": [1.0] * 4}, "ridge must be one number for all fits, got 4"),
        ({"noise_variance": -1.0}, "noise_variance must be finite and >= 0, got -1.0"),
        ({"rows": 100, "n": 50}, "m: At least 126 rows are needed for 42 directions"),
    ],
)
def test_bad_requests_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        ranked(**change)


def test_sets_of_other_rows_are_refused():
    X, y = draw(300, 0)
    with pytest.raises(ValueError, match="m: All inputs need the same rows: weak has 300, middle"):
        rank_routes(X["w"], {"m": X["m"][:-1]}, X["s"], y, n=50, N=60)
    with pytest.raises(ValueError, match="Give at least one middle model"):
        rank_routes(X["w"], {}, X["s"], y, n=50, N=60)
    with pytest.raises(ValueError, match="A middle model must not be called 'strong'"):
        rank_routes(X["w"], {"strong": X["m"]}, X["s"], y, n=50, N=60)
    X["m"][0] = np.nan
    with pytest.raises(ValueError, match="middle"):
        rank_routes(X["w"], {"m": X["m"]}, X["s"], y, n=50, N=60)


def test_population_of_the_known_bases_is_that_of_drawn_models():
    beta = np.full(D, D**-0.5)
    w, m, s = BASES.values()
    teachers, students = [Stage(w, 50), Stage(m, 50)], [Stage(s, 200)]
    drawn = simulate_chain(teachers, students, beta, 0.5, 2000, 0)[:, -1]
    assert abs(mean(drawn).z_score(expected(100, 200)["committee with m"])) < 4
