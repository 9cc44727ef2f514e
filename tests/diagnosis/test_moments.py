from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from w2s_utils import _threads
from w2s_utils._progress import Watched
from w2s_utils.diagnosis import blocks, diagnose, second_pass
from w2s_utils.diagnosis.blocks import unpack
from w2s_utils.diagnosis.labels import read_labels
from w2s_utils.diagnosis.moments import read_moments
from w2s_utils.diagnosis.rows import Reader
from w2s_utils.io.files import open_features
from w2s_utils.io.shards import Picked
from w2s_utils.measure import leverage_excess, noise_inflation, spectrum, top_eigenspace
from w2s_utils.measure.correlation import BLOCKS


def features(rows=330, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 9)) * rng.gamma(2.0, size=(rows, 1)) + 0.3
    return X[:, :5] * np.arange(5, 0, -1), X[:, 3:], X[:, 2] + rng.standard_normal(rows)


def grams(found):
    return np.array([unpack(gram) for gram in found.grams])


def test_against_whole_matrices():
    W, S, y = features()
    found = read_moments(W, S, read_labels(y, None), None, 0.99, standard=False)
    whitened = [
        top_eigenspace(X, d) for X, d in ((W, found.every.weak.d), (S, found.every.strong.d))
    ]
    signs = [np.sign(np.sum(Z[:BLOCKS], axis=0)) for Z in whitened]
    Z = np.column_stack([*whitened, y])
    total = np.abs(grams(found).sum(axis=0))
    np.testing.assert_allclose(
        np.abs(found.of(found.grams.halves.sum(axis=0), 1)[0]), total, atol=1e-8
    )
    np.testing.assert_allclose(total, np.abs(Z.T @ Z), atol=1e-8)
    assert len(signs) == 2
    for b in range(BLOCKS):
        np.testing.assert_allclose(
            np.abs(grams(found)[b]), np.abs(Z[b::BLOCKS].T @ Z[b::BLOCKS]), atol=1e-8
        )
        assert found.sizes[b] == len(Z[b::BLOCKS])
    for X, Z, measured in (
        (W, whitened[0], found.every.weak),
        (S, whitened[1], found.every.strong),
    ):
        np.testing.assert_allclose(measured.spectrum, spectrum(X))
        assert Z.shape[1] == measured.d
        residual = y - Z @ np.linalg.lstsq(Z, y)[0]
        assert measured.leverage == pytest.approx(leverage_excess(Z))
        assert measured.inflation == pytest.approx(noise_inflation(Z, residual))


