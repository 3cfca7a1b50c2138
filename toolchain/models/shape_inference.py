"""Shape inference, which leaves sequences of tensors what they are."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from toolchain.graphs.sequences import is_sequence

# SequenceMap is a function, which ONNX Runtime expands into a Loop over sequences.
_WRITING_SEQUENCES = frozenset(
    {"SplitToSequence", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase"}
)


def infer_shapes(model: ir.Model) -> ir.Model:
    """Infer types and shapes, as onnx_ir's pass does, which writes a sequence's type as that of its tensors (1.1.0)."""
    model = ShapeInferencePass()(model).model
    _restore_sequences(model.graph)
    return model


def _restore_sequences(graph: ir.Graph) -> None:
    for node in graph:
        bodies = [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]
        for body in bodies:
            _restore_sequences(body)
        for index, value in enumerate(node.outputs):
            sources: list[ir.Value | None] = [body.outputs[_from(node, index)] for body in bodies]
            sources += node.inputs[:1] if node.op_type == "Identity" else []
            if node.op_type in _WRITING_SEQUENCES or any(map(is_sequence, sources)):
                value.type, value.shape = ir.SequenceType(ir.TensorType(value.dtype or ir.DataType.FLOAT)), None


def _from(node: ir.Node, index: int) -> int:
    return index + (node.op_type == "Loop")  # a Loop's body writes its condition first
