"""ONNX Runtime, on its CPU execution provider."""

from __future__ import annotations

import os

import onnxruntime as ort

from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.errors import BackendError, UsageError
from runtimes.session import Session
from runtimes.tensors import Array, Feeds

_OPTIMIZATION = {
    "disable": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

_ENTRIES = {"spinning": "session.intra_op.allow_spinning", "qdq_cleanup": "session.enable_quant_qdq_cleanup"}


def version() -> str:
    """ONNX Runtime's version."""
    return str(ort.__version__)


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an ONNX or ORT-format model.

    Settings: `threads`; options `graph_optimization` (disable, basic, extended, all), `spinning` (0, 1) and
    `qdq_cleanup` (0, 1: whether Q/DQ pairs around no integer kernel are dropped).

    Raises:
        BackendError: ONNX Runtime refuses the model; its own text is passed on.
        UsageError: an option is unknown or has an unknown value.
    """
    options = session_options(artifact.settings)
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise BackendError(f"ONNX Runtime cannot load '{artifact.file}': {error}") from error
    return _OrtSession(artifact, session)


class _OrtSession(Session):
    def __init__(self, artifact: Artifact, session: ort.InferenceSession) -> None:
        super().__init__(artifact)
        self._session: ort.InferenceSession | None = session
        self._names = [spec.name for spec in artifact.outputs]

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        assert self._session is not None
        try:
            return dict(zip(self._names, self._session.run(self._names, feeds)))
        except Exception as error:  # as above
            raise BackendError(f"ONNX Runtime failed in '{self.artifact.file}': {error}") from error

    def _release(self) -> None:
        self._session = None


def session_options(settings: RuntimeSettings) -> ort.SessionOptions:
    """ONNX Runtime's own form of our settings.

    Raises:
        UsageError: an option is unknown or has an unknown value.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    # What a bundle's digests do not cover is not read: weights in other files would come from the current folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 4  # errors reach us as exceptions; printed as well, they would be said twice
    for name, value in settings.options.items():
        if name in _ENTRIES and value in ("0", "1"):
            options.add_session_config_entry(_ENTRIES[name], value)
        elif name == "graph_optimization" and value in _OPTIMIZATION:
            options.graph_optimization_level = _OPTIMIZATION[value]
        else:
            raise UsageError(
                f"ONNX Runtime has no option {name}={value}; choose graph_optimization="
                f"{'|'.join(_OPTIMIZATION)}, spinning=0|1 or qdq_cleanup=0|1."
            )
    return options
