r"""The last block of all-MiniLM-L6-v2 with a linear head, as a network that torch can finetune.

For a sentence of T tokens with the states :math:`x\in\mathbb R^{T\times384}` after the fifth
block, the network is

.. math:: f(x;\theta) = \langle w, \tfrac1T\textstyle\sum_t \mathrm{block}(x)_t\rangle + b .

Its parameters are all weights of the sixth block (attention, feedforward layers, both layer norms)
and the head w, b: about 1.8 million. The blocks below stay as they were pretrained, so their states
are computed once. This needs torch, of the extra ``vision``, and the extra ``text``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._validate import Array
from w2s_utils.features.backbones import LAYERS, MAX_TOKENS, MINILM_L6, WIDTH
from w2s_utils.features.embedding import require
from w2s_utils.features.packages import fetch

REQUIRED = ("torch", "safetensors", "tokenizers")
"""Packages that run the network."""

HEADS = 12
"""Attention heads of a block."""

HEAD = "head"
"""Name of the linear head among the parameters."""

LAST = f"encoder.layer.{len(LAYERS) - 2}"
"""Name of the last block among the parameters."""

Group = tuple[NDArray[np.intp], Any]
"""Sentences of one length: their B rows, and their states as a (B, T, 384) tensor."""

Parameters = Mapping[str, Any]
"""Tensors by their names in the encoder; the head's are named ``head.weight``, ``head.bias``."""

_Layer = tuple[bool, Any, Any]
"""Whether it is dense (else a layer norm); what its weights multiply; what it puts out."""


def require_torch() -> Any:
    """Import torch, or say in an ImportError what to install."""
    return require("torch", "Finetuned networks", "w2s-utils[vision]")


