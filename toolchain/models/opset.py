"""Raise a model's opset."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
from onnx import version_converter

from runtimes.errors import UsageError

_LARGE_BYTES = 1 << 20  # adapters look into constants such as scales and axes, which are small


def at_least(model: ir.Model, opset: int, why: str) -> ir.Model:
    """The model in `opset` or newer, through onnx's own converter; may change the model that is given.

    Raises:
        UsageError: the converter has no adapter for one of its operators.
    """
    current = model.opset_imports.get("", 1)
    if current >= opset:
        return model
    large = _take_out_large(model.graph)
    try:
        converted = ir.from_proto(version_converter.convert_version(ir.to_proto(model), opset))
    except Exception as error:  # the converter raises RuntimeErrors of its own C++
        raise UsageError(
            f"The model uses opset {current} and cannot be raised to {opset}, which {why}: {error}"
        ) from error
    _put_back(converted.graph, large)
    return converted


def _take_out_large(graph: ir.Graph) -> dict[str, ir.TensorProtocol]:
    """Make inputs of large initializers: the converter takes a protobuf, which holds 2 GB at most."""
    large = {}
    for name, value in list(graph.initializers.items()):
        if value.const_value is not None and value.const_value.nbytes > _LARGE_BYTES and value not in graph.inputs:
            large[name] = value.const_value
            del graph.initializers[name]
            value.const_value = None
            graph.inputs.append(value)
    return large


def _put_back(graph: ir.Graph, large: Mapping[str, ir.TensorProtocol]) -> None:
    for value in list(graph.inputs):
        if str(value.name) in large:
            graph.inputs.remove(value)
            value.const_value = large[str(value.name)]
            graph.register_initializer(value)
