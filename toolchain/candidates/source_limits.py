"""Limits of a source's inputs: the lengths at which its position tables end, and the rows that its ids index.

Bundles record them, since a runtime may compute something beyond them instead of refusing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from runtimes.bundles.input_limits import InputLimits
from runtimes.tensors import Array, Feeds
from toolchain.graphs.edits import is_constant
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel, load_ir
from toolchain.sources.sized_runs import run_resized
from toolchain.sources.sizes import batches, sizes_of

_MAX_SIZE, _MAX_ELEMENTS = 4096, 1 << 20  # attention takes memory by the square of a length
_MAX_CPU_S = 4.0  # of one inference; the sizes of a longer one are not doubled
_MAX_TIED = 3  # dimensions that only grow together
_RESHAPING = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_INDEX_TYPES = (ir.DataType.INT32, ir.DataType.INT64)

Sizes = Mapping[str, int]
Takes = Callable[[Sizes], bool | None]
"""Tells whether the source takes sizes; None if they are too large to try."""


def source_limits(model: OnnxModel, data: Dataset, samples: Iterable[Dataset] = ()) -> InputLimits:
    """Find limits by running the source at growing sizes, and from its graph.

    Dimensions that are a batch have none. That the source takes an empty dimension is shown by samples alone, since
    ONNX Runtime ends the process at an LSTM over an empty batch.

    Args:
        model: the source.
        data: a few samples of single inferences; the middle one, in which a cache is half full, is resized.
        samples: all samples.

    Raises:
        UsageError: ONNX Runtime cannot load the source.
    """
    feeds = list(data.feeds())
    feed = feeds[len(feeds) // 2]
    usual = sizes_of(model.inputs, feed)
    lengths = sorted(usual.keys() - batches(model.inputs))
    sizes = largest_sizes(usual, lengths, _runner(model, feed)) if lengths else {}
    empty = {name for known in samples for name, seen in known.sizes.items() if 0 in seen}
    return InputLimits(sizes, table_rows(load_ir(model.path)), tuple(sorted(empty)))


def largest_sizes(usual: Sizes, lengths: Collection[str], takes: Takes) -> dict[str, int]:
    """Find the largest sizes of dynamic dimensions, as far as they can be told.

    Dimensions that a model only takes changed together, as the lengths of a cache and of its mask, grow together. The
    others are 1 meanwhile: where two lengths share a table, each is largest there. A limit is not found if it is far,
    or if the model does not take sizes one by one, but such as multiples of 4.

    Args:
        usual: a size of every dimension, at which the model runs.
        lengths: the dimensions to change.
        takes: runs the model.
    """
    found: dict[str, int] = {}
    settled: set[str] = set()
    for number in range(1, min(len(lengths), _MAX_TIED) + 1):
        for names in itertools.combinations(lengths, number):
            start = {**usual, **{name: 1 for name in lengths if name not in names}}
            if settled.isdisjoint(names) and takes(start):
                growth = _growth(start, names, takes)
                settled.update(names if growth is not None else ())
                found.update({name: start[name] + int(growth) for name in names} if growth not in (None, inf) else {})
    return found


def _growth(start: Sizes, names: Collection[str], takes: Takes) -> float | None:
    """Find the largest number that can be added to some sizes: infinity if it is far, None if 1 cannot be added."""

    def grown(step: int) -> bool | None:
        return takes({**start, **{name: start[name] + step for name in names}})

    if not grown(1) and not grown(-1):
        return None
    least = max(1, *(start[name] for name in names))
    taken, step = 0, least
    while answer := grown(step):
        taken, step = step, 2 * step + least
    if answer is None:
        return inf
    while step - taken > 1:
        middle = (taken + step) // 2
        taken, step = (middle, step) if grown(middle) else (taken, middle)
    return taken


def table_rows(graph: ir.Model) -> dict[str, int]:
    """Find the tables that integer inputs index as they come, such as those of embeddings.

    Returns:
        By the input's name, the number of rows of the smallest table.
    """
    found: dict[str, int] = {}
    for value in graph.graph.inputs:
        if value.dtype is not None and value.dtype.is_integer():
            rows = [size for index in _same_values(value) for size in _rows_that_are_read(index)]
            found.update({str(value.name): min(rows)} if rows else {})
    return found


def _same_values(value: ir.Value) -> list[ir.Value]:
    """List a value and those that hold its elements, in another shape or type of index."""
    found = [value]
    for same in found:
        nodes = [node for node, place in same.uses() if place == 0 and node.graph is same.graph and not node.domain]
        found += [
            node.outputs[0]
            for node in nodes
            if node.op_type in _RESHAPING or (node.op_type == "Cast" and node.attributes.get_int("to") in _INDEX_TYPES)
        ]
    return found


def _rows_that_are_read(index: ir.Value) -> list[int]:
    """List the number of rows of each constant that a value is the index of, outside of branches."""
    return [
        table.const_value.numpy().shape[node.attributes.get_int("axis", 0)]
        for node, place in index.uses()
        if place == 1 and node.op_type == "Gather" and not node.domain and node.graph is index.graph
        if is_constant(table := node.inputs[0]) and table is not None and table.const_value is not None
    ]


def _runner(model: OnnxModel, feed: Feeds) -> Takes:
    """Make a function that runs the source at other sizes, as long as that takes little time and memory."""
    session, largest = ort_session.session(model.path), _MAX_SIZE

    def call(arrays: Mapping[str, Array]) -> list[Array]:
        return ort_session.run_sample(session, 0, arrays)

    def takes(sizes: Sizes) -> bool | None:
        nonlocal largest
        if max(sizes.values()) > largest:
            return None
        start = time.process_time()
        run = run_resized(model.inputs, feed, sizes, call, _MAX_ELEMENTS)
        if time.process_time() - start > _MAX_CPU_S:
            largest = max(sizes.values())
        return None if run is None else run.error is None

    return takes
