"""Scaling of channels by changing the constants of the operators that write and read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from runtimes.tensors import Array
from toolchain.graphs.edits import Edits, array_of, is_constant

Axis = tuple[ir.Value, int]
"""A value's axis of channels: 1, as for Conv, or the last, as for MatMul."""


def layer_axes(node: ir.Node) -> tuple[int, int] | None:
    """Find the channel axes of an operator's input and output, if its constants can scale them independently.

    These are the operators that `scale_constants` changes: Conv, Gemm and MatMul with an unshared constant matrix,
    LayerNormalization, and a Mul with a constant.

    Returns:
        The axes of the input and the output; None for other operators.
    """
    axes = _LAYER_AXES.get(node.op_type)
    if axes is None or node.domain:
        return None
    constants = [value for value in node.inputs[1:] if value is not None]
    if node.op_type == "Mul":
        return _diagonal(node)
    shape = node.outputs[0].shape
    if shape is None or not constants or not all(is_constant(value) for value in constants):
        return None
    if constants[0].dtype != ir.DataType.FLOAT or constants[0].is_graph_output():
        return None
    # A shared matrix would have to be stored twice.
    if node.op_type != "LayerNormalization" and len(constants[0].uses()) > 1:
        return None
    rank, weight = len(shape), constants[0].shape
    if node.op_type == "Gemm" and node.attributes.get_int("transA", 0) == 1:
        return None
    if node.op_type == "MatMul" and (weight is None or len(weight) != 2):
        return None
    if node.op_type == "LayerNormalization" and node.attributes.get_int("axis", -1) not in (-1, rank - 1):
        return None
    return tuple(axis % rank for axis in axes)  # type: ignore[return-value]  # two in, two out


_LAYER_AXES = {"Conv": (1, 1), "Gemm": (1, 1), "MatMul": (-1, -1), "LayerNormalization": (-1, -1), "Mul": (0, 0)}


def _diagonal(node: ir.Node) -> tuple[int, int] | None:
    """Find the axis along which a Mul's constant varies, if there is exactly one."""
    constants = [value for value in node.inputs if is_constant(value)]
    others = [value for value in node.inputs if not is_constant(value)]
    shape = node.outputs[0].shape
    if len(constants) != 1 or constants[0] is None or constants[0].shape is None:
        return None
    if shape is None or others[0] is None or others[0].shape != shape:
        return None
    sizes = [1] * (len(shape) - len(constants[0].shape)) + list(constants[0].shape)
    varying = [axis for axis, size in enumerate(sizes) if size != 1]
    return (varying[0], varying[0]) if len(varying) == 1 and varying[0] in (1, len(shape) - 1) else None


def scale_constants(model: ir.Model, classes: Mapping[Axis, Array], scales: Array) -> int:
    """Divide the channels of every class by its scale, in the constants of the operators that write and read them.

    Args:
        model: changed in place; its main graph's operators are scaled.
        classes: per axis of a value, the class of each channel: int [channels].
        scales: positive, float64 [classes]; 1 for classes that are not free.

    Returns:
        The number of operators whose constants changed.
    """
    edits, changed = Edits(model.graph), 0
    for node in list(model.graph):
        constants = _scaled(node, lambda value, axis: _scales_of(value, axis, classes, scales))
        for index, array in constants.items():
            name = str(node.inputs[index].name)  # type: ignore[union-attr]  # it held a constant
            node.replace_input_with(index, edits.constant(f"{name}.scaled", array.astype(np.float32)))
        changed += bool(constants)
    RemoveUnusedNodesPass()(model)
    return changed


def _scales_of(value: ir.Value | None, axis: int, classes: Mapping[Axis, Array], scales: Array) -> Array:
    """Look up the scales of the channels along an axis; a single 1 if they have none."""
    ids = None if value is None else classes.get((value, axis))
    return np.ones(1) if ids is None else scales[ids]


def _scaled(node: ir.Node, scales: Callable[[ir.Value | None, int], Array]) -> dict[int, Array]:
    """Compute the constants that scales change, by input."""
    axes, output = layer_axes(node), node.outputs[0]
    if axes is None:
        return _scaled_sum(node, scales) if node.op_type in ("Add", "Sub") and not node.domain else {}
    source = next(value for value in node.inputs if not is_constant(value))
    into, out = scales(source, axes[0]), scales(output, axes[1])
    if (into == 1).all() and (out == 1).all():
        return {}
    if node.op_type == "Mul":
        index = next(index for index, value in enumerate(node.inputs) if is_constant(value))
        return {index: array_of(node.inputs[index]) * _along(axes[0], output, into / out)}
    arrays = {index: array_of(value) for index, value in enumerate(node.inputs) if is_constant(value)}
    vectors = {index: array / out for index, array in arrays.items() if index > 1}
    if node.op_type == "LayerNormalization":
        return {1: arrays[1] / out, **vectors}
    if node.op_type == "Conv":
        return {1: _scaled_kernel(arrays[1], into, out), **vectors}
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", 0) == 1
    rows, columns = (1 / out, into) if transposed else (into, 1 / out)
    return {1: arrays[1] * rows[:, None] * columns, **vectors}


def _scaled_kernel(kernel: Array, into: Array, out: Array) -> Array:
    """Scale a Conv's [outputs, inputs per group, ...], whose inputs lie group after group."""
    groups = max(len(into) // kernel.shape[1], 1)
    per_output = np.repeat(into.reshape(groups, -1), kernel.shape[0] // groups, axis=0)
    matrix = per_output / out.reshape(-1, 1)
    return kernel * matrix.reshape(*matrix.shape, *[1] * (kernel.ndim - 2))


def _scaled_sum(node: ir.Node, scales: Callable[[ir.Value | None, int], Array]) -> dict[int, Array]:
    output = node.outputs[0]
    arrays = {index: array_of(value) for index, value in enumerate(node.inputs) if is_constant(value)}
    changed: dict[int, Array] = {}
    for axis in dict.fromkeys((1, len(output.shape) - 1)) if output.shape is not None else ():
        s = scales(output, axis)
        if (s != 1).any():
            changed = {index: array / _along(axis, output, s) for index, array in {**arrays, **changed}.items()}
    return changed


def _along(axis: int, value: ir.Value, s: Array) -> Array:
    """Reshape a vector so that it broadcasts along one axis of a value."""
    assert value.shape is not None
    return s.reshape(-1, *[1] * (len(value.shape) - 1 - axis))
