"""Correction of the output shapes that a file declares, by those that its model was seen to return."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from runtimes.tensors import TensorSpec
from toolchain.models.onnx_model import OnnxModel, load_ir, save_copy
from toolchain.models.shape_inference import infer_shapes

Shape = tuple[int, ...]
Shapes = Sequence[Shape | None]
"""Of one inference, the shape of each output; None for no tensor."""

Seen = Sequence[tuple[Mapping[str, int], Shapes]]
"""Of each inference, the sizes of the inputs' dynamic dimensions, and the outputs' shapes."""


def correct_outputs(model: OnnxModel, seen: Seen, out: Path) -> OnnxModel:
    """Declare output shapes that hold at all sizes that were seen.

    A size that varied becomes the input's dimension that it followed, or else a dimension of its own. A dynamic
    dimension stays, unless it has the name of an input's dimension, or of one of another output, and another size. In a
    file of ours, the exporter's own name for a dimension gives way to the input's, too.

    Args:
        model: the model, whose file stays as it is if it declares nothing wrong.
        seen: of each inference, the sizes of the inputs' dimensions and the outputs' shapes.
        out: the corrected file to write; the model's own, if that is one of ours.
    """
    ours = model.path == out
    alone = tuple(
        _corrected(spec, [(sizes, shape) for sizes, shapes in seen if (shape := shapes[index]) is not None], ours)
        for index, spec in enumerate(model.outputs)
    )
    outputs = _with_names_of_their_own(alone, seen)
    if outputs == model.outputs:
        return model
    graph = load_ir(model.path)
    if outputs != alone or any(_is_wrong(before, after) for before, after in zip(model.outputs, outputs)):
        for value in [value for node in graph.graph.all_nodes() for value in node.outputs]:
            value.shape = None  # what is believed wrongly about the outputs, is believed of other tensors too
        graph = infer_shapes(graph)
    for value, spec in zip(graph.graph.outputs, outputs):
        value.shape = ir.Shape(spec.shape)
    return save_copy(model, graph, out)


def shapes_of(outputs: Sequence[object]) -> Shapes:
    """List the shapes of outputs; None for a sequence of tensors."""
    return [array.shape if isinstance(array, np.ndarray) else None for array in outputs]


def _is_wrong(before: TensorSpec, after: TensorSpec) -> bool:
    """Tell whether a correction replaced a size; another name for a dynamic dimension changes no meaning."""
    if len(before.shape) != len(after.shape):
        return True
    return any(isinstance(size, int) and size != other for size, other in zip(before.shape, after.shape))


def _corrected(spec: TensorSpec, seen: Sequence[tuple[Mapping[str, int], Shape]], ours: bool) -> TensorSpec:
    """Correct one output; `seen` holds the sizes of the inputs' dimensions, and the output's shape."""
    ranks = {len(shape) for _, shape in seen}
    if len(ranks) != 1:  # no tensor, or a rank that depends on the data
        return spec
    declared: Sequence[int | str | None] = spec.shape if len(spec.shape) in ranks else [None] * ranks.pop()
    return dataclasses.replace(
        spec,
        shape=tuple(
            _corrected_size(size, f"{spec.name}_{axis}", [(sizes, shape[axis]) for sizes, shape in seen], ours)
            for axis, size in enumerate(declared)
        ),
    )


def _corrected_size(
    declared: int | str | None, own: str, seen: Sequence[tuple[Mapping[str, int], int]], ours: bool
) -> int | str:
    found = {size for _, size in seen}
    followed = [name for name in seen[0][0] if all(sizes[name] == size for sizes, size in seen)]
    if isinstance(declared, str) and all(sizes.get(declared, size) == size for sizes, size in seen):
        return followed[0] if ours and len(found) > 1 and followed and declared not in seen[0][0] else declared
    if len(found) == 1 and (isinstance(declared, int) or len(seen) > 1):
        return found.pop()
    return followed[0] if followed else own


def _with_names_of_their_own(outputs: Sequence[TensorSpec], seen: Seen) -> tuple[TensorSpec, ...]:
    """Rename dimensions of outputs that have the name of one before and another size; the inputs' are right already."""
    inputs, first = set(seen[0][0]), dict[str, list[int | None]]()

    def named(spec: TensorSpec, index: int, axis: int) -> int | str:
        size = spec.shape[axis]
        if isinstance(size, int) or size in inputs:
            return size
        found = [shape[axis] if (shape := shapes[index]) and len(shape) > axis else None for _, shapes in seen]
        pairs = zip(found, first.setdefault(size, found))
        differ = any(one != other for one, other in pairs if one is not None and other is not None)
        return f"{spec.name}_{axis}" if differ else size

    return tuple(
        dataclasses.replace(spec, shape=tuple(named(spec, index, axis) for axis in range(len(spec.shape))))
        for index, spec in enumerate(outputs)
    )
