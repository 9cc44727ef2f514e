import numpy as np
import pytest

from w2s_utils.geometry import Geometry
from w2s_utils.metrics import mean
from w2s_utils.pair import GaussianPair, inside, outside
from w2s_utils.simulation import inputs
from w2s_utils.subspaces import canonical_angles, pair_with_angles, random_basis
from w2s_utils.theory.exact import expected_risks


def test_the_papers_pair_has_the_published_dimensions_and_errors():
    for d_sw, rho_w in ((10, 2.56e-4), (50, 2.34e-4), (90, 1.64e-4)):
        pair = GaussianPair.paper(d_sw)
        assert (pair.d_w, pair.d_s, pair.d_sw) == (200, 100, d_sw)
        assert pair.rho_s == pytest.approx(5.48e-5, rel=1e-3)
        assert pair.rho_w == pytest.approx(rho_w, rel=3e-3)


@pytest.mark.parametrize("d_sw", [0, 2, 3])
def test_aligned_extremes(d_sw):
    pair = GaussianPair.aligned(d_w=5, d_s=3, d_sw=d_sw, target=np.ones(9), noise_variance=0.0)
    assert pair.d_sw == d_sw
    assert pair.rho_w == 4
    assert pair.rho_s == 6


def test_projections_split_a_vector():
    rng = np.random.default_rng(0)
    A, _ = pair_with_angles(12, [0.2, 0.9], 4, 2, rng)
    vector = rng.standard_normal(12)
    np.testing.assert_allclose(inside(A, vector) + outside(A, vector), vector)
    np.testing.assert_allclose(A.T @ outside(A, vector), 0, atol=1e-14)


@pytest.mark.parametrize("law", ["gaussian", "rademacher"])
def test_what_a_model_cannot_see_is_noise_of_variance_rho(law):
    """Uncorrelated with the features under any whitened inputs, independent under Gaussian ones."""
    samples = 200_000
    # Features (z1 + z2)/sqrt2, a missed part along (z1 - z2)/sqrt2.
    pair = GaussianPair(
        np.array([[1.0], [1.0]]) / np.sqrt(2), np.eye(2), np.array([2.0, 0.5]), noise_variance=0.0
    )
    z = getattr(inputs, law)(samples, 2, np.random.default_rng(6))
    x, missed = z @ pair.weak_basis[:, 0], z @ outside(pair.weak_basis, pair.target)
    assert np.mean(missed**2) == pytest.approx(pair.rho_w, rel=0.02)
    assert abs(np.corrcoef(x, missed)[0, 1]) < 4 / np.sqrt(samples)
    of_squares = np.corrcoef(x**2, missed**2)[0, 1]
    if law == "gaussian":
        assert abs(of_squares) < 4 / np.sqrt(samples)
    else:
        assert of_squares == pytest.approx(-1)  # x = 0 or missed = 0, always


def test_a_pair_is_immutable():
    pair = GaussianPair.paper()
    with pytest.raises(ValueError, match="read-only"):
        pair.target[0] = 1
    basis = np.eye(4)[:, :2]
    kept = GaussianPair(basis, basis, np.ones(4), 1.0)
    basis[:] = 0
    assert kept.d_sw == 2


def test_from_features_recovers_canonical_correlations_and_errors():
    rng = np.random.default_rng(3)
    A, B = pair_with_angles(10, [0.4, 1.1, 1.3], 4, 3, rng)
    # Inputs whose sample second moment is exactly the identity make the sample the population.
    Z = np.linalg.qr(rng.standard_normal((500, 10)))[0] * np.sqrt(500)
    beta = rng.standard_normal(10)
    W = Z @ A @ rng.standard_normal((4, 4))
    S = Z @ B @ rng.standard_normal((3, 3))
    true = GaussianPair(A, B, beta, 0.5)
    pair = GaussianPair.from_features(W, S, Z @ beta, 0.5)
    assert pair.d_sw == pytest.approx(true.d_sw)
    assert pair.rho_w == pytest.approx(true.rho_w)
    assert pair.rho_s == pytest.approx(true.rho_s)
    assert np.sum(pair.target**2) == pytest.approx(np.sum(beta**2))
    np.testing.assert_allclose(
        canonical_angles(pair.weak_basis, pair.strong_basis), [0.4, 1.1, 1.3], atol=1e-10
    )


def test_from_features_ignores_scales_rotations_and_row_order():
    rng = np.random.default_rng(4)
    W, S, f = rng.standard_normal((80, 3)), rng.standard_normal((80, 5)), rng.standard_normal(80)
    order = rng.permutation(80)
    one = GaussianPair.from_features(W, S, f, 1.0)
    two = GaussianPair.from_features(
        1e3 * W[order] @ rng.standard_normal((3, 3)), 1e-3 * S[order], f[order], 1.0
    )
    for name in ("d_sw", "rho_w", "rho_s"):
        assert getattr(one, name) == pytest.approx(getattr(two, name))


