"""Cheap features of sentences: weighted counts of words or character trigrams, nothing trained."""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import linalg, sparse

from w2s_utils._validate import Array

VOCABULARY = 1000
"""Terms that are counted: those found in the most sentences."""


def features(texts: Sequence[str], terms: Literal["words", "trigrams"], dimension: int) -> Array:
    r"""Leading principal scores of the TF-IDF of sentences.

    Parameters
    ----------
    texts : sequence of M str
        Letter case does not count.
    terms : {"words", "trigrams"}
        Runs of letters and digits, or any three characters in a row.
    dimension : int
        Number of scores, at most `VOCABULARY`.

    Returns
    -------
    (M, dimension) ndarray
        Orthogonal columns, the one of largest norm first.

    Raises
    ------
    ValueError
        If the terms are of neither kind, or the texts have fewer independent directions.

    Notes
    -----
    A sentence is the vector of its terms' counts, each times :math:`\log(M/m)` for a term found
    in m of the M sentences, scaled to unit length; one without terms is zero. The scores are its
    coordinates along the leading eigenvectors of the uncentred second moment.

    Examples
    --------
    >>> features(["Good, good", "bad", "GOOD!"], "words", 2).round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    if terms not in ("words", "trigrams"):
        raise ValueError(f"terms must be 'words' or 'trigrams', got {terms!r}.")
    X = _weights([_terms(text.casefold(), terms) for text in texts])
    variances, directions = linalg.eigh((X.T @ X).toarray())
    rank = int(np.sum(variances > variances.max(initial=0) * len(variances) * np.finfo(float).eps))
    if not 1 <= dimension <= rank:
        raise ValueError(
            f"dimension must be from 1 to {rank}, the rank of the {terms}' weights, "
            f"got {dimension}."
        )
    kept = directions[:, : -dimension - 1 : -1]
    scores: Array = X @ (kept * np.sign(kept.sum(axis=0)))  # the sign is chosen, not LAPACK's
    return scores


def _terms(text: str, kind: str) -> list[str]:
    if kind == "words":
        return re.findall(r"\w+", text)
    return [text[start : start + 3] for start in range(len(text) - 2)]


def _weights(documents: Sequence[Sequence[str]]) -> sparse.csr_array:
    """Counts times inverse document frequencies, rows of unit length."""
    number: dict[str, int] = {}
    columns = [number.setdefault(term, len(number)) for terms in documents for term in terms]
    rows = np.repeat(np.arange(len(documents)), [len(terms) for terms in documents])
    counts = sparse.csr_array(
        (np.ones(len(columns)), (rows, columns)), (len(documents), len(number))
    )
    found_in = np.bincount(counts.indices, minlength=len(number))
    kept = np.argsort(-found_in, kind="stable")[:VOCABULARY]
    weighted = sparse.csr_array(counts[:, kept] * np.log(len(documents) / found_in[kept]))
    length = np.sqrt(weighted.power(2).sum(axis=1))
    return sparse.csr_array(weighted * (1 / np.where(length > 0, length, 1))[:, None])
