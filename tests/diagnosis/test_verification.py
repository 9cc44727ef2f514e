from functools import partial

import numpy as np
import pytest
from scipy import stats

from tests.known import overlapping_pair, sample
from w2s_utils import diagnosis
from w2s_utils.diagnosis import verify
from w2s_utils.measure import intrinsic_dimension, top_eigenspace
from w2s_utils.metrics import MODELS, mean, opr, pgr
from w2s_utils.probes import probe_sweep, risks_at
from w2s_utils.splits import Splits
from w2s_utils.tasks import human_raters

# The paper's setting: no ridge, and features as they are given.
diagnose = partial(diagnosis.diagnose, ridge=0.0, energy=0.99, as_given=True)


@pytest.mark.parametrize("noise_variance", [None, 0.4])
def test_measured_beside_predicted(noise_variance):
    W, S, y = sample(overlapping_pair(), 3000, 0)
    d = diagnose(W, S, y, n=[30, 200], N=[40, 1000, 5000], noise_variance=noise_variance)
    found = verify(d, W, S, y, trials=20, seed=1)
    assert set(found["quantity"]) == {*MODELS, "gain", "pgr", "opr"}
    assert len(found) == 4 * 7  # N = 5000 does not fit
    risks = found[found["quantity"].isin(MODELS)]
    settled = risks[risks["n"] == 200]
    assert np.all(np.abs(settled["measured"] / settled["predicted"] - 1) < 0.1)
    pgr_rows = found.query("quantity == 'pgr' and n == 200")
    assert np.all(np.abs(pgr_rows["measured"] - pgr_rows["predicted"]) < 0.1)
    frame = probe_sweep(W, S, {0: lambda _: y}, y, [(200, 40)], splits=Splits(20, 600, 1))
    risks = risks_at(frame, 200, 40)
    paired = mean(risks.weak - risks.student)
    gain = found.query("n == 200 and N == 40 and quantity == 'gain'").iloc[0]
    assert gain["measured"] == pytest.approx(paired.value)
    assert gain["standard_error"] == pytest.approx(paired.standard_error)
    table = d.table().set_index(["n", "N"])
    row = found.query("n == 200 and N == 40 and quantity == 'student'").iloc[0]
    assert row["predicted"] == table.loc[(200, 40), "student"]
    assert row["high"] == table.loc[(200, 40), "student_high"]


@pytest.mark.parametrize("ridge", ["tuned", 0.02])
def test_models_with_an_intercept_and_a_ridge(ridge):
    W, S, y = sample(overlapping_pair(), 6000, 4)
    shifted = 100 + W * np.geomspace(1, 1e3, 14), S - 7, y + 50
    d = diagnosis.diagnose(*(X[:3000] for X in shifted), n=[40, 200], N=[80, 1000], ridge=ridge)
    found = verify(d, *(X[3000:] for X in shifted), trials=30, seed=1)
    risks = found[found["quantity"].isin(MODELS)]
    assert np.all(np.abs(risks["measured"] / risks["predicted"] - 1) < 0.1)
    assert np.median(np.abs(risks["measured"] / risks["predicted"] - 1)) < 0.04


def test_bands_hold_on_rows_that_were_not_diagnosed():
    """Widened for the second sample, they hold about nine of ten; half the rows are diagnosed."""
    deviations = []
    for number in range(40):
        W, S, y = sample(overlapping_pair(), 2000, 100 + number)
        seen, unseen = slice(1000), slice(1000, None)
        d = diagnose(W[seen], S[seen], y[seen], n=[100], N=[500], noise_variance=0.4)
        found = verify(d, W[unseen], S[unseen], y[unseen], trials=10).set_index("quantity")
        gap = found["measured"] - found["predicted"]
        deviations.append(gap / (found["high"] - found["predicted"]) / np.sqrt(2))
    inside = (np.abs(deviations) < 1).mean(axis=0)
    assert np.all(inside > 0.72), inside  # less in one of 1,000 runs
    assert np.mean(inside) < 1


def test_noise_is_taken_off_both_sides_or_neither():
    W, S, y = sample(overlapping_pair(), 1000, 1)
    sizes = {"n": [60], "N": [200]}
    noisy, clean = (
        verify(diagnose(W, S, y, **sizes, noise_variance=v), W, S, y, trials=3) for v in (None, 0.4)
    )
    for name in ("predicted", "measured"):
        np.testing.assert_allclose(noisy[name][:4] - 0.4, clean[name][:4])
    assert noisy["measured"][4] == pytest.approx(clean["measured"][4])


def test_classes_are_verified_column_by_column():
    W, S, y = sample(overlapping_pair(), 1000, 2)
    three = np.digitize(y, [-0.5, 0.5])
    d = diagnose(W, S, three, classes=True, n=[60], N=[200])
    found = verify(d, W, S, three, trials=5).set_index("quantity")
    assert found.loc["baseline", "measured"] == pytest.approx(
        found.loc["baseline", "predicted"], rel=0.15
    )


def test_what_does_not_fit_is_refused():
    W, S, y = sample(overlapping_pair(), 1000, 3)
    d = diagnose(W, S, y, n=[60], N=[2000])
    with pytest.raises(ValueError, match="No point of the grid fits into 1000 rows beside 200"):
        verify(d, W, S, y)
    d = diagnose(W, S, y, n=[60], N=[200])
    with pytest.raises(ValueError, match="weak has 2 columns, fewer than were diagnosed"):
        verify(d, W[:, :2], S, y)


def test_sentence_teachers_are_predicted_and_ranked():
    """Real features and label noise; the full measurement has all sentences and more teachers."""
    data = human_raters.load(4000)
    noise, draw = data.noise_variance(1), data.task(1).draw_labels
    y = draw(np.random.default_rng(0))
    student = data.features("h4")
    rows = []
    for name in ("h0", "h1", "h2", "h3", "h5", "h6"):
        teacher = data.features(name)
        d = diagnose(teacher, student, y, n=400, N=2000, noise_variance=noise, energy=0.95)
        W, S = (top_eigenspace(X, intrinsic_dimension(X, 0.95)) for X in (teacher, student))
        frame = probe_sweep(W, S, {1: draw}, data.target, [(400, 2000)],
                            splits=Splits(8, 800, 1))  # fmt: skip
        risks = risks_at(frame, 400, 2000)
        measured = pgr(risks).value, risks.student.mean(), opr(risks).value
        predicted = (band.value[0, 0] for band in (d.pgr, d.risk["student"], d.opr))
        rows.append([*predicted, *measured])
    table = np.array(rows)
    for column in (0, 1):
        assert stats.spearmanr(table[:, column], table[:, 3 + column])[0] > 0.8
    assert np.median(np.abs(table[:, 0] - table[:, 3])) < 0.06
    assert np.median(np.abs(table[:, 2] / table[:, 5] - 1)) < 0.1
