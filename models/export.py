"""`segue export`: a checkpoint as one ONNX graph, which the live mind plays without torch.

Knows the network's weights and the operators of ONNX Runtime; knows no music and no sampling. The
graph is shaped by hand, since an exported trace of the network takes several times as long:

- One graph serves prefill and step: T tokens in, the logits after one of them out.
- Attention is GroupQueryAttention, which turns queries and keys itself. Bind each past_* and its
  present_* to the same buffer, and it writes the new keys and values in place.
- Weights are 8-bit numbers in blocks of 32 with a scale each (MatMulNBits), multiplied as integers.
  The embedding stays in float32: it is the output's matrix too, and the logits show its rounding.
- The cache has a place more than the context, for a token that is fed along and not kept; see
  engine/onnx_backend.py.

What else a mind needs, the words above all, stands in the graph's own metadata. The same checkpoint
gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.checkpoint import Checkpoint, load_checkpoint
from models.description import METADATA_KEY, ONNX_FORMAT, CheckpointError, beside
from models.files import replacing
from models.network import NORM_EPSILON, Network, NetworkConfig, rope_tables

Floats: TypeAlias = NDArray[np.float32]

MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators
OPSET = 17
IR_VERSION = 9  # of the file; the newest that older runtimes read
BLOCK = 32  # weights with a scale of their own
MIDDLE = 128  # the 8-bit number that stands for 0
INTEGER_PRODUCTS = 4  # MatMulNBits' accuracy level; the lower ones unpack the weights, and are slow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `segue export`."""
    parser.add_argument("checkpoint", type=Path, help="NAME of a NAME.safetensors and NAME.json")
    parser.add_argument(
        "-o", "--out", metavar="NAME.onnx", type=Path, help="default: beside the checkpoint"
    )


