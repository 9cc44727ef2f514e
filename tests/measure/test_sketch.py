import numpy as np
import pytest

from w2s_utils.measure import projection_sketch, rotation_sketch
from w2s_utils.metrics import mean
from w2s_utils.subspaces import random_overlap


@pytest.mark.parametrize(("sketch", "dimension"), [(projection_sketch, 16), (rotation_sketch, 24)])
@pytest.mark.parametrize("related", [True, False], ids=["the same functions", "unrelated"])
def test_sketches_have_the_mean_and_spread_of_unrelated_subspaces(sketch, dimension, related):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, 10))
    weak = z @ np.linalg.qr(rng.standard_normal((24, 10)))[0].T
    functions = z[:, :6] if related else rng.standard_normal((300, 6))
    strong = functions @ np.linalg.qr(rng.standard_normal((16, 6)))[0].T
    drawn = [sketch(weak, strong, rng, energy=1.0) for _ in range(400)]
    chance, spread = random_overlap(dimension, 10, 6)
    assert abs(mean(drawn).z_score(chance)) < 3
    assert np.std(drawn, ddof=1) == pytest.approx(spread, rel=0.15)


def test_sketches_reject_what_is_no_feature_matrix():
    for sketch in (projection_sketch, rotation_sketch):
        with pytest.raises(ValueError, match="not all be zero"):
            sketch(np.zeros((9, 3)), np.eye(9, 3), np.random.default_rng(0))
