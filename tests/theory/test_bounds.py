import numpy as np
import pytest

from w2s_utils.metrics import MODELS
from w2s_utils.pair import GaussianPair
from w2s_utils.theory.bounds import paper_risks
from w2s_utils.theory.exact import expected_risks


def test_a_hand_computed_point():
    pair = GaussianPair.aligned(
        d_w=4, d_s=2, d_sw=1, target=[1.0, 0, 0, 0, 0, 2.0], noise_variance=3.0
    )
    risks = paper_risks(pair, n=10, N=20)
    # Weak coordinates 2..5, strong 1..2: rho_w = 1 + 4, rho_s = 4; d_sw(20) = 1 + 3 * 2 / 20.
    assert risks.weak == pytest.approx(3 * 4 / 10 + 5)
    assert risks.student == pytest.approx(3 * 1.3 / 5 + 5 + 4)
    assert risks.baseline == pytest.approx(3 * 2 / 10 + 4)
    assert risks.ceiling == pytest.approx(3 * 2 / 30 + 4)


def test_the_curves_approach_the_exact_risks_when_well_specified():
    """Large samples, no approximation error: the formulas differ by d/n only."""
    target = np.r_[np.zeros(3), 1.0, 0, 0, 0]
    pair = GaussianPair.aligned(d_w=4, d_s=4, d_sw=1, target=target, noise_variance=1.0)
    assert pair.rho_w == pair.rho_s == 0
    for size in (10**3, 10**5):
        paper, exact = paper_risks(pair, size, size), expected_risks(pair, size, size)
        for model in MODELS:
            assert getattr(paper, model) == pytest.approx(getattr(exact, model), rel=20 / size)


def test_broadcasting_and_bad_sizes():
    pair = GaussianPair.paper()
    assert paper_risks(pair, [400, 800], [[500], [900], [1300]]).weak.shape == (3, 2)
    with pytest.raises(ValueError, match="n must exceed d_w \\+ 1 = 201"):
        paper_risks(pair, 201, 500)
    with pytest.raises(ValueError, match="N must exceed zero"):
        paper_risks(pair, 400, 0)
