import numpy as np
import pytest

from w2s_utils.diagnosis import predict_tuned
from w2s_utils.metrics import MODELS, mean
from w2s_utils.probes import probe_sweep, risks_at
from w2s_utils.splits import Splits

POINTS = [(30, 400), (120, 400), (120, 60)]


def task(rows, seed):
    """Correlated features of unequal variance and mean, of inputs in 50 dimensions."""
    rng = np.random.default_rng(seed)
    z, fixed = rng.standard_normal((rows, 50)), np.random.default_rng(1)
    W = z[:, :30] @ fixed.standard_normal((30, 25)) * np.geomspace(1, 0.1, 25) + 2
    S = z[:, 10:] @ fixed.standard_normal((40, 20)) * np.geomspace(1, 0.1, 20) - 1
    return W, S, z @ (fixed.standard_normal(50) / 4) + 5


def test_prediction_from_one_sample_against_tuned_probes_on_others():
    """Within 3 %: cross-validation does not find the best ridge of each sample exactly."""
    W, S, f = task(4000, 2)
    predicted = predict_tuned(W, S, f, 1.0, *np.array(POINTS).T)
    frames = []
    for seed in range(40):
        W, S, f = task(1600, 100 + seed)
        labels = {0: lambda rng, f=f: f + rng.standard_normal(1600)}
        frame = probe_sweep(W, S, labels, f, POINTS, Splits(1, 1000, seed), "tuned")
        frames.append(risks_at_all(frame))
    for i in range(len(POINTS)):
        for model in MODELS:
            measured = mean([risks[i][model][0] for risks in frames])
            assert abs(measured.value - predicted[model][i]) < (
                0.03 * predicted[model][i] + 4 * measured.standard_error
            )


def risks_at_all(frame):
    return [risks_at(frame, n, N) for n, N in POINTS]


def test_half_of_the_rows_remove_the_optimism():
    """Rows hardly more than columns: without the correction the risks are far too small."""
    truth = predict_tuned(*task(40_000, 3), 1.0, 120, 400)
    few = [predict_tuned(*task(300, 200 + seed), 1.0, 120, 400) for seed in range(40)]
    for model in MODELS:
        off = mean([float(risks[model] / truth[model]) for risks in few])
        assert abs(off.value - 1) < 0.03 + 4 * off.standard_error


def test_shifts_rotations_and_scales_change_nothing():
    W, S, f = task(500, 4)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((25, 25)))[0]
    plain, moved = (
        predict_tuned(*pair, 1.0, 60, 100) for pair in ((W, S, f), (7 + W @ turned, 30 * S, f - 9))
    )
    for model in MODELS:
        assert moved[model] == pytest.approx(plain[model], rel=1e-6)


def test_too_few_rows_are_refused():
    W, S, f = task(90, 5)
    with pytest.raises(ValueError, match=r"two rows a column are needed, got 90 rows for 25 \+ 20"):
        predict_tuned(W, S, f, 1.0, 30, 50)