def run(args: argparse.Namespace) -> int:
    """Export as the options say; returns the exit code."""
    out = args.out or beside(args.checkpoint, ".onnx")
    try:
        data = exported(load_checkpoint(args.checkpoint))
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as part:
            part.write_bytes(data)
    except CheckpointError as error:
        print(f"segue export: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"segue export: cannot write {out}: {error}", file=sys.stderr)
        return 1
    print(f"written: {out}, {len(data) / 1e6:.1f} MB", file=sys.stderr)
    return 0


def exported(checkpoint: Checkpoint[Network]) -> bytes:
    """The file of a checkpoint's graph."""
    network = checkpoint.network
    weights = {name: tensor.float().numpy() for name, tensor in network.state_dict().items()}
    graph = _Graph(network.config)
    graph.build(weights)
    model = helper.make_model(
        graph.finished(),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=IR_VERSION,
        producer_name="segue",
    )
    description = {
        "format": ONNX_FORMAT,
        "network": asdict(network.config),
        "parameters": network.parameter_count(),
        "licence": checkpoint.licence,
        "provenance": checkpoint.provenance,
        "vocabulary": list(checkpoint.vocabulary.tokens),
    }
    helper.set_model_props(model, {METADATA_KEY: json.dumps(description, ensure_ascii=False)})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def in_blocks(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """A matrix (N, K) as 8-bit numbers (N, blocks, BLOCK) and their scales (N, blocks).

    The last block is filled up with zeros.
    """
    rows, columns = weight.shape
    padded = np.pad(weight, ((0, 0), (0, -columns % BLOCK))).reshape(rows, -1, BLOCK)
    scales = np.abs(padded).max(axis=-1) / (MIDDLE - 1)
    numbers = np.rint(padded / np.where(scales, scales, 1)[..., None]) + MIDDLE
    return numbers.astype(np.uint8), scales.astype(np.float32)


class _Graph:
    """The nodes and constants of one network, in the order in which a token meets them.

    Values are known by name, and a node is named like what it makes.
    """

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self._places = config.context + 1
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs = [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "T"]),
            helper.make_tensor_value_info("row", TensorProto.INT64, []),  # whose logits to give
            helper.make_tensor_value_info("last_place", TensorProto.INT32, [1]),
            helper.make_tensor_value_info("places", TensorProto.INT32, [1]),  # last_place + 1
        ]
        self._outputs = [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, config.vocabulary])
        ]

    def build(self, weights: dict[str, Floats]) -> None:
        """From tokens to logits."""
        config = self._config
        cos, sin = rope_tables(self._places, config.head_dim)
        half = config.head_dim // 2  # the second half of a sine carries no minus sign
        self._constant("cos", cos[:, 0, 0, half:].numpy())
        self._constant("sin", sin[:, 0, 0, half:].numpy())
        self._constant("halves", np.array([config.ffn, config.ffn], dtype=np.int64))
        self._constant("embedding", weights["embedding.weight"])
        self._node("Gather", ["embedding", "tokens"], ["embedded"])
        residual, branch = "embedded", ""
        for layer in range(config.layers):
            block = f"blocks.{layer}."
            normed, residual = self._norm(residual, branch, f"{block}attention_norm", weights)
            branch = self._attention(normed, block, layer, weights)
            normed, residual = self._norm(residual, branch, f"{block}ffn_norm", weights)
            branch = self._feed_forward(normed, block, weights)
        normed, _ = self._norm(residual, branch, "norm", weights)
        self._node("Gather", [normed, "row"], ["chosen"], {"axis": 1})  # (1, width)
        self._node("Gemm", ["chosen", "embedding"], ["logits"], {"transB": 1})

    def finished(self) -> onnx.GraphProto:
        """The whole graph."""
        return helper.make_graph(self._nodes, "segue", self._inputs, self._outputs, self._constants)

    def _norm(
        self, residual: str, branch: str, name: str, weights: dict[str, Floats]
    ) -> tuple[str, str]:
        """The norm of the residual with a branch added, and the residual after that."""
        weight = self._constant(f"{name}.weight", weights[f"{name}.weight"])
        epsilon = {"epsilon": NORM_EPSILON}
        if not branch:
            self._node("SimplifiedLayerNormalization", [residual, weight], [name], epsilon)
            return name, residual
        outputs = [name, "", "", f"{name}.sum"]
        inputs = [residual, branch, weight]
        self._node("SkipSimplifiedLayerNormalization", inputs, outputs, epsilon, domain=MICROSOFT)
        return name, outputs[3]

    def _attention(self, x: str, block: str, layer: int, weights: dict[str, Floats]) -> str:
        config = self._config
        qkv = self._times(x, f"{block}attention.qkv", weights)
        past = [self._cache(f"past_{kind}{layer}", self._inputs) for kind in ("key", "value")]
        present = [
            self._cache(f"present_{kind}{layer}", self._outputs) for kind in ("key", "value")
        ]
        heard = f"{block}attention.heard"
        self._node(
            "GroupQueryAttention",
            [qkv, "", "", *past, "last_place", "places", "cos", "sin"],
            [heard, *present],
            {"num_heads": config.heads, "kv_num_heads": config.heads, "do_rotary": 1},
            domain=MICROSOFT,
        )
        return self._times(heard, f"{block}attention.out", weights)

    def _feed_forward(self, x: str, block: str, weights: dict[str, Floats]) -> str:
        ffn = f"{block}ffn."
        both = self._times(x, f"{ffn}gate_up", weights)
        self._node("Split", [both, "halves"], [f"{ffn}gate", f"{ffn}up"], {"axis": -1})
        # x * sigmoid(alpha * x), which with 1 is SiLU
        silu = self._node(
            "QuickGelu", [f"{ffn}gate"], [f"{ffn}silu"], {"alpha": 1.0}, domain=MICROSOFT
        )
        hidden = self._node("Mul", [silu, f"{ffn}up"], [f"{ffn}hidden"])
        return self._times(hidden, f"{ffn}down", weights)

    def _times(self, x: str, name: str, weights: dict[str, Floats]) -> str:
        """The product with a weight, in 8 bits."""
        weight = weights[f"{name}.weight"]
        numbers, scales = in_blocks(weight)
        inputs = [
            x,
            self._constant(f"{name}.numbers", numbers),
            self._constant(f"{name}.scales", scales),
        ]
        shape = {"N": weight.shape[0], "K": weight.shape[1], "bits": 8, "block_size": BLOCK}
        return self._node(
            "MatMulNBits",
            inputs,
            [name],
            shape | {"accuracy_level": INTEGER_PRODUCTS},
            domain=MICROSOFT,
        )

    def _cache(self, name: str, side: list[onnx.ValueInfoProto]) -> str:
        shape = [1, self._config.heads, self._places, self._config.head_dim]
        side.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(
        self,
        kind: str,
        inputs: list[str],
        outputs: list[str],
        attributes: dict[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> str:
        node = helper.make_node(kind, inputs, outputs, name=outputs[0], domain=domain)
        for name, value in sorted((attributes or {}).items()):
            node.attribute.append(helper.make_attribute(name, value))
        self._nodes.append(node)
        return outputs[0]
