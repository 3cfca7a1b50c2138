"""Pairs of weights whose products a CPU without VNNI adds in int16.

On such an x86 CPU, `vpmaddubsw` multiplies two neighbouring u8 activations with their s8 weights and adds the two
products in int16, which saturates. With activations up to 255, a pair of equal signs is safe if its sum is at most 128
(255 * 128 < 2 ** 15); a pair of unlike signs always is.

Kernels pair neighbours along the axis that a product sums over. In a convolution, that axis is laid out as (position in
the window, channel): ONNX Runtime's kernels pair neighbours of the whole axis, also from one position to the next, and
oneDNN's, as their blocked layouts say, those of one position. The two differ for an odd number of channels, so both
count here. Kernels for convolutions of one channel each widen to int32 first. ONNX Runtime was tried at the bound on an
emulated CPU; oneDNN was not, since QEMU crashes in the code that it generates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from runtimes.tensors import Array

SAFE_SUM = 128
"""The largest sum of two integer weights of equal signs that cannot saturate."""


@dataclass(frozen=True)
class Pairing:
    """One way to pair the weights of an output channel.

    Attributes:
        partners: the index of each weight's partner, int [k]; -1 for a weight without one.
    """

    partners: Array

    def largest(self, rows: Array) -> Array:
        """Return the largest size of a sum of two weights of equal signs, [channels], for weights [channels, k]."""
        first = np.flatnonzero(self.partners > np.arange(len(self.partners)))
        one, other = rows[:, first], rows[:, self.partners[first]]
        sums = np.where(one * other > 0, np.abs(one + other), 0.0)
        return np.asarray(sums.max(axis=1, initial=0.0))


def pairings(node: ir.Node, shape: Sequence[int], axis: int) -> tuple[Pairing, ...]:
    """List the ways in which kernels pair a product's weights, in the order that `rows` gives them.

    Args:
        node: a Conv, MatMul or Gemm.
        shape: the weight's shape.
        axis: the axis of its output channels.
    """
    if node.op_type != "Conv":
        return (of_matrix(int(np.prod(shape)) // shape[axis]),)
    channels, window = shape[1], int(np.prod(shape[2:]))
    if channels == 1 and node.attributes.get_int("group", 1) == shape[0]:
        return ()
    order = np.arange(channels * window).reshape(channels, window).T  # of the kernel: position, then channel
    by_position = [part for position in order for part in _neighbours(position)]
    found = [Pairing(_partners(_neighbours(order.ravel()), order.size))]
    if channels % 2 and channels > 1:
        found.append(Pairing(_partners(by_position, order.size)))
    return tuple(found)


def of_matrix(depth: int) -> Pairing:
    """Pair the weights of a matrix that sums over `depth` products."""
    return Pairing(_partners(_neighbours(np.arange(depth)), depth))


def rows(weight: Array, axis: int) -> Array:
    """Lay out a weight as one row per output channel: [channels, k]."""
    return np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)


def _neighbours(order: Array) -> list[tuple[int, int]]:
    return list(zip(order[::2].tolist(), order[1::2].tolist()))


def _partners(pairs: Sequence[tuple[int, int]], depth: int) -> Array:
    partners = np.full(depth, -1)
    for one, other in pairs:
        partners[one], partners[other] = other, one
    return partners
