"""ONNX files: opening, describing and writing them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir

from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.graphs.product_precision import INTEGER

PROTOBUF_LIMIT_BYTES = 1_800_000_000
"""Maximum bytes of weights in one file. Protobuf's limit is 2 GiB, and the graph itself needs part of it."""

CALIBRATION_KEY = "edgewright.calibration"
CORRECTIONS_KEY = "edgewright.corrections"
"""Key of a variant's metadata that lists its corrections, each with the number of operators that it changed."""

_LINK_KEY = "edgewright.link"

_QUANTIZED_OPS = INTEGER | {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX model on disk.

    Attributes:
        opset: the default domain's version.
        sha256: digest of the file and of its external data.
        source_sha256: digest of the model that this one was made from; None for a source.
        kept: nodes that stayed in the source's precision, since ONNX Runtime refused their quantized form.
    """

    path: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    sha256: str
    source_sha256: str | None = None
    kept: tuple[str, ...] = ()


def open_model(path: Path) -> OnnxModel:
    """Open and describe an ONNX file.

    Raises:
        UsageError: the file is missing, is not ONNX, is truncated, lacks its external data, or has an input without a
            declared type or shape, or an input or output that is no tensor of numbers.
    """
    model = load_ir(path)
    graph = model.graph
    initializers = set(graph.initializers)  # before IR version 4, initializers are inputs too
    inputs = [value for value in graph.inputs if value.name not in initializers]
    if not graph.outputs:
        raise UsageError(f"'{path}' is not a usable ONNX model: its graph has no outputs.")
    if not model.opset_imports:  # the opsets come last in the file, so truncation loses them
        raise UsageError(f"'{path}' is not a usable ONNX model: it declares no opset; is it truncated?")
    for value in (*inputs, *graph.outputs):
        _check_holds_numbers(path, "input" if value in inputs else "output", value)
    for value in inputs:
        if value.shape is None or value.dtype is None:
            raise UsageError(
                f"'{path}': input '{value.name}' declares no {'type' if value.dtype is None else 'shape'}."
            )
    return OnnxModel(
        path=path,
        inputs=tuple(_spec(value) for value in inputs),
        outputs=tuple(_spec(value) for value in graph.outputs),
        opset=model.opset_imports.get("", 1),
        sha256=_digest(path, model),
    )


def load_ir(path: Path) -> ir.Model:
    """Parse an ONNX file into a graph that the caller may change; external data stays on disk until it is read.

    Raises:
        UsageError: the file is missing, is not ONNX, is truncated, or lacks its external data.
    """
    if not path.is_file():
        raise UsageError(f"There is no file '{path}'.")
    if path.stat().st_size == 0:  # protobuf parses an empty file as an empty model
        raise UsageError(f"'{path}' is not an ONNX model: it is empty.")
    try:
        model = ir.load(path)
    except Exception as error:  # protobuf and onnx_ir raise many types of exceptions
        raise UsageError(f"'{path}' is not an ONNX model, or is truncated: {_first_line(error)}") from None
    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = _located(path, value.const_value)
    return model


def has_links(model: ir.Model) -> bool:
    """Tell whether a model's weights were found through a link, which ONNX Runtime does not follow."""
    return any(tensor.meta.get(_LINK_KEY) for tensor in _external_tensors(model))


def save_ir(model: ir.Model, path: Path) -> OnnxModel:
    """Write a graph to a file and open it; weights go to `<file>.data` if one protobuf cannot hold them."""
    if weights_bytes(model) > PROTOBUF_LIMIT_BYTES:
        ir.save(model, path, external_data=f"{path.name}.data")
    else:
        ir.save(ir.external_data.load_to_model(model), path)
    return open_model(path)


def save_copy(model: OnnxModel, graph: ir.Model, path: Path) -> OnnxModel:
    """Write a changed graph of a model, whose file is the source unless it is the one that is written."""
    source = model.source_sha256 if model.path == path else model.source_sha256 or model.sha256
    return replace(save_ir(graph, path), source_sha256=source)


def files_of(path: Path, model: ir.Model) -> list[Path]:
    """List a model's file and those of its external data."""
    return sorted({path} | {Path(tensor.path) for tensor in _external_tensors(model)})


def size_bytes(path: Path, model: ir.Model) -> int:
    """Measure a model on disk, including its external data."""
    return sum(file.stat().st_size for file in files_of(path, model))


def weights_bytes(model: ir.Model) -> int:
    """Sum the sizes of all initializers, including those of subgraphs."""
    return sum(tensor.nbytes for tensor in _weights(model))


def custom_opsets(model: ir.Model) -> tuple[str, ...]:
    """List the operator domains that a model uses beyond ONNX's own."""
    return tuple(domain for domain in model.opset_imports if domain not in ("", "ai.onnx"))


def is_quantized(model: ir.Model) -> bool:
    """Tell whether a model has integer arithmetic already."""
    ops = {node.op_type for node in model.graph.all_nodes()}
    return bool(ops & _QUANTIZED_OPS) or any(op.startswith("QLinear") for op in ops)


def precision_of(model: ir.Model) -> str:
    """Find a model's own precision: "int8", "fp16", "bf16" or "fp32", by the type of most weights."""
    if is_quantized(model):
        return "int8"
    return {ir.DataType.FLOAT16: "fp16", ir.DataType.BFLOAT16: "bf16"}.get(weights_dtype(model), "fp32")


def weights_dtype(model: ir.Model) -> ir.DataType:
    """Find the float dtype that most weights have; FLOAT without any."""
    sizes = dict.fromkeys((ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE), 0)
    for tensor in _weights(model):
        if tensor.dtype in sizes:
            sizes[tensor.dtype] += tensor.size
    return max(sizes, key=lambda dtype: sizes[dtype])  # the first of equals


def _check_holds_numbers(path: Path, kind: str, value: ir.Value) -> None:
    if value.type is not None and not isinstance(value.type, ir.TensorType):
        raise UsageError(
            f"'{path}': {kind} '{value.name}' is a sequence or an optional value, and bundles take tensors alone; give "
            "each of its tensors a name of its own, or join them (ConcatFromSequence)."
        )
    if value.dtype == ir.DataType.STRING:
        raise UsageError(
            f"'{path}': {kind} '{value.name}' holds strings, and bundles take numbers alone; cut the model where it "
            "still has numbers, and look the strings up in the application."
        )


def _spec(value: ir.Value) -> TensorSpec:
    dtype = "float32" if value.dtype is None else value.dtype.numpy().name
    if value.shape is None:  # only outputs get here, and only the null runtime needs their shape
        return TensorSpec(str(value.name), dtype, ("unknown",))
    dims: Sequence[object] = [dim if isinstance(dim, int) else dim.value for dim in value.shape]
    shape = tuple(
        # Some exporters write -1, 0 or "?" for an unknown dimension; two of them need not be equal.
        dim
        if isinstance(dim, int) and dim > 0
        else str(dim)
        if isinstance(dim, str) and dim.strip("?")
        else f"{value.name}_{axis}"
        for axis, dim in enumerate(dims)
    )
    return TensorSpec(str(value.name), dtype, shape)


def _weights(model: ir.Model) -> list[ir.TensorProtocol]:
    values = (value for graph in model.graphs() for value in graph.initializers.values())
    return [value.const_value for value in values if value.const_value is not None]


def _located(path: Path, tensor: ir.ExternalTensor) -> ir.ExternalTensor:
    """Find a tensor's file, also through the link of a hub's cache: snapshots/REVISION/FILE -> blobs/DIGEST.

    Raises:
        UsageError: the file is missing, or a link leads anywhere else.
    """
    file, folder = Path(tensor.path), path.parent.resolve()
    if not file.is_file():
        raise UsageError(f"'{path}' keeps weights in '{tensor.location}', which is not beside it; copy that file too.")
    target = file.resolve()
    if target.is_relative_to(folder):
        return tensor
    if target.parent.name != "blobs" or target.parents[1] not in folder.parents:
        raise UsageError(
            f"'{path}' keeps weights in '{tensor.location}', a link to '{target}'; copy that file beside it."
        )
    found = ir.ExternalTensor(
        target.name,
        tensor.offset,
        tensor.length,
        tensor.dtype,
        shape=tensor.shape,
        name=tensor.name or "",
        base_dir=target.parent,
    )
    found.meta[_LINK_KEY] = True
    return found


def _external_tensors(model: ir.Model) -> list[ir.ExternalTensor]:
    return [tensor for tensor in _weights(model) if isinstance(tensor, ir.ExternalTensor)]


def _digest(path: Path, model: ir.Model) -> str:
    digest = hashlib.sha256()
    for file in files_of(path, model):
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
