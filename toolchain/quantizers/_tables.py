"""Embedding tables as int8: rows are looked up as integers, and only what was looked up is turned into float32."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from toolchain.graphs.edits import Edits, array_of, drop_unused_initializers
from toolchain.graphs.weights import operands
from toolchain.quantizers import _affine
from toolchain.quantizers._int8_weights import is_worth_it


def store_tables(model: ir.Model, keep: Collection[str]) -> ir.Model:
    """Rewrite Gather(table) as Cast(Gather(integers)) * Gather(scales), with one scale per row.

    The table is never held in float32, neither in the file nor in memory. One that is also read in another way stays
    as it is; where a product is to have it as integers, too, that is made first, and the two share them.
    """
    edits = Edits(model.graph)
    lookups: dict[ir.Value, list[ir.Node]] = {}
    for operand in operands(model, keep):
        if operand.node.op_type == "Gather" and is_worth_it(operand):
            lookups.setdefault(operand.value, []).append(operand.node)
    for table, gathers in lookups.items():
        if len(gathers) == len(table.uses()) and not table.is_graph_output():
            array = array_of(table)
            integers, scale = _affine.in_steps(array, tuple(range(1, array.ndim)))
            stored = edits.constant(f"{table.name}.stored", integers)
            step = edits.constant(f"{table.name}.step", scale)
            for node in gathers:
                _rewrite(edits, node, stored, step)
    drop_unused_initializers(model.graph)
    return model


def _rewrite(edits: Edits, node: ir.Node, stored: ir.Value, step: ir.Value) -> None:
    graph, output, indices = node.graph, node.outputs[0], node.inputs[1]
    assert isinstance(graph, ir.Graph)
    rows = edits.node("Gather", [stored, indices], f"{output.name}.rows", attributes={"axis": 0})
    rows.outputs[0].type, rows.outputs[0].shape = ir.TensorType(ir.DataType.INT8), output.shape
    steps = edits.node("Gather", [step, indices], f"{output.name}.steps", attributes={"axis": 0})
    cast = edits.cast(rows.outputs[0], ir.DataType.FLOAT, f"{output.name}.cast")
    graph.insert_before(node, [rows, steps, cast])
    # The node that writes the value stays, and becomes the product: who knows the value by its object still does.
    node.op_type = "Mul"
    node.attributes.clear()
    node.replace_input_with(0, cast.outputs[0])
    node.replace_input_with(1, steps.outputs[0])