@pytest.mark.parametrize(("rows", "blur"), [(600, 0.2), (20_000, 0.05)])
@pytest.mark.parametrize("noise", [(1, 1, 1), (2, 0.8, 0.2)])
def test_noise_at_each_size_even_of_few_rows(rows, blur, noise):
    rng = np.random.default_rng(3)
    squared, noise, found = np.array([0.4, 0.8, 1.8]), np.array(noise), []
    for _ in range(24_000 // rows):
        group = rng.integers(3, size=rows)
        W = np.sqrt(squared[group])[:, None] * rng.standard_normal((rows, 100))
        y = W[:, 0] + np.sqrt(noise[group]) * rng.standard_normal(rows)
        found.append(
            read_moments(W, W, read_labels(y, None), None, 1.0, standard=False).every.weak.radii
        )
    # What the theory makes of them: the noise that is interpolated, and the noise inflation. Sizes
    # are seen through the chance variation of the leverages, which blurs their relation to noise.
    for power in (-1, 1):
        truth = np.mean(noise * squared**power)
        mean = np.mean([np.mean(sizes.noise * sizes.squared**power) for sizes in found])
        assert abs(mean - truth) < blur * abs(truth - 1) + 0.02


@pytest.mark.parametrize("rows", [400, 410, 999])
def test_rows_are_read_in_any_blocks(monkeypatch, rows):
    W, S, y = features(rows)
    further = read_labels(y, None).encode(y[::-1])
    whole = read_moments(W, S, read_labels(y, None), further, 0.999, standard=False)
    monkeypatch.setattr(second_pass, "CHUNK", 1)  # 400 rows a time, the least
    parts = read_moments(W, S, read_labels(y, None), further, 0.999, standard=False)
    np.testing.assert_allclose(grams(parts), grams(whole), rtol=1e-8, atol=1e-8)
    for name in ("noise_squares", "noise_degrees", "every.weak.leverage", "every.strong.inflation"):
        one, other = map(attrgetter(name), (parts, whole))
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("held", [1, 3, 7, 19])
def test_products_that_memory_does_not_hold_are_made_again(monkeypatch, held):
    W, S, y = features(410)
    labels = read_labels(y, None)
    whole = read_moments(W, S, labels, None, 0.999, standard=False)
    size = next(iter(whole.grams)).nbytes
    monkeypatch.setattr(blocks, "HELD", held * size)
    few = read_moments(W, S, labels, None, 0.999, standard=False)
    assert len(few.grams._held) == held
    for _ in range(2):  # they can be had more than once
        np.testing.assert_array_equal(grams(few), grams(whole))
    np.testing.assert_allclose(few.grams.halves, whole.grams.halves)
    np.testing.assert_array_equal(few.every.weak.radii.noise, whole.every.weak.radii.noise)


class Recorded:
    """A matrix that notes how many numbers are read at once."""

    def __init__(self, values):
        self.values, self.shape, self.most = values, values.shape, 0

    def __getitem__(self, rows):
        self.most = max(self.most, self.values[rows].size)
        return self.values[rows]


@pytest.mark.parametrize("energy", [0.01, 1.0])
def test_what_is_read_at_once_depends_on_the_width_alone(monkeypatch, energy):
    rng = np.random.default_rng(0)
    W, S = (Recorded(rng.standard_normal((4000, width))) for width in (60, 20))
    monkeypatch.setattr(second_pass, "CHUNK", 80 * 1000)
    read_moments(W, S, read_labels(rng.standard_normal(4000), None), None, energy, standard=False)
    assert (W.most, S.most) == (60 * 1000, 20 * 2000)  # alone, and beside the other


def test_rows_of_a_wide_set_beside_a_narrow_one_are_read_few_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    W, S = (Recorded(rng.standard_normal((4000, width))) for width in (2, 60))
    monkeypatch.setattr(second_pass, "CHUNK", 62 * 1000)
    diagnose(W, S, rng.standard_normal(4000) > 0, n=300, N=400)
    assert max(W.most, S.most) <= 62 * 1000


def test_mapped_half_precision_is_summed_in_double(tmp_path):
    W, S, y = features()
    for name, X in (("W", W), ("S", S)):
        np.save(tmp_path / f"{name}.npy", X.astype(np.float16))
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "WS"]
    found = read_moments(*mapped, read_labels(y, None), None, 0.99, standard=False)
    plain = [X.astype(np.float16).astype(np.float64) for X in (W, S)]
    expected = read_moments(*plain, read_labels(y, None), None, 0.99, standard=False)
    np.testing.assert_array_equal(grams(found), grams(expected))


def test_noise_of_replicates():
    W, S, y = features()
    further = y[:, None] + np.random.default_rng(1).standard_normal((len(y), 2))
    further[::3, 1] = np.nan
    further[::6] = np.nan
    labels = read_labels(y, None)
    found = read_moments(W, S, labels, labels.encode(further), 0.99, standard=False)
    groups = [np.r_[a, b[~np.isnan(b)]] for a, b in zip(y, further, strict=True)]
    squares = np.array([np.sum((group - group.mean()) ** 2) for group in groups])
    degrees = np.array([len(group) - 1 for group in groups])
    np.testing.assert_allclose(found.noise_squares, [squares[b::BLOCKS].sum() for b in range(20)])
    np.testing.assert_allclose(found.noise_degrees, [degrees[b::BLOCKS].sum() for b in range(20)])


def test_all_directions_of_deficient_features_are_those_of_their_rank():
    W, S, y = features()
    found = read_moments(
        np.hstack([W, W @ np.ones((5, 2))]), S, read_labels(y, None), None, 1.0, standard=False
    )
    assert (found.every.weak.d, found.every.strong.d) == (5, 6)


def test_constant_columns_are_counted():
    W, S, y = features()
    W = np.column_stack([W, np.zeros(len(y)), np.full(len(y), 100.0)])
    found = read_moments(W, S, read_labels(y, None), None, 0.999, standard=False)
    assert found.every.weak.constant == (2, pytest.approx(1e4 / (np.sum(W**2) / len(y))))
    assert found.every.strong.constant == (0, 0)


