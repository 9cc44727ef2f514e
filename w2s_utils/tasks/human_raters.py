"""Sentences rated from -4 to 4 by about 20 people each: a regression with real label noise.

The four sets of Hutto and Gilbert [1]_ come with every single rating. The target of a sentence is
the mean of all its ratings; a label is the mean of k of them, drawn at random. So the noise of the
labels is what people disagree about, and k sets its size.

References
----------
.. [1] C. J. Hutto, E. Gilbert, "VADER: A parsimonious rule-based model for sentiment analysis of
   social media text", ICWSM 2014.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_utils._validate import Array
from w2s_utils.features import backbones
from w2s_utils.features.packages import Artifact, fetch, read_members
from w2s_utils.tasks.base import Task

SENTENCES = 23_555
"""Sentences of the whole task, after repeated texts were dropped."""

RATINGS = Artifact(
    package="vaderSentiment",
    version="3.3.2",
    filename="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    licence="MIT",
    contents="23,703 sentences rated by people, with every single rating (Hutto & Gilbert 2014)",
    members={"ratings.tar.gz": "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"},
)

_SOURCES = {
    "tweets": ("tweets", 4_200),
    "amazon": ("amazonReviewSnippets", 3_708),
    "nyt": ("nytEditorialSnippets", 5_190),
    "movies": ("movieReviewSnippets", 10_605),
}
"""Name of a source -> the stem of its files and its number of sentences, repeats included."""

_ORDER_SEED = 20140601


@dataclass(frozen=True)
class HumanRaters:
    """M sentences with all their ratings.

    Attributes
    ----------
    texts : tuple of M str
        The sentences.
    source : (M,) array of str
        Where each comes from: tweets, amazon (product reviews), nyt (editorials) or movies
        (reviews).
    ratings : (R,) float64 array
        All ratings, whole numbers from -4 to 4, sentence after sentence.
    counts : (M,) int64 array
        Number of ratings of each sentence; they sum to R.
    """

    texts: tuple[str, ...]
    source: NDArray[np.str_]
    ratings: Array
    counts: NDArray[np.int64]

    @property
    def target(self) -> Array:
        """Mean of all ratings of each sentence, (M,)."""
        return self._sums(self.ratings) / self.counts

    @property
    def rating_variance(self) -> Array:
        """Unbiased variance s_i^2 of the ratings of each sentence, (M,)."""
        deviations = self.ratings - np.repeat(self.target, self.counts)
        return self._sums(deviations**2) / (self.counts - 1)

    @property
    def one_rater_variance(self) -> float:
        """Variance of one rating around the opinion of all people, pooled over the sentences."""
        degrees = self.counts - 1
        return float(degrees @ self.rating_variance / degrees.sum())

    @property
    def target_noise_variance(self) -> float:
        """Variance of the target itself around the opinion of all people: the mean of s_i^2 / r_i.

        The r_i people who rated sentence i are a sample, so the target is not free of noise.
        """
        return float(np.mean(self.rating_variance / self.counts))

    def draw_labels(self, raters: int | None, rng: np.random.Generator) -> Array:
        """Draw the mean of some ratings of each sentence.

        Parameters
        ----------
        raters : int or None
            Number k of distinct ratings a label, drawn anew for each sentence; None for all.
        rng : numpy.random.Generator
            Source of the draw.

        Returns
        -------
        (M,) float64 array
            One label a sentence.

        Raises
        ------
        ValueError
            If `raters` is less than 1 or more than some sentence has.
        """
        if raters is None:
            return self.target
        self._check_raters(raters)
        sentence = np.repeat(np.arange(len(self.counts)), self.counts)
        # One key, the sentence and a fraction below 1: sorted many times faster than two keys.
        shuffled = np.argsort(sentence + rng.random(len(sentence)))
        starts = np.cumsum(self.counts) - self.counts
        drawn = shuffled[starts[:, None] + np.arange(raters)]
        labels: Array = self.ratings[drawn].mean(axis=1)
        return labels

    def noise_variance(self, raters: int | None) -> float:
        r"""Exact variance of a label of `draw_labels` around the target, mean over the sentences.

        Parameters
        ----------
        raters : int or None
            Number k of ratings a label; None for all.

        Returns
        -------
        float
            The noise variance; 0 for all ratings.

        Raises
        ------
        ValueError
            If `raters` is less than 1 or more than some sentence has.

        Notes
        -----
        Sampling k of r_i ratings without replacement has the variance

        .. math:: s_i^2 \left( \frac{1}{k} - \frac{1}{r_i} \right)

        with s_i^2 the variance of the r_i ratings, divided by r_i - 1.
        """
        if raters is None:
            return 0.0
        self._check_raters(raters)
        return float(np.mean(self.rating_variance * (1 / raters - 1 / self.counts)))

    def features(self, name: str) -> Array:
        """Features of the sentences by a backbone, (M, 384): see `backbones.features`."""
        return backbones.features(self.texts, name).astype(np.float64)

    def task(self, raters: int | None) -> Task:
        """Take the labels of `raters` people a sentence (None for all) as the task's labels."""
        people = "all raters" if raters is None else f"{raters} rater{'s' * (raters > 1)}"
        return Task(
            name=f"human raters, {people}",
            target=self.target,
            noise_variance=self.noise_variance(raters),
            draw_labels=partial(self.draw_labels, raters),
            features=self.features,
        )

    def _sums(self, values: Array) -> Array:
        """Sum of the values of each sentence, from one value a rating."""
        return np.add.reduceat(values, np.cumsum(self.counts) - self.counts)

    def _check_raters(self, raters: int) -> None:
        fewest = int(self.counts.min())
        if not 1 <= raters <= fewest:
            raise ValueError(
                f"raters must be from 1 to {fewest}, the fewest ratings that a sentence has, or"
                f" None for all; got {raters}."
            )


