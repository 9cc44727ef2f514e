import numpy as np
import pytest

from tests.known import PAIRS, generic_pair, pair_at
from w2s_utils.metrics import MODELS
from w2s_utils.pair import GaussianPair
from w2s_utils.simulation.wishart import _explicit
from w2s_utils.subspaces import canonical_angles
from w2s_utils.theory.exact import expected_risks


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_pair_rebuilt_from_its_principal_coordinates_has_the_same_theory(pair):
    rebuilt = _explicit(pair.principal)
    for name in ("d_w", "d_s", "d_sw", "rho_w", "rho_s"):
        assert getattr(rebuilt, name) == pytest.approx(getattr(pair, name), rel=1e-8, abs=1e-12)
    np.testing.assert_allclose(
        canonical_angles(rebuilt.weak_basis, rebuilt.strong_basis),
        canonical_angles(pair.weak_basis, pair.strong_basis),
        atol=1e-7,  # SciPy's own error where angles of 0 and 1e-6 meet
    )
    for risk in ("population", "transductive"):
        one, two = (
            expected_risks(p, pair.d_w + pair.d_s + 9, 40 + pair.d_s, risk) for p in (pair, rebuilt)
        )
        for model in MODELS:
            assert two[model] == pytest.approx(one[model], rel=1e-8)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_target_keeps_its_length_in_each_set_of_coordinates(pair):
    p = pair.principal
    length = float(pair.target @ pair.target)
    weak_first = (p.weak_target, p.new_target)
    strong_first = (p.strong_target, p.beyond_target)
    for parts in (weak_first, strong_first):
        assert sum(float(x @ x) for x in parts) + p.rest == pytest.approx(length)


def test_coordinates_of_an_aligned_pair_are_read_off():
    target = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    # V_s: coordinates 1 to 2, V_w: coordinates 2 to 5.
    p = GaussianPair.aligned(d_w=4, d_s=2, d_sw=1, target=target, noise_variance=0.0).principal
    np.testing.assert_allclose(p.cosines, [1, 0])
    np.testing.assert_allclose(np.abs(p.weak_target), [2, np.sqrt(9 + 16 + 25)])
    np.testing.assert_allclose(np.abs(p.strong_target), [2, 1])
    np.testing.assert_allclose(np.abs(p.new_target), [0, 1])
    assert (p.silent, p.shared) == (2, 1)
    assert p.rest == pytest.approx(36)


def test_a_silent_direction_holds_no_target_and_no_overlap():
    """Silent directions are those a turn inside V_w cannot tell apart."""
    p = pair_at([0.3, 1.0], 6, 2).principal
    assert p.silent == 6 - 2 - 1
    assert len(p.cosines) == 3
    assert p.cosines[-1] == 0
    assert generic_pair(seed=1, d_w=9, d_s=14, dimension=40).principal.silent == 0
