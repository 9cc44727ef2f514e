"""Encoders of the BERT family from their weights, as ONNX graphs that run without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

Pool = Literal["mean", "last", "cls"]
"""How tokens become one vector: their mean, the last of them, or the first."""


def onnx_model(weights: Path, heads: int, pool: Pool = "mean", epsilon: float = 1e-12) -> bytes:
    """Write an encoder as an ONNX graph whose outputs are the pooled tokens of every layer.

    Input: ``input_ids`` (B, T) int64, B texts of T tokens each, without padding. Outputs: ``h0``,
    the embeddings after their layer norm, and ``h1`` and so on, each (B, width) float32.

    Parameters
    ----------
    weights : Path
        File of safetensors, with the names of transformers' BertModel.
    heads : int
        Heads of attention in each layer.
    pool : {"mean", "last", "cls"}
    epsilon : float
        Added to the variances in layer norms.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If the file lacks a weight of such an encoder.

    References
    ----------
    .. [1] J. Devlin, M.-W. Chang, K. Lee, K. Toutanova, "BERT: Pre-training of deep bidirectional
       transformers for language understanding", NAACL 2019.
    """
    from onnx import TensorProto, helper, numpy_helper
    from safetensors.numpy import load_file

    loaded = load_file(weights)
    prefix = "bert." if any(name.startswith("bert.") for name in loaded) else ""
    nodes: list[NodeProto] = []
    constants: dict[str, TensorProto] = {}

    def weight(name: str) -> NDArray[Any]:
        try:
            return loaded[prefix + name].astype(np.float32)
        except KeyError:
            raise ValueError(f"{weights} lacks {name}: it is no encoder as BERT is.") from None

    def op(kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(name: str, value: NDArray[Any]) -> str:
        constants[name] = numpy_helper.from_array(value, name)
        return name

    def dense(x: str, name: str) -> str:
        kernel = constant(f"{name}.weight", weight(f"{name}.weight").T)
        return op("Add", op("MatMul", x, kernel), constant(f"{name}.bias", weight(f"{name}.bias")))

    def layer_norm(x: str, name: str) -> str:
        scale, shift = (constant(part, weight(part)) for part in (f"{name}.weight", f"{name}.bias"))
        return op("LayerNormalization", x, scale, shift, epsilon=epsilon)

    def encoder_layer(x: str, name: str) -> str:
        query, key, value = (
            dense(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
        )
        mixed = op("Attention", query, key, value, q_num_heads=heads, kv_num_heads=heads)
        mixed = dense(mixed, f"{name}.attention.output.dense")
        x = layer_norm(op("Add", x, mixed), f"{name}.attention.output.LayerNorm")
        hidden = op("Gelu", dense(x, f"{name}.intermediate.dense"))
        return layer_norm(
            op("Add", x, dense(hidden, f"{name}.output.dense")), f"{name}.output.LayerNorm"
        )

    def embed(tokens: str) -> str:
        table = {
            kind: weight(f"embeddings.{kind}_embeddings.weight")
            for kind in ("word", "position", "token_type")
        }
        words = op("Gather", constant("words", table["word"]), tokens)
        # Every text is a first segment: the embedding of token type 0 goes to each position.
        positions = constant("positions", table["position"] + table["token_type"][0])
        length = op("Shape", tokens, start=1)
        used = op("Slice", positions, constant("start", np.array([0])), length)
        return layer_norm(op("Add", words, used), "embeddings.LayerNorm")

    def pooled(x: str, output: str) -> None:
        if pool == "mean":
            op("ReduceMean", x, token_axis, keepdims=0, output=output)
        else:
            op("Gather", x, one_token, axis=1, output=output)

    token_axis = constant("token_axis", np.array([1]))
    one_token = constant("one_token", np.array(0 if pool == "cls" else -1))
    layers = sum(name.endswith("attention.self.query.weight") for name in loaded)
    names = [f"h{number}" for number in range(layers + 1)]
    x = embed("input_ids")
    pooled(x, names[0])
    for number, layer in enumerate(names[1:]):
        x = encoder_layer(x, f"encoder.layer.{number}")
        pooled(x, layer)

    width = len(weight("embeddings.LayerNorm.weight"))
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", width]) for name in names],
        list(constants.values()),
    )
    model = helper.make_model_gen_version(graph, opset_imports=[helper.make_opsetid("", 23)])
    return bytes(model.SerializeToString())