def tokens(texts: Sequence[str]) -> list[list[int]]:
    """Tokens of each sentence, the two special ones included, at most `MAX_TOKENS`."""
    tokenizers = require("tokenizers", "Finetuned networks", "w2s-utils[text]")
    tokenizer = tokenizers.Tokenizer.from_file(str(fetch(MINILM_L6).directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def states_below(texts: Sequence[str]) -> tuple[list[Group], dict[str, Any]]:
    """Token states that enter the last block, and the block's pretrained weights.

    Parameters
    ----------
    texts : sequence of M str

    Returns
    -------
    groups : list of (rows, states)
        The sentences by their number of tokens, so that nothing is padded.
    block : dict of tensors
        Weights of the last block by their names in the encoder.

    Raises
    ------
    ImportError
        If torch, safetensors or tokenizers is not installed.
    FetchError
        If the weights are needed and cannot be downloaded.
    """
    torch = require_torch()
    load = require("safetensors.torch", "Finetuned networks", "w2s-utils[text]").load_file
    weights = load(fetch(MINILM_L6).directory / "model.safetensors")
    words, positions, types = (
        weights[f"embeddings.{kind}_embeddings.weight"]
        for kind in ("word", "position", "token_type")
    )
    rows_of_length = defaultdict(list)
    ids = tokens(texts)
    for row, of_text in enumerate(ids):
        rows_of_length[len(of_text)].append(row)
    groups = []
    with torch.no_grad():
        for length, rows in sorted(rows_of_length.items()):
            x = words[torch.tensor([ids[row] for row in rows])] + positions[:length] + types[0]
            x = _layer_norm(weights, x, "embeddings.LayerNorm")
            for below in range(len(LAYERS) - 2):
                x = encoder_layer(weights, x, f"encoder.layer.{below}")
            groups.append((np.array(rows), x))
    return groups, {name: value for name, value in weights.items() if name.startswith(LAST)}


def pick(groups: Sequence[Group], rows: NDArray[np.intp]) -> list[Group]:
    """Groups of some rows: row i of the result is ``rows[i]``."""
    place = {row: i for i, row in enumerate(rows)}
    picked = []
    for of_group, x in groups:
        inside = [i for i, row in enumerate(of_group) if row in place]
        if inside:
            picked.append((np.array([place[row] for row in of_group[inside]]), x[inside]))
    return picked


def encoder_layer(
    parameters: Parameters, x: Any, name: str = LAST, layers: list[_Layer] | None = None
) -> Any:
    """One block of BERT, on sentences of one length.

    Parameters
    ----------
    parameters : mapping of str to tensor
    x : (B, T, 384) tensor
    name : str
        The block's name among the parameters.
    layers : list, optional
        Gets what goes into and out of each layer, for `gradient_kernel`.

    Returns
    -------
    (B, T, 384) tensor
    """
    torch = require_torch()

    def dense(x: Any, part: str) -> Any:
        return _dense(parameters, x, f"{name}.{part}", layers)

    def layer_norm(x: Any, part: str) -> Any:
        return _layer_norm(parameters, x, f"{name}.{part}", layers)

    query, key, value = (
        dense(x, f"attention.self.{part}").unflatten(2, (HEADS, -1)).transpose(1, 2)
        for part in ("query", "key", "value")
    )
    scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
    mixed = (scores.softmax(3) @ value).transpose(1, 2).flatten(2)
    x = layer_norm(x + dense(mixed, "attention.output.dense"), "attention.output.LayerNorm")
    hidden = torch.nn.functional.gelu(dense(x, "intermediate.dense"))
    return layer_norm(x + dense(hidden, "output.dense"), "output.LayerNorm")


def network(parameters: Parameters, x: Any, layers: list[_Layer] | None = None) -> Any:
    """Outputs of the network on sentences of one length.

    Parameters
    ----------
    parameters : mapping of str to tensor
        Those of the last block and of the head.
    x : (B, T, 384) tensor
    layers : list, optional
        See `encoder_layer`.

    Returns
    -------
    (B,) tensor
    """
    pooled = encoder_layer(parameters, x, layers=layers).mean(1, keepdim=True)
    return _dense(parameters, pooled, HEAD, layers)[:, 0, 0]


def on_rows(
    function: Callable[[Parameters, Any], Any], parameters: Parameters, groups: Sequence[Group]
) -> Array:
    """Values of a function of parameters and states on all M rows, in their order.

    Parameters
    ----------
    function : callable
        Such as `network`; gives B values, or B vectors.
    parameters : mapping of str to tensor
    groups : sequence of (rows, states)

    Returns
    -------
    (M,) or (M, D) float64 array
    """
    with require_torch().no_grad():
        values = [np.asarray(function(parameters, x), np.float64) for _, x in groups]
    ordered = np.empty((sum(map(len, values)), *values[0].shape[1:]))
    ordered[np.concatenate([rows for rows, _ in groups])] = np.concatenate(values)
    return ordered


def gradient_kernel(parameters: Parameters, groups: Sequence[Group]) -> Array:
    r"""Inner products of the network's gradients in all parameters: its tangent kernel.

    Parameters
    ----------
    parameters : mapping of str to tensor
        Those of the last block and of the head.
    groups : sequence of (rows, states)
        M rows in all.

    Returns
    -------
    (M, M) float64 array
        :math:`\langle\nabla_\theta f(x_i),\nabla_\theta f(x_j)\rangle`, exact but for the rounding
        of the tensors' type.

    Notes
    -----
    A gradient has 1.8 million entries, so none is formed. A dense layer maps the state
    :math:`a_t` of a token to :math:`Wa_t+b`. With :math:`\delta_t` the gradient of the output in
    what the layer puts out, the gradient in W is :math:`\sum_t\delta_ta_t^\top`, and that of two
    sentences has the inner product

    .. math:: \sum_{t,s}\langle\delta_t,\delta'_s\rangle\,(\langle a_t,a'_s\rangle+1),

    where 1 is the bias. The gradients in the layer norms are short and multiplied as they are.
    """
    factors = [_factors(parameters, x) for _, x in groups]
    kernel = np.empty((sum(len(rows) for rows, _ in groups),) * 2)
    for i, (rows, _) in enumerate(groups):
        for j, (others, _) in enumerate(groups[: i + 1]):
            block = _inner_products(factors[i], factors[j]).numpy()
            kernel[np.ix_(rows, others)] = block
            kernel[np.ix_(others, rows)] = block.T
    return kernel


def _dense(parameters: Parameters, x: Any, name: str, layers: list[_Layer] | None) -> Any:
    weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
    output = require_torch().nn.functional.linear(x, weight, bias)
    if layers is not None:
        layers.append((True, x, output))
    return output


def _layer_norm(
    parameters: Parameters, x: Any, name: str, layers: list[_Layer] | None = None
) -> Any:
    x = require_torch().nn.functional.layer_norm(x, (WIDTH,), eps=1e-12)
    output = x * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]
    if layers is not None:
        layers.append((False, x, output))
    return output


_Factors = tuple[list[tuple[Any, Any]], Any]
"""States and gradients at the tokens, of each dense layer; gradients in the layer norms."""


def _factors(parameters: Parameters, x: Any) -> _Factors:
    torch = require_torch()
    layers: list[_Layer] = []
    out = network(parameters, x.detach().requires_grad_(), layers)
    gradients = torch.autograd.grad(out.sum(), [output for _, _, output in layers])
    at_tokens, short = [], []
    for (is_dense, a, _), delta in zip(layers, gradients, strict=True):
        if is_dense:
            at_tokens.append((a.detach(), delta))
        else:
            short += [(delta * a.detach()).sum(1), delta.sum(1)]
    return at_tokens, torch.cat(short, dim=1)


def _inner_products(one: _Factors, two: _Factors) -> Any:
    total = one[1] @ two[1].T
    for (a, delta), (b, epsilon) in zip(one[0], two[0], strict=True):
        states = a.flatten(0, 1) @ b.flatten(0, 1).T + 1
        pairs = states.mul_(delta.flatten(0, 1) @ epsilon.flatten(0, 1).T)
        total += pairs.unflatten(0, a.shape[:2]).unflatten(2, b.shape[:2]).sum((1, 3))
    return total
