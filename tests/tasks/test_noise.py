import numpy as np
import pytest

from w2s_utils.metrics import mean
from w2s_utils.tasks import noise

SIGNS = np.tile([1.0, -1.0, 1.0], 40)


@pytest.mark.parametrize(
    ("kind", "level"),
    [(noise.normal, 0.0), (noise.normal, 3.0), (noise.flips, 0.0), (noise.flips, 0.3)],
)
def test_labels_are_unbiased_and_of_the_stated_variance(kind, level):
    made = kind(SIGNS, level)
    rng = np.random.default_rng(1)
    labels = np.array([made.draw_labels(rng) for _ in range(4000)])
    if level == 0:
        assert made.variance == 0
        np.testing.assert_array_equal(labels[0], SIGNS)
        return
    assert abs(mean((labels * SIGNS).mean(axis=1)).z_score(1)) < 4
    assert abs(mean(((labels - SIGNS) ** 2).mean(axis=1)).z_score(made.variance)) < 4
    independent = mean(((labels[:, 1:] - SIGNS[1:]) * (labels[:, :-1] - SIGNS[:-1])).mean(axis=1))
    assert abs(independent.z_score(0)) < 4


@pytest.mark.parametrize(
    ("kind", "target", "level", "message"),
    [
        (noise.normal, [1.0], -1.0, "deviation must be finite and >= 0"),
        (noise.normal, [[1.0]], 1.0, "target must have 1 dimension"),
        (noise.flips, [1.0, 0.0], 0.1, "target must hold -1 and 1 only"),
        (noise.flips, [1.0], 0.5, "rate must lie in"),
    ],
)
def test_bad_noise_is_refused(kind, target, level, message):
    with pytest.raises(ValueError, match=message):
        kind(target, level)
