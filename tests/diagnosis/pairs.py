"""Pairs of many kinds, and what tuned models of them do when they are simply fitted.

Rows that are diagnosed are never among those of `truth`. A pair that is simulated has as many more
rows as are wanted; of real data the rows that are left are split.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from w2s_utils.features import tfidf
from w2s_utils.metrics import MODELS, Estimate, mean, ratio_of_means
from w2s_utils.probes import fit_tuned
from w2s_utils.tasks import colored_mnist, human_raters

TEST_ROWS = 3000  # of a simulated pair, in each trial

_FUNCTION = re.compile(r'^ *def \w+\(([^()]*)\)[^:\n]*:\s*r?"""(.*?)"""', re.M | re.S)


class Pair(NamedTuple):
    """Weak features, strong features and labels of all rows, and the sizes to predict at."""

    weak: np.ndarray
    strong: np.ndarray
    labels: np.ndarray
    n: int
    N: int
    diagnosed: np.ndarray
    fresh: Callable | None = None  # (rng, rows) -> weak, strong, labels


def truth(pair: Pair, trials: int, seed: int) -> dict[str, Estimate]:
    """Test errors of the four models, and of pairs of them over the same trials."""
    errors = np.array([_errors(*split) for split in _splits(pair, trials, seed)])
    weak, student, baseline, _ = errors.T
    return {
        **{model: mean(of_model) for model, of_model in zip(MODELS, errors.T, strict=True)},
        "weak - student": mean(weak - student),
        "baseline - student": mean(baseline - student),
        "opr": ratio_of_means(baseline, student),
    }


def _splits(pair, trials, seed):
    """Yield columns, then the rows of the n labels, of the N pseudo-labels and of the test."""
    n, N = pair.n, pair.N
    if pair.fresh:
        parts = np.split(np.arange(n + N + TEST_ROWS), [n, n + N])
        for child in np.random.SeedSequence(seed).spawn(trials):
            yield pair.fresh(np.random.default_rng(child), n + N + TEST_ROWS), *parts
        return
    # Each row is tested once: test sets that overlap would make the standard errors too small.
    rng = np.random.default_rng(seed)
    left = np.setdiff1d(np.arange(len(pair.labels)), pair.diagnosed)
    for test in np.array_split(rng.permutation(left), trials):
        trained = rng.permutation(np.setdiff1d(left, test))
        if len(trained) < n + N:
            raise ValueError(f"{n + N} rows are needed to train on, {len(trained)} are left.")
        yield pair[:3], trained[:n], trained[n : n + N], test


def _errors(columns, labelled, unlabelled, test):
    W, S, Y = columns
    both = np.concatenate([labelled, unlabelled])
    weak = _fit(W[labelled], Y[labelled])
    student = _fit(S[unlabelled], weak(W[unlabelled]))
    baseline = _fit(S[labelled], Y[labelled])
    ceiling = _fit(S[both], Y[both])
    answers = (weak(W[test]), student(S[test]), baseline(S[test]), ceiling(S[test]))
    return [np.sum((answer - Y[test]) ** 2, axis=1).mean() for answer in answers]


def _fit(X, Y):
    centre, spread = X.mean(axis=0), X.std(axis=0)
    spread[np.ptp(X, axis=0) == 0] = 1
    fit = fit_tuned((X - centre) / spread, Y)
    return lambda other: (other - centre) / spread @ fit.weights + fit.intercept


# ---- real data --------------------------------------------------------------------------------


def _real(weak, strong, labels, n, N, diagnosed):
    labels = np.asarray(labels, float).reshape(len(weak), -1)
    chosen = np.sort(np.random.default_rng(0).permutation(len(weak))[:diagnosed])
    return Pair(weak, strong, labels, n, N, chosen)


@cache
def _sentences():
    return human_raters.load(6000)


def _ratings():
    """One person's rating of each sentence."""
    return _sentences().draw_labels(1, np.random.default_rng(0))


def _lowest(share):
    """Two classes: sentences that people rate lowest, and the others."""
    target = _sentences().target
    return target <= np.quantile(target, share)


@cache
def _trigrams(dimension):
    return tfidf.features(_sentences().texts, "trigrams", dimension)


_layer = cache(lambda name: _sentences().features(name))
_images = cache(colored_mnist.load)


