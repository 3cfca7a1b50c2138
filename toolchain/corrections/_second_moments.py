"""Second moments of the integers that products read, over the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from hwbench.progress import bar
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.analysis import im2col
from toolchain.graphs.edits import array_of
from toolchain.graphs.value_range import Range
from toolchain.models import ort_session
from toolchain.quantizers import _affine
from toolchain.recipes.qdq_placement import Weight

_RUNS = 64  # inferences; more samples hardly change what is rounded
_ROWS_PER_COLUMN = 4  # of the matrix of inputs, over all samples, for the same reason
_MIN_ROWS = 4096
_MAX_BYTES = 2**29  # of the moments that are summed at a time; more layers take another pass over the samples

SharedWeight = Sequence[Weight]
"""A weight, with every node that multiplies with it."""


def second_moments(
    reference: ir.Model,
    weights: Sequence[SharedWeight],
    ranges: Mapping[str, Range],
    scheme: QuantizationScheme,
    data: Dataset,
) -> Iterator[Array]:
    """Sum Q^T Q over rows Q that products multiply their weights with, as int8 has them.

    A Conv reads a row per place of its output; of a large picture, some are taken at random.

    Args:
        reference: the prepared float model; it stays unchanged.
        weights: weights of products of its main graph, by nodes of the same names.
        ranges: the calibrated ranges.
        scheme: the layout of integers.
        data: the calibration samples.

    Yields:
        The sum for each weight: float64 [groups, k, k], with k in the weight's order.
    """
    part: list[SharedWeight] = []
    with bar("Rounding weights", len(weights)) as tick:
        for shared in weights:
            if part and sum(map(_bytes, [*part, shared])) > _MAX_BYTES:
                yield from _ticked(_part(reference, part, ranges, scheme, data), part, tick)
                part = []
            part.append(shared)
        if part:
            yield from _ticked(_part(reference, part, ranges, scheme, data), part, tick)


def depth(weight: Weight) -> int:
    """Count the products that one output of a layer sums over."""
    array = array_of(weight.value)
    return array.size // int(array.shape[weight.axis])


def groups(weight: Weight) -> int:
    """Count the groups of channels that a layer computes apart."""
    return weight.node.attributes.get_int("group", 1) if weight.node.op_type == "Conv" else 1


class _Sum:
    """Sum of Q^T Q, by products of at least k rows: those of a few rows would only move memory."""

    def __init__(self, shared: SharedWeight) -> None:
        first = shared[0]
        self.total = np.zeros((groups(first), depth(first), depth(first)))
        self._waiting: list[Array] = []

    def add(self, rows: Array) -> None:
        """Add rows: float32 [rows, groups, k]."""
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= self.total.shape[-1]:
            self.finish()

    def finish(self) -> Array:
        """Add the rows that wait, and return the sum."""
        if self._waiting:
            rows = np.concatenate(self._waiting)
            self._waiting.clear()
            self.total += rows.transpose(1, 2, 0) @ rows.transpose(1, 0, 2)
        return self.total


def _bytes(shared: SharedWeight) -> int:
    return 8 * groups(shared[0]) * depth(shared[0]) ** 2


def _ticked(sums: Iterator[Array], part: Sequence[SharedWeight], tick: Callable[[str], None]) -> Iterator[Array]:
    for total, shared in zip(sums, part):
        yield total
        tick(str(shared[0].node.name))


def _part(
    reference: ir.Model,
    weights: Sequence[SharedWeight],
    ranges: Mapping[str, Range],
    scheme: QuantizationScheme,
    data: Dataset,
) -> Iterator[Array]:
    sums = [_Sum(shared) for shared in weights]
    inputs = list(dict.fromkeys(_input(weight) for shared in weights for weight in shared))
    parameters = {name: _affine.for_activation(ranges[name], scheme) for name in inputs}
    session = ort_session.session(_observer_graph(reference, inputs))
    runs = min(_RUNS, data.n // data.batch_size)
    for index, (_, outputs) in enumerate(islice(ort_session.over_samples(session, data), runs)):
        read = dict(zip(inputs, outputs))
        for shared, total in zip(weights, sums):
            for weight in shared:
                wanted = -(-max(_MIN_ROWS, _ROWS_PER_COLUMN * depth(weight)) // runs)
                shape, name = array_of(weight.value).shape, _input(weight)
                rows = im2col.rows(weight.node, shape, read[name], wanted, index)
                total.add(_affine.rounded(rows, parameters[name]))
    for total in sums:
        yield total.finish()


def _input(weight: Weight) -> str:
    source = weight.node.inputs[0]
    assert source is not None
    return str(source.name)


def _observer_graph(reference: ir.Model, tensors: Sequence[str]) -> ir.Model:
    observer = reference.clone()
    values = {value.name: value for node in observer.graph for value in node.outputs}
    values.update({value.name: value for value in observer.graph.inputs})
    observer.graph.outputs.clear()
    observer.graph.outputs.extend(values[name] for name in tensors)
    return observer
