"""Watch a model's tensors while samples pass through it.

What is watched is reduced inside the graph: the extremes of each tensor, and where a distribution is asked for, an
evenly spaced part of its elements. So memory grows neither with the samples nor with the activations, and since
samples go through one by one, nothing depends on their order or on how they were batched. (A model whose batch is fixed
takes as many at once; which elements are seen then depends on which samples meet.)
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from runtimes import samples
from runtimes.errors import UsageError
from runtimes.samples import Rows
from runtimes.tensors import Array, Feeds, TensorSpec
from toolchain.calibration.observer_graph import watcher
from toolchain.graphs.edits import array_of, is_constant
from toolchain.models import ort_session

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
            tensor, and for what was not computed, such as in a branch that was not taken. With elements, theirs for a
            side that cannot hold infinity, since ReLU or Clip bounds it.
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
            not, or ONNX Runtime fails on it; says which. Without `elements`, a NaN that its reductions pass over is
            not seen.
    """
    batch = samples.batch_size(specs, arrays)
    per_sample = int(np.clip(ELEMENTS * batch // samples.count(specs, arrays), *_ELEMENTS_OF_ONE)) if elements else 0
    bounds = _bounds(model.graph, tensors)
    # A side that has a bound holds no infinity, so with elements theirs will do.
    open_sides = np.isinf(bounds) if elements else np.ones(bounds.shape, bool)
    dims = _dims(model.graph, next(samples.feeds(specs, arrays)))
    watching = functools.partial(watcher, model, tensors, elements=per_sample, dims=dims, infinities=infinities)
    session = ort_session.session(watching(open_sides))
    extremes = np.array([[np.inf], [-np.inf]]).repeat(len(tensors), axis=1)  # of all samples so far
    for index, feeds in enumerate(samples.feeds(specs, arrays)):
        if index in _REVIEWS:
            still_open = open_sides & (extremes != bounds)
            if still_open.any() and not np.array_equal(still_open, open_sides):
                open_sides = still_open
                session = ort_session.session(watching(open_sides))
        outputs = ort_session.run_sample(session, index * batch, feeds)
        rest = int(open_sides.sum())
        sizes = [array.size for array in outputs[rest:]]
        values = np.concatenate(outputs[rest:]) if elements else _NOTHING
        found = _extremes(values, sizes) if elements else bounds.copy()
        nan = np.isnan(found).any(axis=0)  # ReduceMin and ReduceMax may pass over it (seen in ONNX Runtime 1.31)
        found[open_sides] = np.asarray(outputs[:rest], np.float64)
        empty = found[0] > found[1]  # the reductions of nothing
        odd = nan | ~(np.isfinite(found).all(axis=0) | empty)
        if odd.any():
            tensor = tensors[int(np.argmax(odd))]
            raise UsageError(
                f"Calibration sample {index * batch} drives the tensor '{tensor}' to NaN or infinity; remove it."
            )
        extremes = np.stack([np.minimum(extremes[0], found[0]), np.maximum(extremes[1], found[1])])
        yield Observation(found[0], found[1], values, sizes)


def _extremes(values: Array, sizes: Sequence[int]) -> Array:
    """The least and the greatest of each tensor's values, NaN if there is one: float64 [2, tensors]."""
    filled = np.flatnonzero(sizes)
    firsts = np.cumsum([0, *sizes[:-1]])[filled]
    extremes = np.array([[np.inf], [-np.inf]]).repeat(len(sizes), axis=1)
    extremes[0, filled], extremes[1, filled] = (f.reduceat(values, firsts) for f in (np.minimum, np.maximum))
    return extremes


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


def _dims(graph: ir.Graph, feeds: Feeds) -> Mapping[str, int]:
    """What the named dimensions of the inputs are in the samples, which all have one shape."""
    return {
        dim.value: size
        for value in graph.inputs
        for dim, size in zip(value.shape or (), feeds[str(value.name)].shape)
        if isinstance(dim, ir.SymbolicDim) and dim.value
    }
