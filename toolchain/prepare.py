"""Make a float model ready for a quantizer: constants folded, an opset that can say per-channel, names."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx_ir as ir
import onnxruntime as ort
from onnx_ir.passes.common import LiftConstantsToInitializersPass, NameFixPass, ShapeInferencePass

from runtimes.errors import UsageError
from toolchain import opset
from toolchain.model import OnnxModel, load_ir

MIN_OPSET = 13  # DequantizeLinear has `axis` from 13 on; below, a per-channel file is invalid


def prepare(model: OnnxModel) -> ir.Model:
    """A graph that computes the same, with batch norms and constants folded into weights.

    ONNX Runtime's own basic level does the folding: it stays within ONNX's operators, and leaves no constant
    that the runtime would fold later under other names.

    Raises:
        UsageError: ONNX Runtime cannot load the model (its reason is passed on), or its opset cannot be
            raised to 13.
    """
    graph = opset.at_least(_fold(model), MIN_OPSET, "per-channel int8 needs")
    for step in (
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        NameFixPass(),
        ShapeInferencePass(),
    ):
        graph = step(graph).model
    _name_nodes(graph)
    return graph


def _fold(model: OnnxModel) -> ir.Model:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        path = Path(folder, "folded.onnx")
        options.optimized_model_filepath = str(path)
        try:
            ort.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
            raise UsageError(f"ONNX Runtime cannot load '{model.path}': {str(error).strip()[:500]}") from error
        folded = load_ir(path)
        for value in folded.graph.initializers.values():  # the folder goes away, so nothing may stay on disk
            if isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = ir.tensor(value.const_value.numpy().copy(), name=value.name)
    return folded


def _name_nodes(graph: ir.Model) -> None:
    """Recipes name the nodes they keep, so every node has a name, and no two the same."""
    seen: set[str] = set()
    for index, node in enumerate(graph.graph.all_nodes()):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{index}"
        seen.add(node.name)
