import numpy as np
import pandas as pd
import pytest

from tests.known import generic_pair
from w2s_utils.measure.decay import fit_decay, read_curves
from w2s_utils.simulation import simulate_ridge

SIZES = np.array([300, 400, 600, 900, 1500, 3000])


def drawn(d, rng, teachers=1, noise=0.01, offset=1.0):
    """Curves a + b k with Gaussian errors."""
    rows = []
    for t in range(teachers):
        risk = offset + t + (2 + t) * d / (SIZES - d - 1)
        rows += [
            {"teacher": f"t{t}", "N": N, "student": value + noise * rng.standard_normal(),
             "sd": noise * np.sqrt(8), "trials": 8}
            for N, value in zip(SIZES, risk, strict=True)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def test_interval_holds_the_dimension_of_drawn_curves():
    """200 draws: 99 % intervals, and chi^2 per degree of freedom of mean one."""
    rng = np.random.default_rng(0)
    held, at_truth, at_best = [], [], []
    for _ in range(200):
        found = fit_decay(drawn(120, rng, 2), {"truth": 120, "twice": 240}).table.loc["all"]
        held.append(found["low"] <= 120 <= found["high"])
        at_truth.append(found["truth"])
        at_best.append(found["at best"])
        assert found["twice"] > 10 * found["truth"]
    assert np.mean(held) > 0.96
    assert abs(np.mean(at_truth) - 1) < 4 * np.std(at_truth) / np.sqrt(200)
    assert abs(np.mean(at_best) - 1) < 4 * np.std(at_best) / np.sqrt(200)


def test_the_soft_dimension_of_a_ridge_fit_is_found():
    """Simulated students with a ridge that leaves few of their directions: df, not the width."""
    pair = generic_pair(d_w=30, d_s=40, dimension=90)
    spectrum = np.where(np.arange(40) < 15, 1.0, 1e-7)
    directions = pair.along(np.ones(30), spectrum)
    rows = []
    for i, N in enumerate((60, 80, 120, 200, 400)):
        risks = simulate_ridge(directions, 60, N, 600, i, 0.0, 1e-4).student
        rows.append({"teacher": "w", "N": N, "student": risks.mean(), "sd": risks.std(ddof=1),
                     "trials": 600})  # fmt: skip
    found = fit_decay(pd.DataFrame(rows), {"width": 40, "soft": 15}).table.loc["w"]
    assert found["low"] <= 15 <= found["high"] < 40
    assert found["soft"] < 4
    assert found["width"] > 10


def test_units_and_shifts_do_not_matter():
    curves = drawn(80, np.random.default_rng(1))
    plain = fit_decay(curves, {"d": 90}).table
    moved = curves.assign(student=5 * curves["student"] - 3, sd=5 * curves["sd"])
    np.testing.assert_allclose(fit_decay(moved, {"d": 90}).table, plain, rtol=1e-6)


def test_a_flat_curve_tells_nothing():
    flat = drawn(50, np.random.default_rng(2)).assign(student=1.0)
    found = fit_decay(flat, {"d": 50}).table.loc["t0"]
    assert found["high"] > 0.9 * (SIZES[0] - 2)
    assert found["low"] < 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"drop": "sd"}, "Curves need the columns teacher, N, student, sd, trials; sd is missing"),
        ({"N": 0}, "N must be finite and above zero in each row of the curves, got 0"),
        ({"sd": 0.0}, "sd must be finite and above zero"),
        ({"student": np.nan}, "student must be finite in each row"),
        ({"trials": "many"}, "trials must be finite and above zero in each row of the curves, got"),
        ({"N": 300}, "A curve needs at least 4 different N, got 1 of teacher t0"),
    ],
)
def test_bad_curves_are_refused(tmp_path, change, said):
    curves = drawn(80, np.random.default_rng(3))
    curves = curves.drop(columns=change["drop"]) if "drop" in change else curves.assign(**change)
    curves.to_csv(tmp_path / "curves.csv", index=False)
    with pytest.raises(ValueError, match=said):
        read_curves(tmp_path / "curves.csv")


def test_files_and_candidates_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read as a CSV"):
        read_curves(tmp_path / "none.csv")
    curves = drawn(80, np.random.default_rng(4))
    with pytest.raises(ValueError, match="width must be above 0 and at most N - 2 = 298"):
        fit_decay(curves, {"width": 384})
    curves.to_csv(tmp_path / "curves.csv", index=False)
    pd.testing.assert_frame_equal(
        read_curves(tmp_path / "curves.csv"), curves.astype({"N": float, "trials": float})
    )
