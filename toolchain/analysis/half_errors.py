"""Error of each node in a half precision: the effect on its output of computing the node alone in that precision.

One pass in float32 rounds inputs and outputs, so no runtime needs to support the precision. The graph outputs only
means.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from toolchain.graphs.edits import Edits, array_of, is_constant
from toolchain.models import ort_session

_RUNS = 64  # more samples hardly change the order of nodes


def half_sensitivity(
    model: ir.Model,
    nodes: Sequence[ir.Node],
    dtype: ir.DataType,
    data: Dataset,
) -> tuple[str, ...]:
    """Order nodes by their error relative to the variance of their output, the worst first.

    The measure is the variance and not the power, since a mean that all values share carries no information and uses up
    the mantissa's bits.

    Args:
        model: the prepared float model; it stays unchanged.
        nodes: nodes of its main graph that compute in `dtype`; may be empty.
        dtype: FLOAT16 or BFLOAT16.
        data: the calibration samples.
    """
    names = [str(node.name) for node in nodes]
    if not names:
        return ()
    session = ort_session.exact_session(_comparison_graph(model, set(names), dtype))
    with np.errstate(all="ignore"):  # a node that overflows ranks first
        seen = [
            np.asarray(outputs, np.float64) for _, outputs in islice(ort_session.over_samples(session, data), _RUNS)
        ]
        mean, spread, noise = np.moveaxis(np.stack(seen).reshape(len(seen), len(names), 3), 2, 0)
        error = noise.mean(axis=0)
        # An output that is constant and exact would give 0 / 0.
        ratio = np.where(error == 0, 0.0, error / (spread.mean(axis=0) + mean.var(axis=0)))
    order = np.argsort(-np.nan_to_num(ratio, nan=np.inf, posinf=np.inf), kind="stable")
    return tuple(names[index] for index in order)


def _comparison_graph(model: ir.Model, names: set[str], dtype: ir.DataType) -> ir.Model:
    """Build a graph with three outputs per node: its output's mean, its variance, and its mean squared error."""
    comparison = model.clone()
    graph, edits = comparison.graph, Edits(comparison.graph)
    graph.outputs.clear()
    rounded: dict[ir.Value, ir.Value] = {}
    for node in [node for node in graph if node.name in names]:
        inputs = [_rounded(edits, value, dtype, rounded) for value in node.inputs]
        copy = ir.Node("", node.op_type, inputs, node.attributes.values(), num_outputs=len(node.outputs))
        for value, original in zip(copy.outputs, node.outputs):
            value.name, value.type, value.shape = edits.fresh(f"{original.name}.own"), original.type, original.shape
        copy.name = edits.fresh(f"{node.name}.own")
        graph.append(copy)
        own = _rounded(edits, copy.outputs[0], dtype, {})
        assert own is not None
        mean = edits.append("ReduceMean", node.outputs[0], keepdims=0)
        for value in (mean, *(_mean_square(edits, node.outputs[0], other) for other in (mean, own))):
            edits.add_output(value, [])
    return comparison


def _mean_square(edits: Edits, value: ir.Value, other: ir.Value) -> ir.Value:
    difference = edits.append("Sub", value, other)
    return edits.append("ReduceMean", edits.append("Mul", difference, difference), keepdims=0)


def _rounded(
    edits: Edits, value: ir.Value | None, dtype: ir.DataType, known: dict[ir.Value, ir.Value]
) -> ir.Value | None:
    if value is None or value.dtype != ir.DataType.FLOAT:
        return value
    if value not in known:
        hint = f"{value.name}.rounded"
        if is_constant(value):
            known[value] = edits.constant(hint, array_of(value).astype(dtype.numpy()).astype(np.float32))
        else:
            narrow = edits.cast(value, dtype, f"{hint}.half")
            wide = edits.cast(narrow.outputs[0], ir.DataType.FLOAT, hint)
            edits.graph.extend([narrow, wide])
            known[value] = wide.outputs[0]
    return known[value]
