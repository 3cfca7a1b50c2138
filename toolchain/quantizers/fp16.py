"""fp16 arithmetic through onnxconverter-common, or through `_half` if that fails; inputs and outputs stay float32."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnxconverter_common import float16

from toolchain.graphs.sequences import has_sequence, is_sequence
from toolchain.graphs.value_range import Range
from toolchain.graphs.weights import RECURRENT
from toolchain.quantizers._half import compute_in, with_writers
from toolchain.recipes.recipe import Recipe

COMPUTES_IN = "fp16"
NEEDS_RANGES = "optional"  # without samples, overflows of activations go unnoticed
TAKES_SCHEME = False
GOLDEN_TOLERANCE = 1e-2

HALF = ir.DataType.FLOAT16

_LARGEST = 65504.0  # the largest finite fp16 number
_SMALLEST = 2.0**-24  # the smallest positive one, a subnormal


def tensors(model: ir.Model, recipe: Recipe) -> tuple[str, ...]:
    """Name every float32 input and activation, also of subgraphs; those beyond fp16's range stay in float32."""
    floats = (value for value in _values(model) if value.dtype == ir.DataType.FLOAT and not is_sequence(value))
    return tuple(str(value.name) for value in floats if value.name)


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Convert to fp16, except nodes to keep and nodes with an input, output or constant that fp16 cannot hold."""
    # ONNX Runtime's CPU provider has no fp16 kernels for recurrent operators.
    recurrent = (str(node.name) for node in model.graph.all_nodes() if node.op_type in RECURRENT)
    sequences = (str(node.name) for node in model.graph.all_nodes() if has_sequence(node))
    blocked = sorted(
        {
            *with_writers(model, recipe.keep),
            *sequences,
            *recurrent,
            *_around_overflows(model, ranges),
            *_around_large_constants(model),
        }
    )
    converted = _convert(ir.to_proto(model), blocked)
    if converted is None:
        return compute_in(model, HALF, blocked)
    return _without_round_trips(ir.from_proto(converted))


def half_nodes(model: ir.Model, ranges: Mapping[str, Range]) -> list[ir.Node]:
    """List the main graph's nodes that compute in fp16: those that write floats, have no subgraph, and have no input,
    output or constant beyond fp16's range.
    """
    beyond = _around_overflows(model, ranges) | _around_large_constants(model)
    return [
        node
        for node in model.graph
        if not node.domain
        and node.name not in beyond
        and node.op_type not in {*RECURRENT, "Cast"}
        and node.outputs[0].dtype == ir.DataType.FLOAT
        and not has_sequence(node)
        and all(a.type not in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values())
    ]


def _convert(proto: onnx.ModelProto, blocked: Sequence[str]) -> onnx.ModelProto | None:
    """Convert with onnxconverter-common; None if it fails or its result is invalid."""
    # onnxconverter-common 1.16 fails on blocked nodes that write a graph output, Gemm with a constant bias, and
    # subgraphs.
    dtypes = [output.type.tensor_type.elem_type for output in proto.graph.output]
    constants = {initializer.name for initializer in proto.graph.initializer}
    activations = [info for info in proto.graph.value_info if info.name not in constants]
    del proto.graph.value_info[:]  # it converts listed constants even if a blocked node reads them
    proto.graph.value_info.extend(activations)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of constants that it raises to fp16's smallest
            converted: onnx.ModelProto = float16.convert_float_to_float16(
                proto,
                min_positive_val=_SMALLEST,
                max_finite_val=_LARGEST,  # the default clamps constants at 10,000
                keep_io_types=True,
                node_block_list=list(blocked),
            )
        onnx.checker.check_model(converted, full_check=True)
    except Exception:  # it raises ValueErrors and KeyErrors, and the checker its own errors
        return None
    return converted if [output.type.tensor_type.elem_type for output in converted.graph.output] == dtypes else None


def _around_overflows(model: ir.Model, ranges: Mapping[str, Range]) -> set[str]:
    """Name the writers and readers of values beyond fp16's range, since a Cast between the two would overflow too."""
    nodes: set[str] = set()
    for value in _values(model):
        observed = ranges.get(str(value.name))
        if observed is not None and max(-observed.low, observed.high) > _LARGEST:
            nodes.update(str(node.name) for node in (value.producer(), *(use.node for use in value.uses())) if node)
    return nodes


def _values(model: ir.Model) -> Iterator[ir.Value]:
    for graph in model.graphs():
        yield from graph.inputs
        for node in graph:
            yield from node.outputs


def _around_large_constants(model: ir.Model) -> set[str]:
    """Name the nodes with a finite constant beyond fp16's range, which the converter would clamp."""
    large = {value for value in model.graph.initializers.values() if _is_large(value.const_value)}
    return {
        str(node.name)
        for node in model.graph.all_nodes()
        if large.intersection(node.inputs)
        or any(_is_large(a.as_tensor()) for a in node.attributes.values() if a.type == ir.AttributeType.TENSOR)
    }


def _is_large(tensor: ir.TensorProtocol | None) -> bool:
    if tensor is None or tensor.dtype != ir.DataType.FLOAT:
        return False
    array = tensor.numpy()
    return bool((np.isfinite(array) & (np.abs(array) > _LARGEST)).any())


def _without_round_trips(model: ir.Model) -> ir.Model:
    """Skip the Casts to fp16 and back that the converter leaves between two blocked nodes."""
    for node in list(model.graph):
        narrow = node.inputs[0].producer() if node.op_type == "Cast" and node.inputs[0] else None
        if narrow is None or narrow.op_type != "Cast" or node.outputs[0].is_graph_output():
            continue
        source = narrow.inputs[0]
        if source is not None and source.dtype == node.outputs[0].dtype == ir.DataType.FLOAT:
            node.outputs[0].replace_all_uses_with(source)
    return RemoveUnusedNodesPass()(model).model
