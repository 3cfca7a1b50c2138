"""Exporter of `.onnx`, which uses the file itself once ONNX Runtime has loaded it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir
import onnxruntime as ort
from onnx_ir.passes.common import ShapeInferencePass

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.models.onnx_model import OnnxModel, load_ir, open_model, save_ir


def export(
    source: str, inputs: Sequence[TensorSpec], out: Path, samples: Mapping[str, Array] | None = None
) -> OnnxModel:
    """Open an ONNX file.

    Args:
        source: the file.
        inputs: specs that replace wrong shapes in the file; may be empty.
        out: the corrected file to write, if a spec differs from the file.
        samples: unused, since nothing is exported.

    Raises:
        UsageError: the file is not usable ONNX, ONNX Runtime refuses it, or a spec names an input that it lacks.
    """
    model = open_model(Path(source))
    corrections = {spec.name: spec for spec in inputs}
    unknown = sorted(set(corrections) - {spec.name for spec in model.inputs})
    if unknown:
        raise UsageError(
            f"'{source}' has no input {', '.join(map(repr, unknown))}; it takes {', '.join(map(str, model.inputs))}."
        )
    if any(corrections.get(spec.name, spec) != spec for spec in model.inputs):
        model = dataclasses.replace(_redeclare(Path(source), corrections, out), source_sha256=model.sha256)
    _check_loads(model, source)
    return model


def _redeclare(source: Path, corrections: Mapping[str, TensorSpec], out: Path) -> OnnxModel:
    model = load_ir(source)
    for value in model.graph.inputs:
        spec = corrections.get(str(value.name))
        if spec is not None:
            if value.dtype is not None and value.dtype.numpy().name != spec.dtype:
                raise UsageError(f"'{source}': input '{value.name}' is {value.dtype.numpy().name}, not {spec.dtype}.")
            value.shape = ir.Shape(spec.shape)
    for node in model.graph.all_nodes():
        for value in node.outputs:
            value.shape = None  # it was inferred from the wrong declaration
    return save_ir(ShapeInferencePass()(model).model, out)


def _check_loads(model: OnnxModel, source: str) -> None:
    options = ort.SessionOptions()
    # ONNX Runtime checks the graph with optimization or without.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # errors arrive as exceptions
    try:
        ort.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises RuntimeErrors and a dozen pybind classes
        raise UsageError(f"ONNX Runtime cannot load '{source}': {str(error).strip()[:500]}") from error
