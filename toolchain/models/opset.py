"""Conversion of a model to a newer opset.

onnxscript's `version_converter` was tried in place of this module (onnxscript 0.7.2, with its fallback). It converts
the networks of tests/helpers/networks.py from opsets 11, 17 and 18 to 22 just as well, and falls short in two cases:

- Its own adapters cover opsets 18 to 25. Below, and for the target 13, it calls onnx's converter as this module does.
- If a conversion fails, it logs a warning and returns the model unchanged. The user would not learn which operator has
  no adapter (`Pad` of opset 1, for example).
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
from onnx import version_converter

from runtimes.errors import UsageError

_LARGE_BYTES = 1 << 20  # adapters read constants such as scales and axes, which are smaller


def at_least(model: ir.Model, opset: int, why: str) -> ir.Model:
    """Convert a model to `opset` with onnx's converter, unless it is that new already.

    Args:
        model: the model, which may be changed.
        opset: the lowest acceptable version of the default domain.
        why: completes "which ..." in the error message, as in "bf16 needs".

    Raises:
        UsageError: the converter has no adapter for one of the model's operators.
    """
    current = model.opset_imports.get("", 1)
    if current >= opset:
        return model
    large = _take_out_large(model.graph)
    try:
        converted = ir.from_proto(version_converter.convert_version(ir.to_proto(model), opset))
    except Exception as error:  # the converter's C++ raises RuntimeErrors
        raise UsageError(
            f"The model uses opset {current} and cannot be raised to {opset}, which {why}: {error}"
        ) from error
    _put_back(converted.graph, large)
    return converted


def _take_out_large(graph: ir.Graph) -> dict[str, ir.TensorProtocol]:
    """Turn large initializers into inputs: the converter takes a protobuf, which holds at most 2 GiB."""
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
