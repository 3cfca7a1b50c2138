"""Second moments of the integers that products read, over the samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from hwbench.progress import bar
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.corrections._product_inputs import depth, groups, input_name, over_rows
from toolchain.graphs.value_range import Range
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

    Args:
        reference: the prepared float model; it stays unchanged.
        weights: weights of products of its main graph, by nodes of the same names.
        ranges: the calibrated ranges.
        scheme: the layout of integers.
        data: the calibration samples.

    Yields:
        The sum for each weight: float64 [groups, k, k], with k in the weight's order.
    """
    with bar("Rounding weights", len(weights)) as tick:
        for part in _parts(weights):
            for shared, total in zip(part, _sums(reference, part, ranges, scheme, data)):
                yield total.finish()
                tick(str(shared[0].node.name))


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


def _parts(weights: Sequence[SharedWeight]) -> Iterator[list[SharedWeight]]:
    """Split the weights into parts whose moments fit into memory."""
    part: list[SharedWeight] = []
    for shared in weights:
        if part and sum(map(_bytes, [*part, shared])) > _MAX_BYTES:
            yield part
            part = []
        part.append(shared)
    if part:
        yield part


def _bytes(shared: SharedWeight) -> int:
    return 8 * groups(shared[0]) * depth(shared[0]) ** 2


def _sums(
    reference: ir.Model,
    weights: Sequence[SharedWeight],
    ranges: Mapping[str, Range],
    scheme: QuantizationScheme,
    data: Dataset,
) -> list[_Sum]:
    sums = [_Sum(shared) for shared in weights]
    each = [(weight, total) for shared, total in zip(weights, sums) for weight in shared]
    parameters = [_affine.for_activation(ranges[input_name(weight)], scheme) for weight, _ in each]
    for index, rows in over_rows(reference, [weight for weight, _ in each], data, runs=_RUNS, rows=_rows):
        each[index][1].add(_affine.rounded(rows, parameters[index]))
    return sums


def _rows(weight: Weight) -> int:
    return max(_MIN_ROWS, _ROWS_PER_COLUMN * depth(weight))
