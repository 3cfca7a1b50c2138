"""Where a quantized model loses accuracy: the error of every layer against the float model, in one pass.

Three copies of the model run as one graph: the float model, the quantized model, and the quantized model with every
layer fed by the float model's activations. The second shows the error that has added up until a layer, the third what
the layer adds itself. Only sums of squares leave the graph, so memory stays that of one inference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx import compose, helper

from runtimes import samples
from runtimes.tensors import Array, TensorSpec
from toolchain.calibration.table import Range
from toolchain.quantizers import int8
from toolchain.quantizers._placement import place
from toolchain.recipe import Recipe

_CLAMPS = ("Relu", "Clip")  # part of the layer before


@dataclass(frozen=True)
class LayerError:
    """One layer's signal-to-quantization-noise ratio, in dB: 10 log10(sum y^2 / sum (y - y_float)^2).

    Attributes:
        own: what quantizing this layer's inputs and weights alone does to its output.
        total: the error of its output in the quantized model.
    """

    node: str
    op: str
    own: float
    total: float


def layer_errors(
    model: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Array],
) -> list[LayerError]:
    """Compare int8 with float, worst layer (by its own error) first.

    Args:
        model: the prepared float model; left as it is.
        recipe: the int8 recipe.
        ranges: its calibrated ranges.
        specs: the model's inputs.
        arrays: samples, one array per input, samples first.
    """
    nodes = [node for node in model.graph if node in place(model, recipe.keep).nodes and node.op_type not in _CLAMPS]
    session = _triple(model, recipe, ranges, [str(node.outputs[0].name) for node in nodes])
    sums = np.zeros((len(nodes), 3))
    for feeds in samples.feeds(specs, arrays):
        sums += np.asarray(session.run(None, feeds), np.float64).reshape(len(nodes), 3)
    errors = [
        LayerError(str(node.name), node.op_type, _decibels(signal, own), _decibels(signal, total))
        for node, (signal, own, total) in zip(nodes, sums)
    ]
    return sorted(errors, key=lambda error: error.own)


def _triple(
    model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], outputs: Sequence[str]
) -> ort.InferenceSession:
    combined = ir.to_proto(model)
    quantized = ir.to_proto(int8.quantize(ir.from_proto(combined), recipe, ranges))
    for prefix in ("total:", "own:"):
        copy = compose.add_prefix(quantized, prefix, rename_inputs=False)
        if prefix == "own:":
            _feed_with_floats(copy, prefix)
        combined.graph.node.extend(copy.graph.node)
        combined.graph.initializer.extend(copy.graph.initializer)
    written = {name for node in combined.graph.node for name in node.output}
    del combined.graph.output[:]
    for name in outputs:
        # In the quantized model a layer's output is what its readers get: the integers, read back.
        totals = [f"total:{name}.dequantized", f"total:{name}"]
        own = next(own for own in (f"own:{name}.float", f"own:{name}") if own in written)
        _add_sums(combined.graph, name, own, next(total for total in totals if total in written))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(combined.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _feed_with_floats(copy: onnx.ModelProto, prefix: str) -> None:
    for node in copy.graph.node:
        if node.op_type == "QuantizeLinear":
            node.input[0] = node.input[0].removeprefix(prefix).removesuffix(".float")


def _add_sums(graph: onnx.GraphProto, reference: str, own: str, total: str) -> None:
    def sum_of_squares(value: str, output: str) -> str:
        graph.node.append(helper.make_node("ReduceSumSquare", [value], [output], keepdims=0))
        return output

    sums = [sum_of_squares(reference, f"{reference}:signal")]
    for kind, value in (("own", own), ("total", total)):
        difference = f"{reference}:{kind}_difference"
        graph.node.append(helper.make_node("Sub", [reference, value], [difference]))
        sums.append(sum_of_squares(difference, f"{reference}:{kind}_noise"))
    graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []) for name in sums)


def _decibels(signal: float, noise: float) -> float:
    if noise <= 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