def test_bad_features_are_refused():
    rng = np.random.default_rng(5)
    W, S, f = rng.standard_normal((30, 3)), rng.standard_normal((30, 4)), rng.standard_normal(30)
    constant = np.column_stack([W, np.ones(30), np.ones(30)])
    with pytest.raises(ValueError, match="weak features must have full column rank"):
        GaussianPair.from_features(constant, S, f, 1.0)
    with pytest.raises(ValueError, match="got 7 rows for 3 \\+ 4 columns"):
        GaussianPair.from_features(W[:7], S[:7], f[:7], 1.0)
    with pytest.raises(ValueError, match="weak has 29, strong has 30, target has 30"):
        GaussianPair.from_features(W[:29], S, f, 1.0)
    with pytest.raises(ValueError, match="1 NaN"):
        GaussianPair.from_features(W, S, np.where(np.arange(30) == 3, np.nan, f), 1.0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"d_sw": 4}, "d_sw must be between 0 and"),
        ({"d_sw": -1}, "d_sw must be between 0 and"),
        ({"target": np.ones(5)}, "at least d_w \\+ d_s - d_sw = 7 entries, got 5"),
        ({"noise_variance": -1.0}, "noise_variance"),
        ({"noise_variance": np.nan}, "noise_variance"),
        ({"target": np.full(9, np.inf)}, "9 NaN or infinite"),
    ],
)
def test_bad_pairs_are_refused(changed, message):
    good = {"d_w": 5, "d_s": 3, "d_sw": 1, "target": np.ones(9), "noise_variance": 1.0}
    with pytest.raises(ValueError, match=message):
        GaussianPair.aligned(**(good | changed))


def test_bases_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="strong_basis has 5"):
        GaussianPair(np.eye(4), np.eye(5), np.ones(4), 1.0)


QUANTITIES = ("d_sw", "rho_w", "rho_s", "missed", "leaked")


@pytest.mark.parametrize(("d_w", "d_s"), [(20, 12), (12, 20)])
def test_geometry_from_features_is_unbiased_and_the_plug_in_is_not(d_w, d_s):
    rows, trials = 400, 400
    rng = np.random.default_rng(d_w)
    weak, strong = pair_with_angles(60, np.linspace(0.1, 1.5, 12), d_w, d_s, rng)
    pair = GaussianPair(weak, strong, rng.standard_normal(60) / 8, 0.5)
    directions = np.column_stack([pair.weak_basis, pair.strong_basis, pair.target])
    corrected, plug_in = [], []
    for _ in range(trials):
        drawn = rng.standard_normal((rows, 60)) @ directions
        sample = (drawn[:, :d_w], drawn[:, d_w:-1], drawn[:, -1], 0.5)
        for found, cls in ((corrected, Geometry), (plug_in, GaussianPair)):
            pair_found = cls.from_features(*sample)
            found.append([getattr(pair_found, name) for name in QUANTITIES])
    for name, values, naive in zip(QUANTITIES, np.transpose(corrected), np.transpose(plug_in),
                                   strict=True):  # fmt: skip
        true = getattr(pair, name)
        # 4 standard errors, and terms of order 1/M and (d/M)^2 that are left out
        allowed = 4 * mean(values).standard_error + 0.005 * true
        assert abs(mean(values).value - true) < allowed, name
        if name != "missed":  # chance adds to it and takes from it about as much
            assert abs(mean(naive).z_score(true)) > 4, name


@pytest.mark.parametrize(("seen_by", "quantity"), [("weak", "leaked"), ("strong", "missed")])
def test_geometry_is_unbiased_for_a_target_that_one_model_sees(seen_by, quantity):
    """There the corrections that are a share of the quantity itself stand out."""
    rows, trials = 400, 400
    rng = np.random.default_rng(7)
    weak, strong = pair_with_angles(40, np.linspace(0.1, 1.5, 12), 20, 12, rng)
    seen = weak if seen_by == "weak" else strong
    beta = seen @ rng.standard_normal(len(seen.T))
    pair = GaussianPair(weak, strong, beta, 0.0)
    found = []
    for _ in range(trials):
        Z = rng.standard_normal((rows, 40))
        sample = Geometry.from_features(Z @ weak, Z @ strong, Z @ beta, 0.0)
        found.append(getattr(sample, quantity))
    # 4 standard errors, and terms of order 1/M and (d/M)^2 that are left out
    true = getattr(pair, quantity)
    assert abs(mean(found).value - true) < 4 * mean(found).standard_error + 0.005 * true


def test_geometry_of_many_rows_is_the_plug_in():
    rng = np.random.default_rng(5)
    Z = rng.standard_normal((50_000, 6))
    sample = (Z[:, :3], Z[:, 2:5], Z @ np.arange(6.0), 0.1)
    corrected, plug_in = Geometry.from_features(*sample), GaussianPair.from_features(*sample)
    for name in QUANTITIES:
        assert getattr(corrected, name) == pytest.approx(getattr(plug_in, name), rel=1e-3, abs=5e-3)


def test_geometry_stays_in_range_for_unrelated_features_and_for_equal_ones():
    rng = np.random.default_rng(6)
    W, S, f = rng.standard_normal((60, 9)), rng.standard_normal((60, 8)), rng.standard_normal(60)
    for strong in (S, W @ random_basis(9, 9, rng)):
        found = Geometry.from_features(W, strong, f, 0.0)
        assert 0 <= found.d_sw <= min(found.d_w, found.d_s)
        assert 0 <= found.missed <= found.rho_w
        assert found.leaked >= 0
    assert found.d_sw == pytest.approx(9)
    assert found.missed == pytest.approx(0)


def test_expected_risks_take_a_geometry_in_place_of_a_pair():
    pair = GaussianPair.aligned(d_w=4, d_s=3, d_sw=2, target=np.ones(6), noise_variance=0.3)
    fields = {name: getattr(pair, name) for name in ("d_w", "d_s", *QUANTITIES, "noise_variance")}
    for risk in ("population", "transductive"):
        one, two = (expected_risks(p, 20, 30, risk) for p in (pair, Geometry(**fields)))
        assert one == two
