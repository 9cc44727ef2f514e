import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2s_utils.measure import correlation_dimension, projection_sketch, rotation_sketch
from w2s_utils.measure.correlation import BLOCKS
from w2s_utils.metrics import mean


def gaussian_features(cos2, d_w, d_s, rows, rng):
    """White Gaussian features whose canonical correlations have these squares."""
    weak, own = rng.standard_normal((rows, d_w)), rng.standard_normal((rows, d_s))
    shared = len(cos2)
    own[:, :shared] *= np.sqrt(1 - cos2)
    own[:, :shared] += np.sqrt(cos2) * weak[:, :shared]
    return weak, own


def widened(features, width, rng):
    """The same functions as `width` features, by a random map of condition number about 30."""
    d = features.shape[1]
    directions = np.linalg.qr(rng.standard_normal((width, d)))[0]
    return features @ (np.geomspace(1, 1 / 30, d)[:, None] * directions.T)


def repeated(cos2, d_w, d_s, rows, draws, seed):
    rng = np.random.default_rng(seed)
    return [
        correlation_dimension(*gaussian_features(cos2, d_w, d_s, rows, rng), energy=1.0)
        for _ in range(draws)
    ]


@pytest.mark.parametrize("rows", [140, 1000])
@pytest.mark.parametrize("shared", [0, 2, 10, 18])
def test_estimates_are_unbiased_over_repeated_draws(shared, rows):
    found = repeated(np.ones(shared), 40, 20, rows, 50, seed=shared + rows)
    for name in ("estimate", "held_out"):
        assert abs(mean([getattr(one, name) for one in found]).z_score(shared)) < 3, name
    if shared < 18 or rows == 140:  # the test can fail: the plug-in value is far off
        assert mean([one.plug_in for one in found]).z_score(shared) > 10


def test_bias_of_plug_in_and_estimate_at_generic_angles():
    d_w, d_s, rows = 40, 20, 200
    cos2 = np.linspace(0.05, 0.95, d_s)
    d = cos2.sum()
    found = repeated(cos2, d_w, d_s, rows, 200, seed=1)
    remaining = np.sum(cos2 * (1 - cos2)) / rows
    assert remaining < d_s / 4 / rows
    for name, expected in (
        ("plug_in", d + (d_w - d) * (d_s - d) / (rows - d) - remaining),
        ("estimate", d - remaining),
        ("held_out", d),
    ):
        assert abs(mean([getattr(one, name) for one in found]).z_score(expected)) < 3, name


@pytest.mark.parametrize(
    "cos2",
    [np.linspace(0.05, 0.95, 20), np.ones(10)],
    ids=["generic angles", "angles of 0 and 90 degrees"],
)
def test_standard_errors_cover_the_spread_over_draws(cos2):
    """The jackknife lies between the true error and its square root of two."""
    found = repeated(cos2, 40, 20, 500, 80, seed=2)
    for value, error in (("estimate", "standard_error"), ("held_out", "held_out_error")):
        spread = np.std([getattr(one, value) for one in found], ddof=1)
        stated = np.sqrt(np.mean([getattr(one, error) ** 2 for one in found]))
        assert 1 / 1.2 < stated / spread < np.sqrt(2) * 1.2, value  # 80 draws know it to 8 %


def test_inputs_heavy_in_both_sets_inflate_the_estimate_and_not_the_held_out_value():
    rng = np.random.default_rng(7)
    d_w, d_s, rows = 20, 10, 2000
    found = []
    for _ in range(120):
        weights = np.sqrt(rng.choice([0.2, 1.8], size=(rows, 1)))  # leverages of variance 0.64
        weak, strong = weights * rng.standard_normal((rows, d_w)), rng.standard_normal((rows, d_s))
        found.append(correlation_dimension(weak, weights * strong, 1.0))
    inflated = mean([one.estimate for one in found])
    assert abs(inflated.z_score(0.64 * d_w * d_s / rows)) < 3
    assert inflated.z_score(0) > 10
    assert abs(mean([one.held_out for one in found]).z_score(0)) < 3