def _pixels(count):
    """Averages of 20 random pixels each, of those that are not mostly empty."""
    gray = _images().gray.reshape(colored_mnist.IMAGES, -1) / 255
    inked = np.flatnonzero((gray > 0).mean(axis=0) > 0.1)
    rng = np.random.default_rng(0)
    return np.column_stack([gray[:, rng.choice(inked, 20)].mean(axis=1) for _ in range(count)])


def _digits():
    return np.eye(10)[_images().digits]


@cache
def _functions():
    """Docstrings of installed packages, and the logarithm of 1 + the number of parameters."""
    found = {}
    for package in ("numpy", "matplotlib", "IPython"):
        for file in sorted(Path(find_spec(package).origin).parent.rglob("*.py")):
            if "tests" not in file.parts:
                for names, text in _FUNCTION.findall(file.read_text(encoding="utf-8")):
                    names = [name.strip() for name in names.split(",")]
                    found.setdefault(text, sum(name not in ("", "*", "/") for name in names))
    texts = sorted(found)
    return texts, np.log1p([found[text] for text in texts])


def _docstrings(n, N, diagnosed):
    texts, labels = _functions()
    marks = "\n .,:;(){}[]=*`'_-0123456789>"
    shape = np.log1p([[len(text), *map(text.count, marks)] for text in texts])
    return _real(shape, tfidf.features(texts, "words", 80), labels, n, N, diagnosed)


# ---- simulations ------------------------------------------------------------------------------


def _normal(rng, shape):
    return rng.standard_normal(shape)


def _t(degrees):
    """Independent values of unit variance."""
    return lambda rng, shape: rng.standard_t(degrees, shape) * np.sqrt(1 - 2 / degrees)


def _rows_of_t(degrees):
    """Rows of unit covariance that are long or short as a whole."""
    return lambda rng, shape: (
        rng.standard_normal(shape) * np.sqrt((degrees - 2) / rng.chisquare(degrees, (shape[0], 1)))
    )


def _plain(f, rng):
    return f + rng.standard_normal(len(f))


def _mixed(fixed, inputs):
    return fixed.standard_normal((inputs, inputs)) / np.sqrt(inputs)


def _neighbours(fixed, inputs):
    """Each column hears of one other input: mixtures of many would be nearly normal."""
    return np.eye(inputs) + 0.5 * np.eye(inputs, k=1)


def _graded(power):
    """Rotated columns whose variances fall as a power of their number."""

    def mixing(fixed, inputs):
        turn = np.linalg.qr(fixed.standard_normal((inputs, inputs)))[0]
        return np.arange(1, inputs + 1)[:, None] ** (-power / 2) * turn

    return mixing


def _simulated(
    n, N, rows, weak, strong, target, latent=_normal, labels=_plain, mixing=_mixed, view=None
):
    """Features that mix parts of latent inputs, on which the target depends linearly.

    `weak` and `strong` say which inputs a side sees, the end not included; `target` gives bounds,
    and the target's variance on the inputs up to each.
    """
    (w, s), bounds = (slice(*weak), slice(*strong)), [0, *(bound for bound, _ in target)]
    fixed = np.random.default_rng(1)
    to_weak, to_strong = mixing(fixed, w.stop - w.start), mixing(fixed, s.stop - s.start)
    effects = np.concatenate(
        [
            np.sqrt(variance / (stop - start)) * fixed.choice([-1, 1], stop - start)
            for start, (stop, variance) in zip(bounds, target, strict=False)
        ]
    )

    def draw(rng, rows):
        z = latent(rng, (rows, max(w.stop, s.stop, len(effects))))
        W, S = z[:, w] @ to_weak, z[:, s] @ to_strong
        if view:
            W, S = view(W), view(S)
        return W, S, labels(z[:, : len(effects)] @ effects, rng)[:, None]

    return Pair(*draw(np.random.default_rng(2), rows), n, N, np.arange(rows), draw)


def _units(X):
    """Columns of very different units, far from zero."""
    return (X + 1000) * np.geomspace(1e-4, 1e4, X.shape[1])


def _rare(f, rng):
    """Two classes, one of them 5 % of the rows."""
    return (f + rng.standard_normal(len(f)) / 3 > 1.645 * np.sqrt(1 + 1 / 9)).astype(float)


