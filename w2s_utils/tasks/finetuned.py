r"""One pretrained network really finetuned, beside the linear models that the theory puts for it.

The network is the last block of all-MiniLM-L6-v2 with a linear head
(`w2s_utils.features.last_block`); the task is that of `human_raters`, on its sentences of at most
`TOKENS` tokens. A label is one person's rating, the target the mean of all.

Of the labelled sentences four fifths are fitted. The others are held out, and every choice is left
to their labels: the penalty of the head and of ridge, and when finetuning stops. All models begin
at one function, the *start*: the pretrained block under the head that ridge fits on its pooled
features. They learn a *move* away from it, by one of these methods, each at several points:

============ ======================================================================================
sgd          all parameters trained by gradient descent in batches with momentum; at `EPOCHS`
adam         all parameters trained by Adam; at `EPOCHS`
linearised   the linearisation of the network at the start, trained by the steps of ``sgd``
ridge        ridge on the network's gradients at the start; at `PENALTIES`
leading      least squares on the k leading directions of these gradients; at `LEADING`
============ ======================================================================================

Besides a weak-to-strong chain: a linear probe of the encoder L3, fitted to the labels of the
smallest size, labels the further sentences of the middle size, and its labels take the people's
place. So the runs of these two sizes are its baseline and its ceiling.

The file that is shipped holds what each model says on held-out and on unseen sentences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from w2s_utils import _progress
from w2s_utils._validate import Array
from w2s_utils.features import backbones, last_block
from w2s_utils.features.backbones import MINILM_L3, MINILM_L6
from w2s_utils.features.last_block import Group, Parameters
from w2s_utils.probes import fit_ridge
from w2s_utils.tasks import human_raters, shipped

PACK = Path(__file__).parent / "data" / "finetuned.npz"
"""What was learned; the manifest of the same name says how the file was made."""

TOKENS = 12
"""Longest sentences, in tokens, the two special ones included."""

SIZES = (200, 400, 800)
"""Labelled sentences n, each set a part of the next."""

CHAIN = "w2s"
"""Name of the weak-to-strong chain among the runs; the others are named by their size."""

TEST = 400
"""Unseen sentences, the same for all runs of a split."""

SPLITS = 4
"""Random splits, each with labels drawn anew."""

HELD_OUT = 0.2
"""Share of the labelled sentences that choose and are not fitted."""

EPOCHS = (0.5, 1, 2, 4, 8)
"""Passes over the fitted sentences after which a network is looked at."""

PENALTIES = tuple(10.0 ** (half / 2) for half in range(-8, 1))
"""Penalties on the mean squared loss, in units of the features' mean squared length."""

LEADING = (1, 2, 4, 8, 16, 32, 64, 128)
"""Numbers k of leading directions."""

BATCH = 16
"""Most sentences of a batch; all have one length, so nothing is padded."""

SGD_RATE = 0.15
"""Step of gradient descent, in units of one over the gradients' mean squared length."""

MOMENTUM = 0.9
"""Share of the last step that gradient descent repeats."""

ADAM_RATE = 3e-5
"""Step of Adam."""

_SEED = 20250202

_COMMAND = "w2s features finetuned"


@dataclass(frozen=True)
class Run:
    """What was learned from one number of labels, in each of S splits.

    The columns are the held-out sentences, then the unseen ones.

    Attributes
    ----------
    held_out : (S, H) array
        Labels of the held-out sentences.
    target : (S, TEST) array
        Target of the unseen sentences.
    start : (S, H + TEST) array
        Outputs before any move.
    moves : mapping of str to (S, P, H + TEST) array
        By method: outputs less the start at each of its P points.
    shares : mapping of str to (S, P, len(LEADING)) array
        By method: share of the squared move over the unseen sentences that lies in the k leading
        directions of the gradients of these sentences. ``residual`` (P = 1) is the target less the
        start in place of a move: what there is to learn.
    spectrum : (S, F) array
        Eigenvalues of the kernel of the gradients of the fitted sentences, descending.
    """

    held_out: Array
    target: Array
    start: Array
    moves: Mapping[str, Array]
    shares: Mapping[str, Array]
    spectrum: Array

    def chosen(self, method: str) -> NDArray[np.intp]:
        """Point of each split that errs least on the held-out labels, (S,); -1 is the start."""
        held = self.held_out.shape[1]
        ahead = (self.held_out - self.start[:, :held])[:, None]
        moves = np.pad(self.moves[method][:, :, :held], ((0, 0), (1, 0), (0, 0)))
        best: NDArray[np.intp] = np.argmin(np.mean((ahead - moves) ** 2, axis=2), axis=1) - 1
        return best

    def learned(self, method: str, points: NDArray[np.intp] | None = None) -> Array:
        """Moves on the unseen sentences, (S, TEST), at the chosen points or at others; -1 is 0."""
        points = self.chosen(method) if points is None else points
        moves = self.moves[method][np.arange(len(points)), points, -self.target.shape[1] :]
        return np.where(points[:, None] < 0, 0.0, moves)

    def risk(self, move: Array | float = 0.0) -> Array:
        """Mean squared error over the unseen sentences, (S,), after a move on them; (S, TEST)."""
        outputs = self.start[:, -self.target.shape[1] :] + move
        risks: Array = np.mean((outputs - self.target) ** 2, axis=1)
        return risks


