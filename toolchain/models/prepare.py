"""Preparation of a float model for quantizers: folded constants, opset 13 or newer, unique names."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import onnx_ir as ir
import onnxruntime as ort
from onnx_ir.passes.common import (
    LiftConstantsToInitializersPass,
    LiftSubgraphInitializersToMainGraphPass,
    NameFixPass,
    RemoveInitializersFromInputsPass,
)

from runtimes.errors import UsageError
from toolchain.graphs.edits import Edits, deduplicate
from toolchain.graphs.float_width import compute_in_float32, has_dtype
from toolchain.graphs.gemm import normalize_gemms
from toolchain.models import opset, ort_session
from toolchain.models.onnx_model import OnnxModel, load_ir, weights_bytes
from toolchain.models.shape_inference import infer_shapes
from toolchain.output_folder import disk_full

MIN_OPSET = 13  # the first with DequantizeLinear's `axis`, which scales per channel need


def prepare(model: OnnxModel) -> ir.Model:
    """Fold batch norms and constants into weights, and give every node and value a unique name.

    ONNX Runtime's basic optimization level folds: it stays within ONNX's operators, and leaves no constant that the
    runtime would fold later under another name.

    Returns:
        A graph that computes the same as the model.

    Raises:
        UsageError: ONNX Runtime cannot load the model (the message gives its reason), or the opset cannot be raised
            to 13.
    """
    graph = opset.at_least(_fold(model), MIN_OPSET, "per-channel int8 needs")
    for step in (
        RemoveInitializersFromInputsPass(),
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        LiftSubgraphInitializersToMainGraphPass(),
        NameFixPass(),
    ):
        graph = step(graph).model
    if not all(map(_is_described, (value for node in graph.graph.all_nodes() for value in node.outputs))):
        graph = infer_shapes(graph)  # mostly needless: ONNX Runtime writes inferred shapes
    graph = deduplicate(normalize_gemms(graph))  # folding duplicates constants that several nodes share
    _name_nodes(graph)
    _name_values(graph)
    return graph


def _fold(model: OnnxModel) -> ir.Model:
    """Fold constants with ONNX Runtime, in float32: its float16 kernels are few, and quantizers change float32."""
    source: ir.Model | Path = model.path
    graph = load_ir(model.path)
    if has_dtype(graph, ir.DataType.FLOAT16):
        compute_in_float32(graph, ir.DataType.FLOAT16)
        source = graph
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        path = Path(folder, "folded.onnx")
        options.optimized_model_filepath = str(path)
        # Otherwise the copy would refer to external weights that lie beside the source, not beside the copy.
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "folded.data")
        options.add_session_config_entry("session.disable_prepacking", "1")  # the session runs nothing
        try:
            ort_session.session(source, options)
        except UsageError as error:
            free = shutil.disk_usage(folder).free
            if free < weights_bytes(load_ir(model.path)):  # ONNX Runtime's error does not mention a full disk
                raise disk_full(Path(folder).parent) from error
            raise
        return ir.external_data.load_to_model(load_ir(path))  # the folder is temporary


def _is_described(value: ir.Value) -> bool:
    return not value.name or (value.shape is not None and value.dtype is not None)


def _name_values(graph: ir.Model) -> None:
    """Make values' names unique across subgraphs, since ranges go by name and branches of an If may share names."""
    seen: set[str] = set()
    edits = Edits(graph.graph)
    for inner in graph.graphs():
        for value in [*inner.inputs, *(value for node in inner for value in node.outputs)]:
            if value.name and value.name in seen:
                value.name = edits.fresh(value.name)
            seen.add(str(value.name))


def _name_nodes(graph: ir.Model) -> None:
    """Make nodes' names unique across subgraphs, since recipes name the nodes that they keep."""
    seen: set[str] = set()
    for index, node in enumerate(graph.graph.all_nodes()):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{index}"
        seen.add(node.name)
