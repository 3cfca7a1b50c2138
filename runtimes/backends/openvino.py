"""OpenVINO, on its CPU plug-in. It reads the same ONNX files that ONNX Runtime does."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

# Importing openvino reports that to its maker, with a thread that is alive while we time; where the package that
# reports is missing, a stub takes its place. Who imported it before us has settled the matter.
if "openvino_telemetry" in sys.modules or TYPE_CHECKING:
    import openvino as ov
else:
    sys.modules["openvino_telemetry"] = None
    try:
        import openvino as ov
    finally:
        del sys.modules["openvino_telemetry"]

from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.errors import BackendError, UsageError
from runtimes.session import Session
from runtimes.tensors import Array, Feeds

_PRECISIONS = ("f32", "bf16", "f16")
_PLACES = re.compile(r"^(Exception from |Check '.*' failed at |FrontEnd API failed with |While validating |\s*$)")


def version() -> str:
    """OpenVINO's version."""
    return str(ov.__version__).partition("-")[0]


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an ONNX model.

    Settings: `threads`; options `inference_precision` (f32, bf16, f16: what it computes in where the graph says
    float; f32 if not given), `cpu_pinning` (0, 1) and `cache_dir` (a folder of its compiled models, which load faster).

    Raises:
        BackendError: OpenVINO refuses the model; its own text is passed on.
        UsageError: an option is unknown or has an unknown value.
    """
    config = _config(artifact.settings)
    graph = read(model, str(artifact.file))
    try:
        compiled = ov.Core().compile_model(graph, "CPU", config)
        inputs = {spec.name: compiled.input(spec.name) for spec in artifact.inputs}
        outputs = {spec.name: compiled.output(spec.name) for spec in artifact.outputs}
    except Exception as error:  # OpenVINO raises bare RuntimeErrors and pybind classes
        raise BackendError(f"OpenVINO cannot load '{artifact.file}': {_reason(error)}") from error
    return _OpenVinoSession(artifact, compiled.create_infer_request(), inputs, outputs)


def read(model: bytes, name: str) -> ov.Model:
    """Convert an ONNX model to OpenVINO's operators; `name` is what an error calls it.

    Raises:
        BackendError: OpenVINO cannot; its own text is passed on.
    """
    try:
        return ov.Core().read_model(model)
    except Exception as error:  # as above
        raise BackendError(f"OpenVINO cannot load '{name}': {_reason(error)}") from error


def profiled(model: bytes, settings: RuntimeSettings) -> Any:
    """An inference request whose performance counters are on, for who asks where the time goes.

    Raises:
        BackendError: OpenVINO refuses the model; its own text is passed on.
    """
    graph = read(model, "the model")
    return ov.Core().compile_model(graph, "CPU", {**_config(settings), "PERF_COUNT": "YES"}).create_infer_request()


class _OpenVinoSession(Session):
    serial = True  # an infer request computes one inference at a time

    def __init__(self, artifact: Artifact, request: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        super().__init__(artifact)
        self._request, self._inputs, self._outputs = request, inputs, outputs

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        # Shared inputs have to lie in memory in order; outputs are copied, since the next run writes to the same place.
        shared = {port: np.ascontiguousarray(feeds[name]) for name, port in self._inputs.items()}
        try:
            results = self._request.infer(shared, share_inputs=True)
            return {name: results[port] for name, port in self._outputs.items()}
        except Exception as error:  # as above
            raise BackendError(f"OpenVINO failed in '{self.artifact.file}': {_reason(error)}") from error

    def _release(self) -> None:
        self._request, self._inputs, self._outputs = None, {}, {}


def _config(settings: RuntimeSettings) -> dict[str, str]:
    # f32 is said because OpenVINO's default is bf16 wherever the processor has it, whatever the graph says.
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if settings.threads:
        config["INFERENCE_NUM_THREADS"] = str(settings.threads)
    for name, value in settings.options.items():
        if name == "inference_precision" and value in _PRECISIONS:
            config["INFERENCE_PRECISION_HINT"] = value
        elif name == "cpu_pinning" and value in ("0", "1"):
            config["ENABLE_CPU_PINNING"] = "YES" if value == "1" else "NO"
        elif name == "cache_dir" and value:
            config["CACHE_DIR"] = value
        else:
            raise UsageError(
                f"OpenVINO has no option {name}={value}; choose inference_precision={'|'.join(_PRECISIONS)}, "
                "cpu_pinning=0|1 or cache_dir=FOLDER."
            )
    return config


def _reason(error: Exception) -> str:
    """What OpenVINO says, without the places in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if not _PLACES.match(line)]
    return " ".join(lines)[:500] or type(error).__name__
