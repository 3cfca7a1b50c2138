"""Sequences of tensors, whose values have the type of their tensors beside their own."""

from __future__ import annotations

import onnx_ir as ir


def is_sequence(value: ir.Value | None) -> bool:
    """Tell whether a value is a sequence of tensors."""
    return value is not None and isinstance(value.type, ir.SequenceType)


def has_sequence(node: ir.Node) -> bool:
    """Tell whether a node reads or writes a sequence."""
    return any(map(is_sequence, (*node.inputs, *node.outputs)))
