from collections import Counter

import numpy as np
import pytest

from w2s_utils.features.packages import fetch
from w2s_utils.tasks import human_raters
from w2s_utils.tasks.human_raters import RATINGS, SENTENCES, HumanRaters


@pytest.fixture(scope="module")
def everything():
    return human_raters.load()


@pytest.fixture(scope="module")
def tables():
    return human_raters._tables(fetch(RATINGS).directory / "ratings.tar.gz")


def toy():
    """Two sentences, of 2 and of 4 ratings."""
    return HumanRaters(
        texts=("good", "bad"),
        source=np.array(["tweets", "movies"]),
        ratings=np.array([1.0, 3.0, -4.0, -2.0, -2.0, 0.0]),
        counts=np.array([2, 4]),
    )


def test_counts_of_sentences(everything, tables):
    rows = {source: human_raters._rows(tables, source) for source in human_raters._SOURCES}
    assert {source: len(of_source) for source, of_source in rows.items()} == {
        "tweets": 4200,
        "amazon": 3708,
        "nyt": 5190,
        "movies": 10605,
    }
    assert sum(map(len, rows.values())) - 148 == len(everything.texts) == SENTENCES
    assert len({text.casefold() for text in everything.texts}) == SENTENCES
    assert Counter(everything.source.tolist()) == {
        "tweets": 4140,
        "amazon": 3697,
        "nyt": 5116,
        "movies": 10602,
    }


def test_counts_of_ratings(everything):
    assert everything.counts.sum() == len(everything.ratings)
    assert (everything.counts.min(), everything.counts.max()) == (15, 99)
    crowds = everything.counts[everything.source == "tweets"]
    assert set(crowds.tolist()) == {20, *range(92, 100)}
    for source in ("amazon", "nyt"):
        assert set(everything.counts[everything.source == source].tolist()) == {20}
    assert set(np.unique(everything.ratings)) == set(range(-4, 5))


def test_ratings_belong_to_their_texts(tables):
    """The stated means are the means of the ratings, but for 199 tweets."""
    wrong = {}
    for source, (stem, _) in human_raters._SOURCES.items():
        table = tables[f"{stem}_GroundTruth"]
        rows = human_raters._rows(tables, source)
        assert [text for _, text, _ in rows] == [text for _, _, text in table]
        stated = np.array([float(mean) for _, mean, _ in table])
        means = np.array([np.mean(ratings) for _, _, ratings in rows])
        wrong[source] = int(np.sum(np.abs(stated - means) > 1e-5))
    assert wrong == {"tweets": 199, "amazon": 0, "nyt": 0, "movies": 0}


def test_a_smaller_task_is_a_prefix_of_the_larger(everything):
    small = human_raters.load(1000)
    assert small.texts == everything.texts[:1000]
    assert np.array_equal(small.source, everything.source[:1000])
    assert np.array_equal(small.target, everything.target[:1000])
    assert np.array_equal(small.ratings, everything.ratings[: small.counts.sum()])
    # Half of the sentences are film reviews: the order mixes the sources.
    assert abs(np.mean(small.source == "movies") - 0.45) < 0.08


def test_order_is_the_same_everywhere(everything):
    assert everything.texts[0] == "He was an incandescent figure. And the glow survives."


def test_variances_of_the_whole_task(everything):
    assert everything.target.var() == pytest.approx(2.70, abs=0.01)
    assert everything.one_rater_variance == pytest.approx(0.79, abs=0.01)
    assert everything.target_noise_variance == pytest.approx(0.041, abs=0.001)


def test_moments_of_a_toy():
    task = toy()
    np.testing.assert_allclose(task.target, [2.0, -2.0])
    np.testing.assert_allclose(task.rating_variance, [2.0, 8 / 3])
    assert task.one_rater_variance == pytest.approx((2 + 8) / 4)
    assert task.target_noise_variance == pytest.approx((2 / 2 + 8 / 12) / 2)
    assert task.noise_variance(1) == pytest.approx((1 + 2) / 2)
    assert task.noise_variance(2) == pytest.approx((0 + 8 / 3 * (1 / 2 - 1 / 4)) / 2)


def test_drawn_ratings_are_distinct_and_of_the_sentence():
    task, rng = toy(), np.random.default_rng(0)
    pairs = np.array([task.draw_labels(2, rng) for _ in range(200)])
    assert set(pairs[:, 0]) == {2.0}
    assert set(pairs[:, 1]) == {-3.0, -2.0, -1.0}
    singles = np.array([task.draw_labels(1, rng) for _ in range(200)])
    assert set(singles[:, 0]) == {1.0, 3.0}
    assert set(singles[:, 1]) == {-4.0, -2.0, 0.0}


@pytest.mark.parametrize("raters", [1, 2, 5])
def test_labels_have_the_stated_mean_and_variance(raters):
    task = human_raters.load(2000)
    rng = np.random.default_rng(raters)
    draws = 100
    noise = np.array([task.draw_labels(raters, rng) for _ in range(draws)]) - task.target
    variance = task.noise_variance(raters)
    z_bias = noise.mean() / np.sqrt(variance / noise.size)
    powers = np.mean(noise**2, axis=1)
    z_variance = (powers.mean() - variance) / (powers.std(ddof=1) / np.sqrt(draws))
    assert abs(z_bias) < 4
    assert abs(z_variance) < 4
    # A bias that cancels over the sentences would show in the squares of their means.
    of_sentence = task.rating_variance * (1 / raters - 1 / task.counts) / draws
    spread = noise.mean(axis=0) ** 2
    noisy = of_sentence > 0
    z_spread = (spread - of_sentence)[noisy].sum() / np.sqrt(2 * np.sum(of_sentence**2))
    assert abs(z_spread) < 4
    assert np.all(spread[~noisy] < 1e-24)


def test_all_raters_give_the_target(everything):
    labels = everything.draw_labels(None, np.random.default_rng(0))
    assert np.array_equal(labels, everything.target)
    assert everything.noise_variance(None) == 0.0


@pytest.mark.parametrize("raters", [0, 3])
def test_impossible_numbers_of_raters_are_refused(raters):
    with pytest.raises(ValueError, match=f"from 1 to 2, the fewest .* got {raters}"):
        toy().draw_labels(raters, np.random.default_rng(0))
    with pytest.raises(ValueError, match=f"from 1 to 2, the fewest .* got {raters}"):
        toy().noise_variance(raters)


@pytest.mark.parametrize("size", [0, SENTENCES + 1])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"from 1 to {SENTENCES}, or None for all; got {size}"):
        human_raters.load(size)


def test_task_is_the_sentences_at_one_noise_level(monkeypatch):
    monkeypatch.setattr(
        human_raters.backbones, "features", lambda texts, name: np.ones((len(texts), 3), np.float32)
    )
    raters = toy()
    task = raters.task(1)
    assert task.name == "human raters, 1 rater"
    assert raters.task(2).name == "human raters, 2 raters"
    assert raters.task(None).name == "human raters, all raters"
    assert np.array_equal(task.target, raters.target)
    assert task.noise_variance == raters.noise_variance(1)
    assert np.array_equal(
        task.draw_labels(np.random.default_rng(5)), raters.draw_labels(1, np.random.default_rng(5))
    )
    assert task.features("h4").dtype == np.float64
    assert task.features("h4").shape == (2, 3)
