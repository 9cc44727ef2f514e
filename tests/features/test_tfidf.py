import re
from collections import Counter

import numpy as np
import pytest

from w2s_utils.features import tfidf

TEXTS = ["The cat sat.", "the dog sat, the dog ran", "A bird", "cats and dogs ran", "", "?"]


def naive_weights(texts, split):
    """TF-IDF rows, one sentence and one term after the other."""
    counts = [Counter(split(text.lower())) for text in texts]
    found_in = Counter(term for count in counts for term in count)
    rows = np.array([[c[t] * np.log(len(texts) / m) for t, m in found_in.items()] for c in counts])
    length = np.linalg.norm(rows, axis=1)
    return rows / np.where(length > 0, length, 1)[:, None]


@pytest.mark.parametrize(
    ("terms", "split"),
    [
        ("words", lambda text: text.translate(str.maketrans(".,?", "   ")).split()),
        ("trigrams", lambda text: re.findall("(?s)(?=(...))", text)),
    ],
)
def test_all_scores_have_the_inner_products_of_the_weights(terms, split):
    expected = naive_weights(TEXTS, split)
    scores = tfidf.features(TEXTS, terms, np.linalg.matrix_rank(expected))
    np.testing.assert_allclose(scores @ scores.T, expected @ expected.T, atol=1e-12)
    products = scores.T @ scores
    np.testing.assert_allclose(products, np.diag(products.diagonal()), atol=1e-12)
    assert np.all(np.diff(products.diagonal()) <= 1e-12)


def test_fewer_scores_are_the_first_of_more():
    np.testing.assert_allclose(
        tfidf.features(TEXTS, "trigrams", 2),
        tfidf.features(TEXTS, "trigrams", 4)[:, :2],
        atol=1e-12,
    )


def test_only_the_terms_of_most_sentences_count(monkeypatch):
    monkeypatch.setattr(tfidf, "VOCABULARY", 2)
    scores = tfidf.features(["a b", "a", "b", "c d e", "f"], "words", 2)
    assert np.flatnonzero(np.abs(scores).sum(axis=1) > 1e-12).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("terms", "dimension", "message"),
    [
        ("letters", 1, "terms must be 'words' or 'trigrams', got 'letters'"),
        ("words", 0, "dimension must be from 1 to 4, .* got 0"),
        ("words", 5, "dimension must be from 1 to 4, .* got 5"),
    ],
)
def test_bad_input_is_refused(terms, dimension, message):
    with pytest.raises(ValueError, match=message):
        tfidf.features(TEXTS, terms, dimension)


def test_texts_without_terms_have_no_directions():
    with pytest.raises(ValueError, match="from 1 to 0"):
        tfidf.features(["?", "!"], "words", 1)
