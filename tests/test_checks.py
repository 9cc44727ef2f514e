import numpy as np
import pytest

from w2s_utils import checks
from w2s_utils.thresholds import simultaneous_z


def test_a_check_passes_on_its_side_of_the_limit_only():
    assert checks.Check("x", 0.9, 1.0).holds
    assert not checks.Check("x", 1.0, 1.0).holds
    assert checks.Check("x", 1.1, 1.0, "above").holds
    assert not checks.Check("x", 1.0, 1.0, "above").holds
    assert not checks.Check("x", np.nan, 1.0).holds
    assert not checks.Check("x", np.nan, 1.0, "above").holds


def test_a_check_that_no_number_could_fail_is_refused():
    with pytest.raises(ValueError, match="A check needs a finite limit, got inf"):
        checks.Check("x", 0.9, np.inf)


@pytest.mark.parametrize("count", [1, 40])
def test_chance_alone_does_not_fail_an_agreement(count):
    """Of as many runs as there are here, none exceeds the limit of one in 10,000 by much."""
    rng = np.random.default_rng(0)
    draws = np.abs(rng.standard_t(9, size=(100_000, count))).max(axis=1)
    limit = checks.agree("x", np.zeros(count), trials=10).limit
    assert limit == simultaneous_z(count, 10, 0.9999)
    assert abs(np.mean(draws > limit) - 1e-4) < 4 * np.sqrt(1e-4 / 100_000)
    z = np.zeros(count)
    for share, passes in ((0.99, True), (1.01, False)):
        z[0] = -share * limit
        assert checks.agree("x", z, trials=10).holds is passes


def test_the_words_of_a_check():
    assert checks.agree("x", [1.0, -3.5], trials=200).measured == 3.5
    assert not checks.agree("x", [1.0, np.nan], trials=200).holds
    assert checks.within("x", 0.04, "well").holds
    assert not checks.within("x", 0.06, "well").holds
    assert checks.never("x", 0).holds
    assert not checks.never("x", 1).holds
    assert checks.same_law("x", [0.5, 1e-3]).holds
    assert not checks.same_law("x", [0.5, 1e-5]).holds
    with pytest.raises(ValueError, match=r"one of identically, .*, got 'nearly'"):
        checks.within("x", 0.1, "nearly")
