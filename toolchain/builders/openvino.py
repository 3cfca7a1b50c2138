"""Builder of OpenVINO, which reads ONNX, so that its artifact is the model in one file.

OpenVINO's own format (IR) takes two files and saves little time, since most of the load time is compilation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
import onnx_ir as ir

from runtimes.backends import openvino
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import BackendError, UnsupportedError
from runtimes.tensors import TensorSpec
from toolchain.builders import _onnx_file
from toolchain.builders._openvino_faults import avoid_faults
from toolchain.engines.build_target import BuildTarget
from toolchain.graphs.edits import Edits, array_of, is_constant
from toolchain.models.onnx_model import OnnxModel
from toolchain.recipes.recipe import Recipe

FLOAT_OPTIONS = {"bf16": {"inference_precision": "bf16"}, "fp16": {"inference_precision": "f16"}}

# With f32 set, the CPU plug-in still computes the graph's bf16 nodes in bf16, and its fp16 nodes in float32 (2026.4).
TYPED = ("bf16",)
REFUSED: Mapping[str, str] = {}
USES_THREADS = True
EACH_SHAPE: Mapping[str, str] = {"static_shapes": "each"}
FIT_INT8 = avoid_faults

_OPEN_STFT = "Shape of signal input must be static"  # in OpenVINO's text, 2026.4
_LENGTH = 16_000  # of one second of speech


def versions() -> Mapping[str, str]:
    """Name the packages that make the artifact."""
    return {"onnx": str(onnx.__version__), "openvino": openvino.version()}


def build(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, target: BuildTarget | None = None
) -> Artifact:
    """Write `model.onnx` into the folder `out`.

    Raises:
        UnsupportedError: one protobuf cannot hold the model, or it has an STFT of dynamic sizes.
        BackendError: OpenVINO cannot convert the model; the message names the operators.
    """
    artifact = _onnx_file.write(model, recipe, settings, out, "openvino", versions(), _with_own_parameters)
    try:
        openvino.read(artifact.file.read_bytes(), artifact.file.name)
    except BackendError as error:
        if _OPEN_STFT not in str(error):
            raise
        fixed = " ".join(f"--input '{_at_fixed_sizes(spec)}'" for spec in model.inputs if not spec.is_static)
        raise UnsupportedError(
            f"OpenVINO computes STFT of known sizes alone; give a fixed batch and length, as in {fixed}, or compute "
            "the spectrum before the model."
        ) from error
    return artifact


def _at_fixed_sizes(spec: TensorSpec) -> TensorSpec:
    """Write an input at a batch of 1, and at a length where the user has to give another."""
    sizes = {name: 1 if axis == 0 else _LENGTH for axis, name in enumerate(spec.shape) if isinstance(name, str)}
    return dataclasses.replace(spec, shape=spec.resolve(sizes))


def tunings(threads: int) -> Iterator[Mapping[str, str]]:
    """Yield sets of options that make some models faster."""
    if threads > 1:
        yield {"cpu_pinning": "0"}


def _with_own_parameters(model: ir.Model) -> None:
    """Give each tensor's Q/DQ nodes scales and zero points of their own.

    OpenVINO moves dequantizations across other operators, and changes zero points on the way: those of other tensors
    that share the constant, too (errors of 0.3 to 90 with 2026.4).
    """
    edits, owners, copies = Edits(model.graph), dict[ir.Value, ir.Value](), dict[tuple[ir.Value, ir.Value], ir.Value]()
    for node in model.graph.all_nodes():
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.inputs[0] is None:
            continue
        source = node.inputs[0].producer()
        tensor = source.inputs[0] if source is not None and source.op_type == "QuantizeLinear" else node.inputs[0]
        for index, value in enumerate(node.inputs):
            if index == 0 or value is None or tensor is None or not is_constant(value):
                continue
            if owners.setdefault(value, tensor) is not tensor:
                if (value, tensor) not in copies:
                    copies[value, tensor] = edits.constant(f"{value.name}.own", array_of(value))
                node.replace_input_with(index, copies[value, tensor])
