"""Columns of the matrix (im2col) that a product sums over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from runtimes.tensors import Array


def columns(node: ir.Node, shape: Sequence[int], array: Array, padding: int) -> Callable[[int], Array]:
    """Lay out an operator's input as a matrix.

    Args:
        node: a Conv, or a product with a matrix.
        shape: the weight's shape.
        array: the operator's first input.
        padding: the value of a Conv's padding.

    Returns:
        A function from k to column k, int32 [rows]; k is in the order (group, position in the window, channel).
    """
    if node.op_type != "Conv":
        rows = array.reshape(-1, array.shape[-1])
        return lambda k: np.asarray(rows[:, k], np.int32)
    window, channels = shape[2:], shape[1]
    strides = node.attributes.get_ints("strides", [1] * len(window))
    dilations = node.attributes.get_ints("dilations", [1] * len(window))
    pads = _pads(node, array.shape[2:], window, strides, dilations)
    padded = np.pad(array, [(0, 0), (0, 0), *pads], constant_values=padding)
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(window, dilations)]
    lengths = [(size - span) // stride + 1 for size, span, stride in zip(padded.shape[2:], spans, strides)]
    depth = int(np.prod(window)) * channels

    def column(k: int) -> Array:
        group, within = divmod(k, depth)
        position, channel = divmod(within, channels)
        starts = [int(at) * dilation for at, dilation in zip(np.unravel_index(position, window), dilations)]
        plane = padded[:, group * channels + channel]
        for axis, (start, length, stride) in enumerate(zip(starts, lengths, strides), start=1):
            plane = plane.take(range(start, start + (length - 1) * stride + 1, stride), axis)
        return np.asarray(plane.reshape(-1), np.int32)

    return column


def _pads(
    node: ir.Node, sizes: Sequence[int], window: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    """Count the elements of padding before and after each spatial axis."""
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    if mode == "VALID":
        return [(0, 0)] * len(window)
    if mode == "NOTSET":
        pads = node.attributes.get_ints("pads", [0] * 2 * len(window))
        return list(zip(pads[: len(window)], pads[len(window) :]))
    pairs = []
    for size, length, stride, dilation in zip(sizes, window, strides, dilations):
        total = max(0, (-(-size // stride) - 1) * stride + (length - 1) * dilation + 1 - size)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return pairs
