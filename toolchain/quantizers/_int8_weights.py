"""Weights stored as int8, turned back into float32 once at load, computed with in float32."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import Edits, array_of, drop_unused_initializers
from toolchain.graphs.weights import Operand, operands
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
            loaded[key] = _load(edits, first, value, operand.summed)
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


def _load(edits: Edits, before: ir.Node, value: ir.Value, summed: tuple[int, ...]) -> ir.Value:
    integers, scale = _affine.in_steps(array_of(value), summed)
    stored = edits.constant(f"{value.name}.stored", integers)
    cast = edits.cast(stored, ir.DataType.FLOAT, f"{value.name}.steps")
    rescale = edits.node("Mul", [cast.outputs[0], edits.constant(f"{value.name}.step", scale)], f"{value.name}.loaded")
    loaded = rescale.outputs[0]
    loaded.type, loaded.shape = value.type, value.shape
    edits.graph.insert_before(before, [cast, rescale])
    return loaded
