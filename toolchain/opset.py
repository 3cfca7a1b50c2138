"""Raise a model's opset."""

from __future__ import annotations

import onnx_ir as ir
from onnx import version_converter

from runtimes.errors import UsageError


def at_least(model: ir.Model, opset: int, why: str) -> ir.Model:
    """The model in `opset` or newer, through onnx's own converter.

    Raises:
        UsageError: the converter has no adapter for one of its operators.
    """
    current = model.opset_imports.get("", 1)
    if current >= opset:
        return model
    try:
        return ir.from_proto(version_converter.convert_version(ir.to_proto(model), opset))
    except Exception as error:  # the converter raises RuntimeErrors of its own C++
        raise UsageError(
            f"The model uses opset {current} and cannot be raised to {opset}, which {why}: {error}"
        ) from error
