"""The float model and its quantized copies as one graph, so that one pass over the samples compares them.

In the copy "own", every layer is fed by the float model's activations, so what differs at its output is what
quantizing its own inputs and weights does. The copy "total" is the quantized model as it will run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx import compose, helper

from toolchain.calibration.table import Range
from toolchain.quantizers import int8
from toolchain.quantizers._placement import place
from toolchain.recipe import Recipe

Copy = Literal["own", "total"]

_CLAMPS = ("Relu", "Clip")  # part of the layer before


@dataclass
class Shadow:
    """A graph that grows the reductions it is to give.

    Attributes:
        layers: the operators that int8 computes, in the model's order.
    """

    proto: onnx.ModelProto
    layers: list[ir.Node]

    def output_of(self, copy: Copy, layer: ir.Node) -> str:
        """The name of what a layer writes in a copy; in "total", of what its readers get: the integers, read back."""
        name = layer.outputs[0].name
        names = (
            [f"total:{name}.dequantized", f"total:{name}"] if copy == "total" else [f"own:{name}.float", f"own:{name}"]
        )
        written = {output for node in self.proto.graph.node for output in node.output}
        return next(name for name in names if name in written)

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: int | list[int]) -> str:
        """Append a node; gives back the name of its output."""
        node = helper.make_node(op, list(inputs), [output])
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.proto.graph.node.append(node)
        return output

    def give(self, name: str) -> None:
        """Make a value an output of the graph."""
        self.proto.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))

    def session(self) -> ort.InferenceSession:
        """Load the graph."""
        options = ort.SessionOptions()
        options.log_severity_level = 4
        return ort.InferenceSession(self.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def shadow(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], copies: Sequence[Copy]) -> Shadow:
    """Put copies of a model's int8 form beside it.

    Args:
        model: the prepared float model; left as it is.
        recipe: the int8 recipe.
        ranges: its calibrated ranges.
        copies: which to add.
    """
    chosen = place(model, recipe.keep).nodes
    layers = [node for node in model.graph if node in chosen and node.op_type not in _CLAMPS]
    combined = ir.to_proto(model)
    quantized = ir.to_proto(int8.quantize(ir.from_proto(combined), recipe, ranges))
    for name in copies:
        copy = compose.add_prefix(quantized, f"{name}:", rename_inputs=False)
        if name == "own":
            _feed_with_floats(copy)
        combined.graph.node.extend(copy.graph.node)
        combined.graph.initializer.extend(copy.graph.initializer)
    del combined.graph.output[:]
    return Shadow(combined, layers)


def _feed_with_floats(copy: onnx.ModelProto) -> None:
    for node in copy.graph.node:
        if node.op_type == "QuantizeLinear":
            node.input[0] = node.input[0].removeprefix("own:").removesuffix(".float")
