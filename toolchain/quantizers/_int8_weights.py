"""Storage of weights as int8, which runtimes convert to float32 once, when they load the file."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.weights import RECURRENT, Operand, operands
from toolchain.quantizers import _affine

MIN_ELEMENTS = 512  # with fewer elements, the nodes that restore float32 take as many bytes as they save
MIN_ROW = 16  # numbers in a table's row; in shorter rows the scale takes a quarter of the savings and more


def store_weights(model: ir.Model, keep: Collection[str]) -> ir.Model:
    """Replace weights by int8 with one scale per output channel, followed by Cast and Mul.

    Runtimes fold Cast and Mul when they load the file, so inference takes as long as in float32. (ONNX Runtime does not
    fold a DequantizeLinear, which would run in every inference.) A weight with other readers stays in float32.

    Args:
        model: the prepared float model; changed and returned.
        keep: names of nodes whose weights stay in float32.
    """
    edits, first = Edits(model.graph), model.graph[0]
    found = [operand for operand in operands(model, keep) if is_worth_it(operand)]
    covered = {(operand.node, operand.index) for operand in found}
    loaded: dict[tuple[ir.Value, tuple[int, ...]], ir.Value] = {}
    products = [operand for operand in found if operand.node.op_type != "Gather"]  # `_tables` stores tables
    for operand in products:
        value = operand.value
        if any((use.node, use.idx) not in covered for use in value.uses()) or value.is_graph_output():
            continue
        key = (value, operand.summed)
        if key not in loaded:  # nodes that share a weight share its integers
            loaded[key] = _load(edits, first, operand)
    for operand in products:
        if (operand.value, operand.summed) in loaded:
            operand.node.replace_input_with(operand.index, loaded[operand.value, operand.summed])
    RemoveUnusedNodesPass()(model)
    return model


def is_worth_it(operand: Operand) -> bool:
    """Tell whether storing an operand as int8 saves enough bytes, and whether it is finite."""
    array = array_of(operand.value)
    long_rows = operand.node.op_type != "Gather" or array[:1].size >= MIN_ROW
    return array.size >= MIN_ELEMENTS and long_rows and bool(np.isfinite(array).all())


def _load(edits: Edits, before: ir.Node, operand: Operand) -> ir.Value:
    value = operand.value
    integers, scale = _affine.quantize_symmetric(array_of(value), operand.summed)
    steps, casts = edits.constant(f"{value.name}.stored", integers), []
    # In a graph with Q/DQ pairs, OpenVINO does not fold int8 -> float32 * scale, which it takes for a dequantization.
    # Its recurrent layers need constants, so their weights go through int32, which it folds.
    dtypes = [ir.DataType.INT32, ir.DataType.FLOAT] if operand.node.op_type in RECURRENT else [ir.DataType.FLOAT]
    for dtype in dtypes:
        casts.append(edits.cast(steps, dtype, f"{value.name}.steps"))
        steps = casts[-1].outputs[0]
    rescale = edits.node("Mul", [steps, edits.constant(f"{value.name}.step", scale)], f"{value.name}.loaded")
    loaded = rescale.outputs[0]
    loaded.type, loaded.shape = value.type, value.shape
    edits.graph.insert_before(before, [*casts, rescale])
    return loaded
