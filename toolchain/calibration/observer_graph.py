"""Graph for calibration, which outputs its tensors' extremes and elements instead of the model's outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from runtimes.errors import UsageError
from runtimes.tensors import Array
from toolchain.graphs.edits import Edits
from toolchain.graphs.subgraph_outputs import expose_subgraph_tensors

_LARGE_MAP = 48  # rows and columns; a third of them still covers the map evenly

_KnownSizes: TypeAlias = "Sequence[int] | None"  # None if a size is unknown before the model runs


def build_observer_graph(
    model: ir.Model,
    tensors: Sequence[str],
    open_sides: Array,
    elements: int,
    dims: Mapping[str, int],
    infinities: bool,
) -> ir.Model:
    """Add reductions of the observed tensors to a copy of a model.

    Args:
        model: the prepared float model; it stays unchanged.
        tensors: names of float32 tensors, also of subgraphs.
        open_sides: bool [2, tensors]; the tensors whose minimum is wanted, and those whose maximum is wanted.
        elements: the approximate number of elements to take of each tensor; 0 for none.
        dims: sizes of named dimensions.
        infinities: count infinity and NaN as zeros.

    Returns:
        A model whose outputs are the minima and the maxima, each a scalar, and the elements of all tensors.

    Raises:
        UsageError: a tensor is inside an operator that hides it.
    """
    observer = model.clone()
    graph, edits = observer.graph, Edits(observer.graph)
    graph.outputs.clear()
    seen = _values(edits, tensors)
    if infinities:
        zero = edits.constant("zero", np.zeros((), np.float32))
        seen = [_finite(edits, value, zero) for value in seen]
    for op, is_open in zip(("ReduceMin", "ReduceMax"), open_sides):
        for i in np.flatnonzero(is_open):  # without axes, a reduction is written alike in every opset
            edits.add_output(edits.append(op, seen[i], keepdims=0), [])
    if elements:
        everything, first, end = (_integer(edits, name, i) for name, i in (("all", -1), ("first", 0), ("end", 2**62)))
        thinned = [_thinned(edits, value, _sizes(value, dims), elements) for value in seen]
        flat = [edits.append("Reshape", value, everything) for value, _ in thinned]
        for value, step in zip(flat, _steps(edits, flat, [sizes for _, sizes in thinned], elements)):
            edits.add_output(edits.append("Slice", value, first, end, first, step), [None])
    return observer


def _values(edits: Edits, tensors: Sequence[str]) -> list[ir.Value]:
    """Find tensors as values of the main graph, to which tensors of subgraphs are exported."""
    graph = edits.graph
    values = expose_subgraph_tensors(edits, tensors)
    values.update({str(value.name): value for value in [*graph.inputs, *(v for node in graph for v in node.outputs)]})
    for name in tensors:
        if name not in values:
            raise UsageError(f"The tensor '{name}' is inside an operator other than If, Loop and Scan, which hides it.")
    return [values[name] for name in tensors]


def _finite(edits: Edits, value: ir.Value, zero: ir.Value) -> ir.Value:
    odd = edits.append("Or", edits.append("IsInf", value), edits.append("IsNaN", value))
    return edits.append("Where", odd, zero, value)


def _sizes(value: ir.Value, dims: Mapping[str, int]) -> _KnownSizes:
    if value.shape is None:
        return None
    sizes = [dim if isinstance(dim, int) else dims.get(dim.value or "") for dim in value.shape]
    known = [size for size in sizes if size is not None]
    return known if len(known) == len(sizes) else None


def _thinned(edits: Edits, value: ir.Value, sizes: _KnownSizes, elements: int) -> tuple[ir.Value, _KnownSizes]:
    """Take every third row and column of a large map; return other tensors unchanged.

    Between convolutions, ONNX Runtime keeps maps in blocks of channels. Pooling reads these blocks, while any other
    operator needs the map reordered first, which would take longer than all other observation.
    """
    if sizes is None or len(sizes) != 4 or min(sizes[2:]) < _LARGE_MAP or math.prod(sizes) < 9 * elements:
        return value, sizes
    # An average over one element keeps NaN.
    pooled = edits.append("AveragePool", value, kernel_shape=[1, 1], strides=[3, 3])
    return pooled, [*sizes[:2], *(-(-size // 3) for size in sizes[2:])]


def _steps(edits: Edits, flat: Sequence[ir.Value], sizes: Sequence[_KnownSizes], elements: int) -> Iterator[ir.Value]:
    """Yield each tensor's step k, which takes about m of its n elements: k = 2 * (n // 2m) + 1.

    The step is odd, so that it never falls in step with a power-of-two layout. If n is unknown, the graph computes the
    step, which takes as long as taking the elements.
    """
    one, two, per_step = (_integer(edits, "of_step", number) for number in (1, 2, 2 * elements))
    known: dict[int, ir.Value] = {}
    for value, size in zip(flat, sizes):
        if size is None:
            ratio = edits.append("Div", edits.append("Shape", value), per_step)
            yield edits.append("Add", edits.append("Mul", ratio, two), one)
            continue
        k = 2 * (math.prod(size) // (2 * elements)) + 1
        if k not in known:
            known[k] = _integer(edits, "step", k)
        yield known[k]


def _integer(edits: Edits, hint: str, number: int) -> ir.Value:
    return edits.constant(hint, np.array([number], np.int64))