@dataclass(frozen=True)
class Finetuned:
    """All runs.

    Attributes
    ----------
    sizes : mapping of int to Run
        By the number n of sentences that people labelled.
    chain : Run
        The student that the teacher labelled for; its ``held_out`` are labels of the teacher.
    teacher : (S, TEST) array
        What the teacher says on the unseen sentences.
    """

    sizes: Mapping[int, Run]
    chain: Run
    teacher: Array


def load() -> Finetuned:
    """Load what is shipped.

    Returns
    -------
    Finetuned

    Raises
    ------
    ValueError
        If the file is not the one that its manifest describes.
    """
    arrays = {key: a.astype(np.float64) for key, a in shipped.read(PACK, _COMMAND).items()}
    runs = {name: _run(arrays, f"{name}/") for name in (*map(str, SIZES), CHAIN)}
    return Finetuned({n: runs[str(n)] for n in SIZES}, runs[CHAIN], arrays["teacher"])


def make_pack(path: Path) -> None:
    """Finetune anew, and write file and manifest.

    Takes about ten minutes on one core. On another machine or with another version of
    torch, numbers differ by rounding, and the more the longer a network was trained.

    Parameters
    ----------
    path : Path
        The file; the manifest goes beside it, with the suffix .json.

    Raises
    ------
    ImportError
        If torch or the packages of the extra ``text`` are not installed.
    FetchError
        If the sentences or the weights are needed and cannot be downloaded.
    """
    last_block.require_torch()
    arrays = _all_splits()
    shapes = {k: f"{' x '.join(map(str, a.shape))} {a.dtype}" for k, a in arrays.items()}
    about = {"command": _COMMAND, "seed": _SEED, "arrays": shapes}
    made_with = ("numpy", "scipy", "onnxruntime", *last_block.REQUIRED)
    shipped.write(path, arrays, about, (human_raters.RATINGS, MINILM_L6, MINILM_L3), made_with)


def _run(arrays: Mapping[str, Array], prefix: str) -> Run:
    def part(name: str) -> dict[str, Array]:
        start = f"{prefix}{name}/"
        return {key.removeprefix(start): arrays[key] for key in arrays if key.startswith(start)}

    plain = ("held_out", "target", "start", "spectrum")
    return Run(
        **{name: arrays[prefix + name] for name in plain},
        moves=part("moves"),
        shares=part("shares"),
    )


def _all_splits() -> dict[str, NDArray[Any]]:
    data = human_raters.load()
    lengths = np.array([len(ids) for ids in last_block.tokens(data.texts)])
    short = np.flatnonzero(lengths <= TOKENS)
    groups, block = last_block.states_below([data.texts[row] for row in short])
    jobs = [(split, name) for split in range(SPLITS) for name in (*map(str, SIZES), CHAIN)]
    found = defaultdict(list)
    for split, name in _progress.shown(jobs, "finetuning"):
        rng = np.random.default_rng([_SEED, split])  # the same split and labels for all runs
        rows = rng.permutation(len(short))[: SIZES[-1] + TEST]
        labels = data.draw_labels(1, rng)[short[rows]]
        first, last = 0, int(name) if name != CHAIN else SIZES[1]
        if name == CHAIN:
            first = SIZES[0]
            says = _teacher([data.texts[row] for row in short[rows]], labels[:first])
            labels = says
            found["teacher"].append(says[-TEST:])
        inside = np.concatenate([rows[first:last], rows[-TEST:]])
        target = data.target[short[rows[-TEST:]]]
        learned = _learn(last_block.pick(groups, inside), block, labels[first:last], target, rng)
        for key, values in learned.items():
            found[f"{name}/{key}"].append(values)
    return {key: np.stack(values) for key, values in found.items()}


def _teacher(texts: Sequence[str], labels: Array) -> Array:
    """Outputs on all sentences of a linear probe that is fitted to the first of them."""
    features = backbones.features(texts, "L3").astype(np.float64)
    weights, bias = _probe(features, labels)
    return features @ weights + bias


def _fitted(labels: Array) -> int:
    return len(labels) - round(HELD_OUT * len(labels))


def _probe(features: Array, labels: Array) -> tuple[Array, float]:
    """Ridge with an intercept; the held-out labels choose the penalty."""
    fitted = _fitted(labels)
    mean, level = features[:fitted].mean(axis=0), labels[:fitted].mean()
    X = features[: len(labels)] - mean
    unit = np.mean(np.sum(X[:fitted] ** 2, axis=1))
    fits = [fit_ridge(X[:fitted], labels[:fitted] - level, unit * alpha) for alpha in PENALTIES]
    errors = [np.mean((X[fitted:] @ w + level - labels[fitted:]) ** 2) for w in fits]
    weights = fits[int(np.argmin(errors))]
    return weights, float(level - mean @ weights)