def load(size: int | None = None) -> HumanRaters:
    """Load the first sentences of one fixed shuffled order, so that each size extends the smaller.

    Parameters
    ----------
    size : int, optional
        Number of sentences, at most `SENTENCES`; all by default. Multiples of `backbones.BLOCK`
        share their cached features with the larger ones.

    Returns
    -------
    HumanRaters
        The sentences and their ratings.

    Raises
    ------
    ValueError
        If the size is not from 1 to `SENTENCES`, or the package does not hold what is known of it.
    FetchError
        If the data are needed and cannot be downloaded.
    """
    if size is not None and not 1 <= size <= SENTENCES:
        raise ValueError(f"size must be from 1 to {SENTENCES}, or None for all; got {size}.")
    tables = _tables(fetch(RATINGS).directory / "ratings.tar.gz")
    rows = _without_repeats(row for source in _SOURCES for row in _rows(tables, source))
    order = np.random.default_rng(_ORDER_SEED).permutation(len(rows))[:size]
    sources, texts, ratings = zip(*(rows[i] for i in order), strict=True)
    return HumanRaters(
        texts=texts,
        source=np.array(sources),
        ratings=np.array(list(chain.from_iterable(ratings)), np.float64),
        counts=np.array([len(of_sentence) for of_sentence in ratings], np.int64),
    )


_Row = tuple[str, str, list[int]]
"""Source, text and ratings of a sentence."""


def _tables(archive: Path) -> dict[str, list[list[str]]]:
    """Lines of all files, split at tabs, from one reading of the archive."""
    kinds = ("GroundTruth", "anonDataRatings")
    names = [f"{stem}_{kind}" for stem, _ in _SOURCES.values() for kind in kinds]
    contents = read_members(archive, {name: f"hutto_ICWSM_2014/{name}.txt" for name in names})
    return {
        name: [
            line.removesuffix("\r").split("\t")
            for line in content.decode("utf-8-sig").split("\n")  # splitlines breaks on more
        ]
        for name, content in contents.items()
    }


def _rows(tables: Mapping[str, list[list[str]]], source: str) -> list[_Row]:
    stem, expected = _SOURCES[source]
    # The two files list some sentences in different orders: they are joined by identifier. The
    # means that they state are not used: in 199 tweets they are not the means of the ratings.
    texts = {name: text for name, _, text in tables[f"{stem}_GroundTruth"]}
    ratings = {name: json.loads(listed) for name, _, _, listed in tables[f"{stem}_anonDataRatings"]}
    if len(texts) != expected or texts.keys() != ratings.keys():
        raise ValueError(
            f"The file {stem} must hold {expected} sentences, each with its ratings; it has"
            f" {len(texts)} sentences and {len(ratings)} lists of ratings."
        )
    return [(source, text, ratings[name]) for name, text in texts.items()]


def _without_repeats(rows: Iterable[_Row]) -> list[_Row]:
    """Keep the first of the sentences that differ in letter case only."""
    first: dict[str, _Row] = {}
    for row in rows:
        first.setdefault(row[1].casefold(), row)
    if len(first) != SENTENCES:
        raise ValueError(f"Expected {SENTENCES} distinct sentences, found {len(first)}.")
    return list(first.values())
