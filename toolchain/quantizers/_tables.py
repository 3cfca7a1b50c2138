"""Embedding tables as int8: rows are looked up as integers, and only what was looked up is turned into float32."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import Edits, array_of, drop_unused_initializers, is_constant
from toolchain.quantizers._int8_weights import MIN_ELEMENTS, in_steps

_MIN_ROW = 16  # numbers in a row; below, its scale takes a quarter of what the integers save, and more


def store_tables(model: ir.Model, keep: Collection[str]) -> ir.Model:
    """Rewrite Gather(table) as Cast(Gather(integers)) * Gather(scales), with one scale per row.

    The table is never held in float32, neither in the file nor in memory. One that is read by more than Gathers stays
    as it is, or it would be stored twice.
    """
    edits = Edits(model.graph)
    for table in list(model.graph.initializers.values()):
        gathers = [use.node for use in table.uses() if _looks_up(use.node, table) and use.node.name not in keep]
        if gathers and len(gathers) == len(table.uses()) and not table.is_graph_output() and _is_worth_it(table):
            integers, scale = in_steps(array_of(table), tuple(range(1, len(table.shape or ()))))
            stored = edits.constant(f"{table.name}.stored", integers)
            step = edits.constant(f"{table.name}.step", scale)
            for node in gathers:
                _rewrite(edits, node, stored, step)
    drop_unused_initializers(model.graph)
    return model


def _looks_up(node: ir.Node, table: ir.Value) -> bool:
    is_first = node.inputs[:1] == (table,) and table not in node.inputs[1:]
    return node.op_type == "Gather" and not node.domain and is_first and node.attributes.get_int("axis", 0) == 0


def _is_worth_it(table: ir.Value) -> bool:
    if not is_constant(table) or table.dtype != ir.DataType.FLOAT or table.shape is None or len(table.shape) < 2:
        return False
    array = array_of(table)
    large = array.size >= MIN_ELEMENTS and array[0].size >= _MIN_ROW
    return large and bool(np.isfinite(array).all())


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
