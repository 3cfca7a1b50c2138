"""Embedding tables as int8: a lookup reads integers, and only the rows that it reads become float32."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.weights import operands
from toolchain.quantizers import _affine
from toolchain.quantizers._int8_weights import is_worth_it


def store_tables(model: ir.Model, keep: Collection[str]) -> ir.Model:
    """Rewrite Gather(table) as Cast(Gather(integers)) * Gather(scales), with one scale per row.

    Neither the file nor the memory holds the table in float32. A table with other readers stays unchanged. If a product
    shares the table as integers, quantize the product first; the two then share the integers.

    Args:
        model: the prepared float model; changed and returned.
        keep: names of nodes whose tables stay in float32.
    """
    edits = Edits(model.graph)
    lookups: dict[ir.Value, list[ir.Node]] = {}
    for operand in operands(model, keep):
        if operand.node.op_type == "Gather" and is_worth_it(operand):
            lookups.setdefault(operand.value, []).append(operand.node)
    for table, gathers in lookups.items():
        if len(gathers) == len(table.uses()) and not table.is_graph_output():
            array = array_of(table)
            integers, scale = _affine.quantize_symmetric(array, tuple(range(1, array.ndim)))
            stored = edits.constant(f"{table.name}.stored", integers)
            step = edits.constant(f"{table.name}.step", scale)
            for node in gathers:
                _rewrite(edits, node, stored, step)
    RemoveUnusedNodesPass()(model)
    return model


def _rewrite(edits: Edits, node: ir.Node, stored: ir.Value, step: ir.Value) -> None:
    graph, output, indices = node.graph, node.outputs[0], node.inputs[1]
    assert isinstance(graph, ir.Graph)
    rows = edits.node("Gather", [stored, indices], f"{output.name}.rows", attributes={"axis": 0})
    rows.outputs[0].type, rows.outputs[0].shape = ir.TensorType(ir.DataType.INT8), output.shape
    steps = edits.node("Gather", [step, indices], f"{output.name}.steps", attributes={"axis": 0})
    cast = edits.cast(rows.outputs[0], ir.DataType.FLOAT, f"{output.name}.cast")
    graph.insert_before(node, [rows, steps, cast])
    # The Gather node becomes the Mul, so that the value that it writes stays the same object for those that hold it.
    node.op_type = "Mul"
    node.attributes.clear()
    node.replace_input_with(0, cast.outputs[0])
    node.replace_input_with(1, steps.outputs[0])
