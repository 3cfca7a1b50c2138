"""The matrix (im2col) whose rows a product multiplies with its weights."""

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
    padded, strides, dilations = _padded(node, window, array, padding)
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


def rows(node: ir.Node, shape: Sequence[int], array: Array, wanted: int, seed: int) -> Array:
    """Take some of the rows that a product multiplies its weights with.

    Args:
        node: a Conv, or a product with a matrix.
        shape: the weight's shape.
        array: the operator's first input.
        wanted: the number of rows to take, at random: evenly spaced ones would lie in a few columns of a picture.
        seed: the seed of the choice.

    Returns:
        [rows, groups, k], with k in the weight's order: (channel, position in the window).
    """
    if node.op_type != "Conv":
        matrix = array.reshape(-1, array.shape[-1])
        return matrix[_selected(len(matrix), wanted, seed), None, :]
    window, groups = shape[2:], array.shape[1] // shape[1]
    padded, strides, dilations = _padded(node, window, array, 0)
    spans = tuple((size - 1) * dilation + 1 for size, dilation in zip(window, dilations))
    axes = tuple(range(2, 2 + len(window)))
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, axes)
    every = slice(None)
    steps = [every, every, *(slice(None, None, s) for s in strides), *(slice(None, None, d) for d in dilations)]
    view = view[tuple(steps)]
    view = np.moveaxis(view, 1, 1 + len(window))  # [n, *places, channels, *window]
    places = view.shape[: 1 + len(window)]
    index = np.unravel_index(_selected(int(np.prod(places)), wanted, seed), places)
    taken: Array = view[index]
    return taken.reshape(-1, groups, shape[1] * int(np.prod(window)))


def _selected(n: int, wanted: int, seed: int) -> Array:
    return np.arange(n) if n <= wanted else np.sort(np.random.default_rng(seed).choice(n, wanted, replace=False))


def _padded(
    node: ir.Node, window: Sequence[int], array: Array, padding: float
) -> tuple[Array, Sequence[int], Sequence[int]]:
    """Pad a Conv's input; return it with the strides and dilations."""
    strides = node.attributes.get_ints("strides", [1] * len(window))
    dilations = node.attributes.get_ints("dilations", [1] * len(window))
    pads = _pads(node, array.shape[2:], window, strides, dilations)
    return np.pad(array, [(0, 0), (0, 0), *pads], constant_values=padding), strides, dilations


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
