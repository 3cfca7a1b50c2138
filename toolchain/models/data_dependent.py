"""Outputs whose sizes depend on the data, as those of a detector that has NonMaxSuppression inside."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

_COUNTING_OPS = frozenset({"NonMaxSuppression", "NonZero", "Unique", "Compress"})


def data_dependent_outputs(model: ir.Model) -> Mapping[str, str]:
    """Find the outputs whose sizes do not follow from those of the inputs.

    Returns:
        By the output's name, the operator that decides how many elements there are.
    """
    graph = model.graph
    known = {dim.value for value in graph.inputs for dim in value.shape or () if isinstance(dim, ir.SymbolicDim)}
    found: dict[str, str] = {}
    for output in graph.outputs:
        is_open = output.shape is None or any(
            isinstance(dim, ir.SymbolicDim) and dim.value not in known for dim in output.shape
        )
        counting = _counting_above(output) if is_open else None
        if counting is not None:
            found[str(output.name)] = counting
    return found


def _counting_above(output: ir.Value) -> str | None:
    """Find the nearest operator before a value that counts."""
    front, seen = [output], {output}
    while front:
        producers = [node for value in front if (node := value.producer()) is not None]
        counting = next((node.op_type for node in producers if node.op_type in _COUNTING_OPS), None)
        if counting is not None:
            return counting
        front = [value for node in producers for value in node.inputs if value is not None and value not in seen]
        front = list(dict.fromkeys(front))
        seen.update(front)
    return None