PAIRS: dict[str, Callable[[], Pair]] = {
    "ratings: L3, h4": lambda: _real(_layer("L3"), _layer("h4"), _ratings(), 300, 2000, 2500),
    "ratings: h2, h5, few columns": lambda: _real(
        _layer("h2")[:, :120], _layer("h5")[:, :150], _ratings(), 200, 1500, 2500
    ),
    "ratings: trigrams, h6": lambda: _real(
        _trigrams(150), _layer("h6"), _ratings(), 600, 2000, 2500
    ),
    "ratings: h4, trigrams": lambda: _real(  # a strong model that is worse
        _layer("h4")[:, :200], _trigrams(60), _ratings(), 500, 2000, 2500
    ),
    "ratings: the lowest 5 %": lambda: _real(
        _layer("L3")[:, :150], _layer("h6")[:, :150], _lowest(0.05), 600, 2000, 2500
    ),
    "digits: pixels, lite0-14": lambda: _real(
        _pixels(60), _images().features("lite0-14"), _digits(), 300, 2000, 2000
    ),
    "digits: lite0-7, the same and pixels": lambda: _real(
        _images().features("lite0-7"),
        np.hstack([_images().features("lite0-7"), _pixels(60)]),
        _digits(),
        200,
        1500,
        2000,
    ),
    "colours: lite0-7, lite2-12": lambda: _real(
        _images().features("lite0-7"),
        _images().features("lite2-12"),
        _images().draw_labels(0.0, np.random.default_rng(0)),
        150,
        2000,
        2000,
    ),
    "docstrings: characters, words": lambda: _docstrings(300, 1500, 2500),
    "rare class": lambda: _simulated(
        400, 2000, 4000, (0, 40), (20, 60), [(20, 0.1), (40, 0.8), (60, 0.1)], labels=_rare
    ),
    "features t3": lambda: _simulated(
        150,
        1000,
        1500,
        (0, 60),
        (30, 70),
        [(30, 0.2), (60, 1.0), (70, 0.2)],
        latent=_t(3),
        mixing=_neighbours,
    ),
    "rows t5": lambda: _simulated(
        150, 1000, 1500, (0, 40), (20, 80), [(20, 0.1), (40, 1.0), (80, 0.6)], _rows_of_t(5)
    ),
    "labels t4": lambda: _simulated(
        120,
        800,
        2000,
        (0, 50),
        (25, 60),
        [(25, 0.1), (50, 0.6)],
        labels=lambda f, rng: f + rng.standard_t(4, len(f)),
    ),
    "wide": lambda: _simulated(250, 1000, 1200, (0, 300), (200, 450), [(200, 0.3), (300, 1.5)]),
    "units": lambda: _simulated(
        150, 1000, 1500, (0, 50), (20, 70), [(20, 0.2), (50, 1.0), (70, 0.3)], view=_units
    ),
    "weak inside strong": lambda: _simulated(
        60, 1000, 1500, (0, 30), (0, 90), [(30, 1.0), (90, 0.3)]
    ),
    "strong is worse": lambda: _simulated(
        200, 1000, 1500, (0, 40), (25, 60), [(25, 0.8), (40, 0.4)]
    ),
    "as many labels as columns": lambda: _simulated(
        100, 1000, 1500, (0, 90), (15, 105), [(15, 0.25), (90, 1.0)]
    ),
    "labels log-normal": lambda: _simulated(
        200,
        1500,
        2500,
        (0, 50),
        (25, 60),
        [(25, 0.1), (50, 0.4), (60, 0.1)],
        labels=lambda f, rng: np.exp(f + rng.standard_normal(len(f)) / 2),
    ),
    "student beats both": lambda: _simulated(
        150, 2000, 1500, (0, 60), (40, 160), [(40, 0.05), (60, 1.5)]
    ),
    "hardly anything to learn": lambda: _simulated(
        800, 1500, 1500, (0, 50), (25, 75), [(50, 0.02)]
    ),
    "slow spectra": lambda: _simulated(
        300, 2000, 2000, (0, 200), (50, 250), [(50, 0.2), (200, 1.5), (250, 0.3)], mixing=_graded(1)
    ),
    "nearly noiseless": lambda: _simulated(
        100,
        1000,
        1500,
        (0, 40),
        (10, 60),
        [(10, 1e-3), (40, 1.0)],
        labels=lambda f, rng: f + 0.01 * rng.standard_normal(len(f)),
    ),
}