def narrow(rows, width, seed, dtype=np.float32):
    rng = np.random.default_rng(seed)
    latent = np.random.default_rng(9).standard_normal((rows, 4))
    X = latent @ rng.standard_normal((4, width)) + rng.standard_normal((rows, width))
    return (X * np.geomspace(1, 1e-2, width) + 3).astype(dtype), latent[:, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("how", [{}, {"as_given": True}, {"ridge": 0}, {"energy": 0.9}])
def test_single_precision_of_large_files_changes_a_millionth(monkeypatch, dtype, how):
    monkeypatch.setattr(second_pass, "CHUNK", 1)  # so that these are large
    (W, y), (S, _) = (narrow(2000, width, seed, dtype) for seed, width in ((0, 12), (1, 30)))
    y = y + np.random.default_rng(2).standard_normal(len(y))
    found = read_moments(W, S, read_labels(y, None), None, 1.0, standard=True)
    assert next(iter(found.grams)).dtype == np.float32
    sizes = {"n": [60, 300], "N": [200, 5000]}
    single, double = (
        diagnose(*(X.astype(kind) for X in (W, S)), y, **sizes, **how)
        for kind in (dtype, np.float64)
    )
    assert not single.table().equals(double.table())
    # Ends of bands carry the error of the jackknife, which is larger than that of the values.
    np.testing.assert_allclose(single.table(), double.table(), rtol=2e-6, atol=2e-6)
    overlap = single.correlation.estimate, double.correlation.estimate
    assert overlap[0] == pytest.approx(overlap[1], rel=1e-6)


@pytest.mark.parametrize("why", ["wide", "small", "steep", "explained", "huge"])
def test_double_precision_where_single_would_not_do(monkeypatch, why):
    if why != "small":
        monkeypatch.setattr(second_pass, "CHUNK", 1)
    (W, y), (S, _) = (narrow(800, width, seed) for seed, width in ((0, 12), (1, 30)))
    labels = y + np.random.default_rng(2).standard_normal(len(y))
    if why == "wide":
        S = S.astype(np.float64)
    if why == "steep":
        S[:, 0] = S[:, 1] + 3e-4 * S[:, 0]
    if why == "explained":
        labels = S.astype(float) @ np.ones(30) + 0.01 * y
    if why == "huge":
        S *= np.float32(1e34)
    found = read_moments(W, S, read_labels(labels, None), None, 1.0, standard=True)
    assert next(iter(found.grams)).dtype == np.float64
    double = read_moments(
        *(X.astype(np.float64) for X in (W, S)), read_labels(labels, None), None, 1.0, standard=True
    )
    np.testing.assert_array_equal(grams(found), grams(double))


def test_copies_are_found_in_single_precision(monkeypatch):
    monkeypatch.setattr(second_pass, "CHUNK", 1)
    (W, _), (S, _) = (narrow(700, width, seed) for seed, width in ((0, 7), (1, 33)))
    three = np.random.default_rng(0).permutation(np.repeat(np.arange(700), 3))
    labels = read_labels(np.random.default_rng(1).standard_normal(2100), None)
    found = read_moments(W[three], S[three], labels, None, 1.0, standard=True)
    assert next(iter(found.grams)).dtype == np.float32
    assert found.copies.tolist() == [3] * 700


@pytest.mark.parametrize("held", [3, 20])
def test_blocks_are_mapped_in_order_by_any_number_of_threads(monkeypatch, held):
    W, S, y = features(410)
    labels = read_labels(y, None)
    whole = read_moments(W, S, labels, None, 0.999, standard=False).grams
    monkeypatch.setattr(blocks, "HELD", held * next(iter(whole)).nbytes)
    expected = [(b, gram.sum()) for b, gram in enumerate(whole)]
    for cores in (1, 2, 7):
        monkeypatch.setattr(_threads, "cores", lambda k=cores: k)
        monkeypatch.setattr(blocks, "COPIES", 0.01)  # so that they are threads
        found = read_moments(W, S, labels, None, 0.999, standard=False).grams
        assert found.map(lambda b, gram: (b, gram.sum())) == expected


def test_what_one_block_stumbles_over_is_told():
    W, S, y = features()
    found = read_moments(W, S, read_labels(y, None), None, 0.999, standard=False).grams

    def stumble(b, _):
        if b == 7:
            raise ValueError("block 7")

    with pytest.raises(ValueError, match="block 7"):
        found.map(stumble)


def resident(folder):
    """Kilobytes of a folder's mapped files that count as our memory."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            ours = str(folder) in line
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
@pytest.mark.parametrize("kind", ["file", "shards", "watched", "picked"])
def test_pages_of_mapped_files_are_given_back(tmp_path, kind):
    for part in range(2):
        np.save(tmp_path / f"X-{part}.npy", np.ones((500, 800), np.float32))
    X = open_features(tmp_path / ("X-0.npy" if kind == "file" else "X-*.npy"))
    if kind == "watched":
        X = Watched(X, lambda _: None)
    if kind == "picked":
        X = Picked(X, np.arange(len(X))[::-1])
    assert X[0:500].sum() == 500 * 800
    assert resident(tmp_path) > 1500
    assert Reader("weak", X)[0:500].sum() == 500 * 800
    assert resident(tmp_path) < 50


@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_units_beyond_single_precision_are_no_warning(unit):
    W, S, y = features()
    expected, found = (diagnose(u * W, S, y, n=50, N=200).table() for u in (1, unit))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
