"""Count of a model's work, from the nodes that one inference executes.

An execution shows the shapes that depend on data, the branch of an If, and the iterations of a Loop, which shape
inference cannot know.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

import onnx_ir as ir

from runtimes.bundles.work import Work
from runtimes.tensors import Array
from toolchain.analysis.count_kernels import count_kernels
from toolchain.analysis.executed_nodes import executed_nodes
from toolchain.analysis.macs import Shapes, macs
from toolchain.graphs.product_precision import INTEGER, precision_of
from toolchain.models.onnx_model import OnnxModel, load_ir

_LOOKUPS = frozenset({"Gather", "GatherElements", "GatherND", "Slice"})  # these read only as much as they write
_DTYPES = {
    ir.DataType.FLOAT: "fp32",
    ir.DataType.FLOAT16: "fp16",
    ir.DataType.BFLOAT16: "bf16",
    **dict.fromkeys((ir.DataType.INT8, ir.DataType.UINT8), "int8"),
}
_FLOAT16 = {"float16": "fp16", "bfloat16": "bf16"}  # ONNX Runtime's names
_HALVES = ("fp16", "bf16")

_Sources = Mapping[ir.Value, Sequence[ir.Value]]


def work_of(model: OnnxModel, feeds: Mapping[str, Array]) -> Work:
    """Count the operations and bytes of one inference.

    The graph's float32 nodes count as fp32; `computed_in` converts the result for a runtime that differs.

    Args:
        model: the ONNX file.
        feeds: one inference's inputs.

    Raises:
        UsageError: ONNX Runtime cannot run the model here (bf16 arithmetic), or its steps are too many to record.
    """
    graph = ir.external_data.load_to_model(load_ir(model.path))
    nodes: dict[str, ir.Node] = {}
    for number, node in enumerate(graph.graph.all_nodes()):
        node.name = f"n{number}"
        nodes[node.name] = node
    operations: Counter[str] = Counter()
    uncounted: Counter[str] = Counter()
    read: dict[ir.Value, int] = {}
    sources = _sources(graph.graph)
    executed, tensor_bytes = executed_nodes(graph, feeds, fused=False)
    for each in executed:
        known = nodes.get(each.name)  # None for nodes of a function, which ONNX Runtime inlines
        inputs, outputs = ([tensor.shape for tensor in end] for end in (each.inputs, each.outputs))
        count = macs(each.op, known.domain if known is not None else None, inputs, outputs)
        if count is None:
            uncounted[each.op] += 1
        elif count:
            operations[_precision(known, each.op, each.inputs[0].dtype)] += 2 * count
        if known is not None:
            _read(known, outputs, sources, read)
    weights: Counter[str] = Counter()
    for value, size in read.items():
        weights[_DTYPES.get(_tensor(value).dtype, "other")] += size
    return Work(
        dict(sorted(operations.items())),
        dict(sorted(weights.items())),
        tensor_bytes,
        tuple(f"{op} ({n})" for op, n in sorted(uncounted.items())),
        # ONNX Runtime computes halves in float32 on x86, and dies of some graphs of them that it fuses.
        count_kernels(graph, feeds) if operations.keys().isdisjoint(_HALVES) else (),
    )


def computed_in(work: Work, floats: str) -> Work:
    """Convert work to a runtime that computes float32 nodes in the precision `floats`."""
    if floats == "fp32":
        return work
    weights = dict(work.weight_bytes)
    if floats in _HALVES and "fp32" in weights:
        weights[floats] = weights.get(floats, 0) + weights.pop("fp32") // 2
    operations = dict(work.operations)
    if "fp32" in operations:
        operations[floats] = operations.get(floats, 0) + operations.pop("fp32")
    kernels = tuple(
        dataclasses.replace(kernel, precision=floats) if kernel.precision == "fp32" else kernel
        for kernel in work.kernels
    )
    return dataclasses.replace(work, operations=operations, weight_bytes=weights, kernels=kernels)


def _precision(node: ir.Node | None, op: str, dtype: str) -> str:
    if node is not None:
        return precision_of(node, "fp32")
    return "int8" if op in INTEGER else _FLOAT16.get(dtype, "fp32")


def _sources(graph: ir.Graph) -> _Sources:
    """Find the stored constants behind each value that depends on no input.

    Runtimes compute such a value once, when they load the model: weights from their stored form.
    """
    found: dict[ir.Value, tuple[ir.Value, ...]] = {}
    for inner in (graph, *graph.subgraphs()):
        found.update({value: (value,) for value in inner.initializers.values() if _constant(value) is not None})
    for node in graph.all_nodes():
        inputs = [value for value in node.inputs if value is not None]
        if _constant(node.outputs[0]) is not None:
            found[node.outputs[0]] = (node.outputs[0],)
        elif inputs and all(value in found for value in inputs):
            together = tuple(dict.fromkeys(source for value in inputs for source in found[value]))
            found.update(dict.fromkeys(node.outputs, together))
    return found


def _read(node: ir.Node, outputs: Shapes, sources: _Sources, read: dict[ir.Value, int]) -> None:
    """Add the constants that a node reads, each of them once."""
    if node.op_type == "Shape" or node.outputs[0] in sources:
        return
    for value in node.inputs:
        known = sources.get(value, ()) if value is not None else ()
        most = max((_tensor(source).size for source in known), default=0)
        picks = node.op_type in _LOOKUPS and value is node.inputs[0] and most > 0
        share = min(1.0, prod(outputs[0]) / most) if picks else 1.0
        for source in known:
            size = _tensor(source).nbytes
            read[source] = min(size, read.get(source, 0) + math.ceil(size * share))


def _constant(value: ir.Value) -> ir.TensorProtocol | None:
    """Find the tensor of a value that is known before the model runs."""
    producer = value.producer()
    if producer is not None and producer.op_type == "Constant" and "value" in producer.attributes:
        return producer.attributes["value"].as_tensor()
    return value.const_value if value.is_initializer() else None


def _tensor(value: ir.Value) -> ir.TensorProtocol:
    tensor = _constant(value)
    assert tensor is not None
    return tensor
