"""Observation of a model's tensors while samples pass through it.

The graph itself reduces each tensor to its extremes and, if a distribution is wanted, to evenly spaced elements. So
memory grows neither with the samples nor with the activations. Samples run one by one, so the result depends neither on
their order nor on their batches. (A model with a fixed batch runs that many samples at once; the elements that are
taken then depend on which samples share a batch.)
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from runtimes.errors import UsageError
from runtimes.tensors import Array
from toolchain.calibration.observer_graph import build_observer_graph
from toolchain.graphs.edits import array_of, is_constant
from toolchain.models import ort_session

ELEMENTS = 2**17
"""Elements of one tensor that all samples together give to a distribution; 13 of them lie beyond 99.99 percent."""

_ELEMENTS_PER_SAMPLE = 256, 4096  # minimum and maximum; the step may yield up to twice as many
_REVIEWS = (1, 8, 64)  # samples before which the graph omits sides that reached their bound; each loads a session
_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Observation:
    """The values of one inference, in the order of the observed tensors.

    Attributes:
        low, high: the extremes of each tensor, float64 [tensors]. The low is above the high for an empty tensor, and
            for a tensor that was not computed, as in a branch that was not taken. A side that has reached the bound of
            its ReLU or Clip is not looked at any more; it has that bound, or the extreme of the elements.
        elements: some of each tensor's values, float32, tensor after tensor; empty unless they are asked for.
        sizes: the number of elements of each tensor.
    """

    low: Array
    high: Array
    elements: Array
    sizes: Sequence[int]


def observe(
    model: ir.Model,
    tensors: Sequence[str],
    data: Dataset,
    *,
    elements: bool = False,
    infinities: bool = False,
) -> Iterator[Observation]:
    """Run every sample and yield one observation per inference.

    Args:
        model: the prepared float model; it stays unchanged.
        tensors: names of float32 tensors, also of subgraphs.
        data: the calibration samples.
        elements: take some of the tensors' values, too.
        infinities: the tensors may hold infinity and NaN, which then count as zeros.

    Raises:
        UsageError: a tensor is inside an operator that hides it, a sample drives a tensor to NaN or infinity, or ONNX
            Runtime fails on a sample; the message names it. Without `elements`, a NaN that ONNX Runtime's reductions
            ignore goes unnoticed.
    """
    batch = data.batch_size
    share = np.clip(ELEMENTS * batch // data.n, *_ELEMENTS_PER_SAMPLE)
    per_sample = int(share) if elements else 0
    bounds = _bounds(model.graph, tensors)
    open_sides = np.ones(bounds.shape, bool)
    dims = {letter: sizes[0] for letter, sizes in data.sizes.items() if len(sizes) == 1}
    build_graph = functools.partial(
        build_observer_graph, model, tensors, elements=per_sample, dims=dims, infinities=infinities
    )
    session = ort_session.session(build_graph(open_sides))
    extremes = np.array([[np.inf], [-np.inf]]).repeat(len(tensors), axis=1)  # so far
    for index, feeds in enumerate(data.feeds()):
        if index in _REVIEWS:
            still_open = open_sides & (extremes != bounds)
            if still_open.any() and not np.array_equal(still_open, open_sides):
                open_sides = still_open
                session = ort_session.session(build_graph(open_sides))
        outputs = ort_session.run_sample(session, index * batch, feeds)
        rest = int(open_sides.sum())
        sizes = [array.size for array in outputs[rest:]]
        values = np.concatenate(outputs[rest:]) if elements else _NOTHING
        found = _extremes(values, sizes) if elements else bounds.copy()
        nan = np.isnan(found).any(axis=0)  # ReduceMin and ReduceMax may ignore NaN (seen in ONNX Runtime 1.31)
        found[open_sides] = np.asarray(outputs[:rest], np.float64)
        empty = found[0] > found[1]  # reductions over no elements give +inf and -inf
        odd = nan | ~(np.isfinite(found).all(axis=0) | empty)
        if odd.any():
            tensor = tensors[int(np.argmax(odd))]
            raise UsageError(
                f"Calibration sample {index * batch} drives the tensor '{tensor}' to NaN or infinity; remove it."
            )
        extremes = np.stack([np.minimum(extremes[0], found[0]), np.maximum(extremes[1], found[1])])
        yield Observation(found[0], found[1], values, sizes)


def _extremes(values: Array, sizes: Sequence[int]) -> Array:
    """Find the minimum and maximum of each tensor's values, NaN if one is NaN: float64 [2, tensors]."""
    filled = np.flatnonzero(sizes)
    firsts = np.cumsum([0, *sizes[:-1]])[filled]
    extremes = np.array([[np.inf], [-np.inf]]).repeat(len(sizes), axis=1)
    extremes[0, filled], extremes[1, filled] = (f.reduceat(values, firsts) for f in (np.minimum, np.maximum))
    return extremes


def _bounds(graph: ir.Graph, tensors: Sequence[str]) -> Array:
    """Find each tensor's bounds, float64 [2, tensors]: finite only for the outputs of ReLU and Clip.

    A tensor that has reached a bound has its final extreme there, and most do so within a few samples.
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
