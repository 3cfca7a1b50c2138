"""Watch a model's tensors while samples pass through it.

What is watched is reduced inside the graph: the extremes of each tensor, and where a distribution is asked for, an
evenly spaced part of its elements. So memory grows neither with the samples nor with the activations, and since
samples go through one by one, nothing depends on their order or on how they were batched. (A model whose batch is fixed
takes as many at once; which elements are seen then depends on which samples meet.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from runtimes import samples
from runtimes.errors import UsageError
from runtimes.samples import Rows
from runtimes.tensors import Array, TensorSpec
from toolchain import inference
from toolchain.graphs.edits import Edits, array_of, is_constant
from toolchain.graphs.surface import surface

ELEMENTS = 2**17
"""Of one tensor, that all samples together are to give to a distribution: 13 of them lie beyond 99.99 percent."""

_ELEMENTS_OF_ONE = 256, 4096  # the least and the most that one sample is asked for; it gives up to twice as many
_REVIEWS = (1, 8, 64)  # samples after which what has settled is no longer watched; each costs loading a session
_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Observation:
    """What one inference showed, in the order of the watched tensors.

    Attributes:
        low, high: the extremes of each tensor, float64 [tensors]; the low above the high for an empty
            tensor, and for what was not computed, such as in a branch that was not taken.
        elements: some of each tensor's values, float32, one tensor's after another's; empty unless asked for.
        sizes: how many of them are each tensor's.
    """

    low: Array
    high: Array
    elements: Array
    sizes: Sequence[int]


def observe(
    model: ir.Model,
    tensors: Sequence[str],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Rows],
    *,
    elements: bool = False,
    infinities: bool = False,
) -> Iterator[Observation]:
    """Run every sample.

    Args:
        model: the prepared float model; left as it is.
        tensors: names of float32 tensors, of subgraphs, too.
        specs: the model's inputs.
        arrays: the samples, one array per input, samples first.
        elements: whether to give some of the tensors' values, too.
        infinities: whether the tensors may hold infinity and NaN, which then count as zeros.

    Raises:
        UsageError: a tensor is inside an operator that hides it, a sample drives one to NaN or infinity where it may
            not, or ONNX Runtime fails on it; says which.
    """
    batch = samples.batch_size(specs, arrays)
    per_sample = int(np.clip(ELEMENTS * batch // samples.count(specs, arrays), *_ELEMENTS_OF_ONE)) if elements else 0
    bounds = _bounds(model.graph, tensors)
    open_sides = np.ones(bounds.shape, bool)
    session = inference.session(_watcher(model, tensors, open_sides, per_sample, infinities))
    extremes = np.array([[np.inf], [-np.inf]]).repeat(len(tensors), axis=1)  # of all samples so far
    for index, feeds in enumerate(samples.feeds(specs, arrays)):
        if index in _REVIEWS and (settled := open_sides & (extremes == bounds)).any():
            open_sides = open_sides & ~settled
            session = inference.session(_watcher(model, tensors, open_sides, per_sample, infinities))
        outputs = inference.run_sample(session, index * batch, feeds)
        found, rest = bounds.copy(), int(open_sides.sum())
        found[open_sides] = np.asarray(outputs[:rest], np.float64)
        empty = found[0] > found[1]  # the reductions of nothing
        odd = ~(np.isfinite(found).all(axis=0) | empty)
        values = np.concatenate(outputs[rest:]) if elements else _NOTHING
        sizes = [array.size for array in outputs[rest:]]
        if np.isnan(values).any():  # ReduceMin and ReduceMax may pass over it (seen in ONNX Runtime 1.31)
            odd |= [bool(np.isnan(array).any()) for array in outputs[rest:]]
        if odd.any():
            tensor = tensors[int(np.argmax(odd))]
            raise UsageError(
                f"Calibration sample {index * batch} drives the tensor '{tensor}' to NaN or infinity; remove it."
            )
        extremes = np.stack([np.minimum(extremes[0], found[0]), np.maximum(extremes[1], found[1])])
        yield Observation(found[0], found[1], values, sizes)


def _bounds(graph: ir.Graph, tensors: Sequence[str]) -> Array:
    """What each tensor cannot go beyond, float64 [2, tensors]: infinite but for what ReLU and Clip write.

    A tensor that has reached a bound has its final extreme there, and most do within a few samples.
    """
    producers = {value.name: node for node in graph.all_nodes() for value in node.outputs}
    bounds = np.array([[-np.inf], [np.inf]]).repeat(len(tensors), axis=1)
    for i, name in enumerate(tensors):
        node = producers.get(name)
        if node is not None and node.op_type == "Relu":
            bounds[0, i] = 0
        elif node is not None and node.op_type == "Clip":
            for side, limit in enumerate(node.inputs[1:3]):
                if is_constant(limit):
                    bounds[side, i] = array_of(limit).item()
    return bounds


def _values(edits: Edits, tensors: Sequence[str]) -> list[ir.Value]:
    """Tensors as values of the main graph, wherever they are."""
    graph = edits.graph
    values = surface(edits, tensors)
    values.update({str(value.name): value for value in [*graph.inputs, *(v for node in graph for v in node.outputs)]})
    for name in tensors:
        if name not in values:
            raise UsageError(f"The tensor '{name}' is inside an operator other than If, Loop and Scan, which hides it.")
    return [values[name] for name in tensors]


def _watcher(model: ir.Model, tensors: Sequence[str], open_sides: Array, elements: int, infinities: bool) -> ir.Model:
    watched = model.clone()
    graph, edits = watched.graph, Edits(watched.graph)
    graph.outputs.clear()
    seen = _values(edits, tensors)
    if infinities:
        zero = edits.constant("zero", np.zeros((), np.float32))
        seen = [_finite(edits, value, zero) for value in seen]
    for op, is_open in zip(("ReduceMin", "ReduceMax"), open_sides):
        for i in np.flatnonzero(is_open):  # over all axes, which every opset writes the same way
            edits.give(edits.append(op, seen[i], keepdims=0), [])
    if elements:
        numbers = {"all": -1, "first": 0, "one": 1, "two": 2, "per_step": 2 * elements, "end": 2**62}
        constants = {name: edits.constant(name, np.array([value], np.int64)) for name, value in numbers.items()}
        for value in seen:
            edits.give(_elements(edits, value, constants), [None])
    return watched


def _finite(edits: Edits, value: ir.Value, zero: ir.Value) -> ir.Value:
    odd = edits.append("Or", edits.append("IsInf", value), edits.append("IsNaN", value))
    return edits.append("Where", odd, zero, value)


def _elements(edits: Edits, value: ir.Value, constants: Mapping[str, ir.Value]) -> ir.Value:
    """Every k-th element, k odd so that it never falls in step with a power-of-two layout: k = 2 * (n // 2m) + 1."""
    flat = edits.append("Reshape", value, constants["all"])
    ratio = edits.append("Div", edits.append("Shape", flat), constants["per_step"])
    step = edits.append("Add", edits.append("Mul", ratio, constants["two"]), constants["one"])
    return edits.append("Slice", flat, constants["first"], constants["end"], constants["first"], step)
