"""Weights stored as int8, turned back into float32 once at load, computed with in float32."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import Edits, array_of, drop_unused_initializers
from toolchain.graphs.weights import RECURRENT, Operand, operands
from toolchain.quantizers import _affine

MIN_ELEMENTS = 512  # below, the nodes that turn the integers back take as much as they save
MIN_ROW = 16  # numbers in a table's row; below, its scale takes a quarter of what the integers save, and more


def store_weights(model: ir.Model, keep: Collection[str]) -> ir.Model:
    """Replace weights by int8 with one scale per output channel, behind Cast and Mul.

    Runtimes fold these when they load the file, so inference costs what float32 costs. (ONNX Runtime does not fold a
    DequantizeLinear, which would then run at every inference.) What also is read in another way stays as it is.
    """
    edits, first = Edits(model.graph), model.graph[0]
    found = [operand for operand in operands(model, keep) if is_worth_it(operand)]
    covered = {(operand.node, operand.index) for operand in found}
    loaded: dict[tuple[ir.Value, tuple[int, ...]], ir.Value] = {}
    products = [operand for operand in found if operand.node.op_type != "Gather"]  # see `_tables`
    for operand in products:
        value = operand.value
        if any((use.node, use.idx) not in covered for use in value.uses()) or value.is_graph_output():
            continue
        key = (value, operand.summed)
        if key not in loaded:  # what nodes share, they go on sharing
            loaded[key] = _load(edits, first, operand)
    for operand in products:
        if (operand.value, operand.summed) in loaded:
            operand.node.replace_input_with(operand.index, loaded[operand.value, operand.summed])
    drop_unused_initializers(model.graph)
    return model


def is_worth_it(operand: Operand) -> bool:
    """Whether an operand is large enough, and can be held by integers."""
    array = array_of(operand.value)
    long_rows = operand.node.op_type != "Gather" or array[:1].size >= MIN_ROW
    return array.size >= MIN_ELEMENTS and long_rows and bool(np.isfinite(array).all())


def _load(edits: Edits, before: ir.Node, operand: Operand) -> ir.Value:
    value = operand.value
    integers, scale = _affine.in_steps(array_of(value), operand.summed)
    steps, casts = edits.constant(f"{value.name}.stored", integers), []
    # Beside Q/DQ pairs, OpenVINO keeps until inference what it takes for a dequantization, int8 -> float32 * scale.
    # Its recurrent layers want constants, so theirs goes through int32, which it folds.
    dtypes = [ir.DataType.INT32, ir.DataType.FLOAT] if operand.node.op_type in RECURRENT else [ir.DataType.FLOAT]
    for dtype in dtypes:
        casts.append(edits.cast(steps, dtype, f"{value.name}.steps"))
        steps = casts[-1].outputs[0]
    rescale = edits.node("Mul", [steps, edits.constant(f"{value.name}.step", scale)], f"{value.name}.loaded")
    loaded = rescale.outputs[0]
    loaded.type, loaded.shape = value.type, value.shape
    edits.graph.insert_before(before, [*casts, rescale])
    return loaded