def _learn(
    groups: Sequence[Group],
    block: Parameters,
    labels: Array,
    target: Array,
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """Learn by all methods; the first rows of the groups are labelled, the last have the target."""
    torch = last_block.require_torch()
    m, labelled = _fitted(labels), len(labels)
    pooled = last_block.on_rows(lambda p, x: last_block.encoder_layer(p, x).mean(1), block, groups)
    weights, bias = _probe(pooled, labels)
    parameters = {
        **block,
        f"{last_block.HEAD}.weight": torch.tensor(weights[None], dtype=groups[0][1].dtype),
        f"{last_block.HEAD}.bias": torch.tensor([bias], dtype=groups[0][1].dtype),
    }
    start = last_block.on_rows(last_block.network, parameters, groups)
    kernel = last_block.gradient_kernel(parameters, groups)
    unit = float(np.mean(np.diag(kernel)[:m]))
    fitted = last_block.pick(groups, np.arange(m))
    batches = _batches(fitted, rng)
    y, rate = labels[:m], SGD_RATE / unit

    def trained(optimizer: Any) -> Array:
        return _train(parameters, fitted, groups, batches, y, optimizer) - start

    eigenvalues, vectors = linalg.eigh(kernel[:m, :m])
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    coordinates = vectors.T @ (y - start[:m])
    on_vectors = kernel[:, :m] @ vectors
    moves = {
        "sgd": trained(lambda p: torch.optim.SGD(p, lr=rate, momentum=MOMENTUM)),
        "adam": trained(lambda p: torch.optim.Adam(p, lr=ADAM_RATE)),
        "linearised": _train_linearised(kernel[:, :m], start, fitted, batches, y, rate),
        "ridge": np.array(
            [on_vectors @ (coordinates / (eigenvalues + m * unit * alpha)) for alpha in PENALTIES]
        ),
        "leading": np.array(
            [on_vectors[:, :k] @ (coordinates[:k] / eigenvalues[:k]) for k in LEADING]
        ),
    }
    unseen = kernel[labelled:, labelled:]
    compared = {name: move[:, labelled:] for name, move in moves.items()}
    compared["residual"] = (target - start[labelled:])[None]
    directions = linalg.eigh(unseen)[1][:, ::-1]
    return {
        "held_out": labels[m:].astype(np.float32),
        "target": target.astype(np.float32),
        "start": start[m:].astype(np.float32),
        "spectrum": eigenvalues.astype(np.float32),
        **{f"moves/{name}": move[:, m:].astype(np.float16) for name, move in moves.items()},
        **{
            f"shares/{name}": _shares(move @ directions).astype(np.float32)
            for name, move in compared.items()
        },
    }


def _shares(coordinates: Array) -> Array:
    energy = np.cumsum(coordinates**2, axis=1)
    shares: Array = energy[:, np.array(LEADING) - 1] / energy[:, -1:]
    return shares


_Batch = tuple[int, NDArray[np.intp]]
"""A group, and the places in it of the batch's sentences."""


def _batches(groups: Sequence[Group], rng: np.random.Generator) -> list[list[_Batch]]:
    """Batches up to each of the `EPOCHS`, from the one before."""
    flat: list[_Batch] = []
    for _ in range(int(max(EPOCHS))):
        epoch = [
            (number, part)
            for number, (rows, _) in enumerate(groups)
            for part in np.split(rng.permutation(len(rows)), range(BATCH, len(rows), BATCH))
        ]
        flat += [epoch[i] for i in rng.permutation(len(epoch))]
    ends = [round(passes * len(epoch)) for passes in (0, *EPOCHS)]
    return [flat[start:end] for start, end in pairwise(ends)]


def _train(
    parameters: Parameters,
    fitted: Sequence[Group],
    groups: Sequence[Group],
    batches: Sequence[Sequence[_Batch]],
    y: Array,
    optimizer: Callable[[list[Any]], Any],
) -> Array:
    """Outputs on all groups, of a copy of the network that is trained on the fitted ones."""
    torch = last_block.require_torch()
    copy = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    steps = optimizer(list(copy.values()))
    labels = torch.tensor(y, dtype=fitted[0][1].dtype)
    outputs = []
    for stage in batches:
        for number, places in stage:
            rows, x = fitted[number]
            errors = last_block.network(copy, x[places]) - labels[rows[places]]
            steps.zero_grad()
            (errors.square().sum() / (2 * BATCH)).backward()
            steps.step()
        outputs.append(last_block.on_rows(last_block.network, copy, groups))
    return np.array(outputs)


def _train_linearised(
    kernel: Array,
    start: Array,
    fitted: Sequence[Group],
    batches: Sequence[Sequence[_Batch]],
    y: Array,
    rate: float,
) -> Array:
    """Moves of the linearised network by the same steps, taken in the span of its gradients."""
    weights, step = np.zeros(len(y)), np.zeros(len(y))
    moves = []
    for stage in batches:
        for number, places in stage:
            rows = fitted[number][0][places]
            step *= MOMENTUM
            step[rows] += (start[rows] + kernel[rows] @ weights - y[rows]) / BATCH
            weights -= rate * step
        moves.append(kernel @ weights)
    return np.array(moves)