@pytest.mark.parametrize(("shared", "rows"), [(10, 2000), (90, 2000), (0, 5000), (50, 20_000)])
def test_at_the_size_of_the_papers_pair_the_sketches_see_chance(shared, rows):
    """d_w = 200 and d_s = 100 as 300 to 800 features: the estimate is right, a sketch is not."""
    rng = np.random.default_rng(shared)
    weak, strong = gaussian_features(np.ones(shared), 200, 100, rows, rng)
    weak, strong = widened(weak, 800, rng), widened(strong, 300, rng)
    found = correlation_dimension(weak, strong, energy=1.0)
    assert (found.d_w, found.d_s, found.rows) == (200, 100, rows)
    assert found.chance == 200 * 100 / rows
    assert abs(found.estimate - shared) < 3 * found.standard_error
    assert abs(found.held_out - shared) < 3 * found.held_out_error
    assert abs(projection_sketch(weak, strong, rng, energy=1.0) - 200 * 100 / 300) < 2
    assert abs(rotation_sketch(weak, strong, rng, energy=1.0) - 200 * 100 / 800) < 2


def test_plug_in_against_orthonormal_bases_of_the_sample():
    rng = np.random.default_rng(3)
    weak, strong = gaussian_features(np.full(5, 0.5), 9, 7, 80, rng)
    bases = [np.linalg.qr(features)[0] for features in (weak, strong)]
    expected = np.linalg.norm(bases[0].T @ bases[1]) ** 2
    assert correlation_dimension(weak, strong, 1.0).plug_in == pytest.approx(expected)


def test_held_out_against_two_fitted_regressions():
    rng = np.random.default_rng(4)
    weak, strong = gaussian_features(np.full(3, 0.7), 5, 4, 43, rng)

    def one_way(one, two):
        on_weak = np.linalg.lstsq(weak[one], strong[one])[0]
        on_strong = np.linalg.lstsq(strong[two], weak[two])[0]
        return np.trace(on_weak @ on_strong)

    def held_out(rows):
        even, odd = rows[rows % 2 == 0], rows[rows % 2 == 1]
        return (one_way(even, odd) + one_way(odd, even)) / 2

    rows = np.arange(43)
    left_out = [held_out(rows[rows % BLOCKS != b]) for b in range(BLOCKS)]
    found = correlation_dimension(weak, strong, 1.0)
    assert found.held_out == pytest.approx(held_out(rows))
    assert found.held_out_error == pytest.approx(np.sqrt((BLOCKS - 1) * np.var(left_out)))


def test_exact_cases():
    z = np.random.default_rng(5).standard_normal((200, 8))
    contained = correlation_dimension(z[:, :3], z, 1.0)
    for value in (contained.estimate, contained.plug_in, contained.held_out):
        assert value == pytest.approx(3)
    assert contained.standard_error < 1e-9


def test_only_the_retained_directions_count():
    rng = np.random.default_rng(6)
    z = rng.standard_normal((500, 6))
    faint = z * [1, 1, 1, 1e-3, 1e-3, 1e-3]
    assert correlation_dimension(faint, z, 0.99).estimate == pytest.approx(3)
    assert correlation_dimension(faint, z, 1.0).estimate == pytest.approx(6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 30))
def test_invariance_to_linear_maps_of_each_set_and_to_exchange(seed, width):
    rng = np.random.default_rng(seed)
    weak, strong = gaussian_features(np.array([0.9, 0.2]), 5, 3, 90, rng)
    one = correlation_dimension(weak, strong, 1.0)
    two = correlation_dimension(widened(strong, width, rng), 7 * widened(weak, width, rng), 1.0)
    for name in ("estimate", "standard_error", "plug_in", "held_out", "held_out_error", "chance"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-7), name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: correlation_dimension(np.ones((50, 2)), np.eye(60, 2)), "same number of rows"),
        (lambda: correlation_dimension(np.zeros((50, 2)), np.eye(50, 2)), "weak must not all be"),
        (lambda: correlation_dimension(np.eye(50, 2), np.full((50, 2), np.inf)), "strong must be"),
        (lambda: correlation_dimension(np.eye(30, 2), np.eye(30, 2)), "At least 40 rows .* got 30"),
        (lambda: correlation_dimension(np.eye(90, 50), np.eye(90, 2), 1.0), "At least 150 rows"),
        (lambda: correlation_dimension(np.eye(90, 2), np.eye(90, 2), 2.0), "energy must lie in"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
