"""fp16 arithmetic, through onnxconverter-common, or our own pass where that fails; float32 goes in and comes out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import onnx
import onnx_ir as ir
from onnxconverter_common import float16

from toolchain.calibration.table import Range
from toolchain.quantizers._half import compute_in
from toolchain.recipe import Recipe

RANGES_ARE_OPTIONAL = True  # without samples, nothing is known to overflow

_LARGEST = 65504.0


def tensors(model: ir.Model, recipe: Recipe) -> tuple[str, ...]:
    """Every float32 activation: what leaves fp16's range stays in float32."""
    return tuple(str(value.name) for node in model.graph for value in node.outputs if value.dtype == ir.DataType.FLOAT)


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Convert to fp16, but for the nodes to keep and those whose inputs or outputs fp16 cannot hold."""
    blocked = sorted({*recipe.keep, *_around_overflows(model, ranges)})
    converted = _convert(ir.to_proto(model), blocked)
    return compute_in(model, ir.DataType.FLOAT16, blocked) if converted is None else ir.from_proto(converted)


def _convert(proto: onnx.ModelProto, blocked: Sequence[str]) -> onnx.ModelProto | None:
    """The converter's result; None where it fails or writes an invalid file, as it does for blocked nodes that
    write an output of the graph, Gemm with a constant bias, and subgraphs.
    """
    dtypes = [output.type.tensor_type.elem_type for output in proto.graph.output]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every weight that it rounds to zero
            converted: onnx.ModelProto = float16.convert_float_to_float16(
                proto, keep_io_types=True, node_block_list=list(blocked)
            )
        onnx.checker.check_model(converted, full_check=True)
    except Exception:  # it raises bare ValueErrors and KeyErrors, the checker its own
        return None
    return converted if [output.type.tensor_type.elem_type for output in converted.graph.output] == dtypes else None


def _around_overflows(model: ir.Model, ranges: Mapping[str, Range]) -> set[str]:
    """Who writes what fp16 cannot hold, and who reads it: a Cast between the two would overflow just as well."""
    nodes: set[str] = set()
    for node in model.graph:
        for value in node.outputs:
            observed = ranges.get(str(value.name))
            if observed is not None and max(-observed.low, observed.high) > _LARGEST:
                nodes.update(str(reader.name) for reader in (node, *(use.node for use in value.uses())))
    return nodes
