"""ONNX Runtime, on its CPU execution provider or, where onnxruntime-gpu is installed, on CUDA or TensorRT."""

from __future__ import annotations

import os

import onnxruntime as ort

from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.errors import BackendError, UnsupportedError, UsageError
from runtimes.session import Session
from runtimes.tensors import Array, Feeds

_OPTIMIZATION = {
    "disable": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}


def version() -> str:
    """ONNX Runtime's version."""
    return str(ort.__version__)


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an ONNX or ORT-format model.

    Settings: `threads`; options `graph_optimization` (disable, basic, extended, all), `spinning` (0, 1), `provider`
    (cpu, cuda, tensorrt) and `cpu_fallback` (0, 1): whether nodes that the GPU cannot take may run on the CPU.

    Raises:
        BackendError: ONNX Runtime refuses the model; its own text is passed on. Or it would have run on the CPU what
            was to run on a GPU.
        UnsupportedError: this ONNX Runtime was built without the provider.
        UsageError: an option is unknown or has an unknown value.
    """
    options = _options(artifact.settings)
    providers = _providers(artifact.settings)
    try:
        session = ort.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise BackendError(f"ONNX Runtime cannot load '{artifact.file}': {error}") from error
    if session.get_providers()[0] != providers[0]:  # it warns in its log, and goes on without
        raise BackendError(
            f"ONNX Runtime cannot start its {providers[0]} and would run on {session.get_providers()[0]}; is there a "
            "GPU, with the CUDA that this onnxruntime-gpu was built for?"
        )
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


def _providers(settings: RuntimeSettings) -> tuple[str, ...]:
    wanted = _PROVIDERS[settings.options.get("provider", "cpu")]
    there = ort.get_available_providers()
    if wanted[0] not in there:
        raise UnsupportedError(
            f"This ONNX Runtime has no {wanted[0]}, only {', '.join(there)}; install onnxruntime-gpu in place of "
            "onnxruntime."
        )
    fallback = len(wanted) == 1 or settings.options.get("cpu_fallback") == "1"
    # Without fallback the CPU may not even be listed: "Conflicting session configuration" (onnxruntime-gpu 1.31.1).
    return tuple(name for name in wanted if name in there and (fallback or name != "CPUExecutionProvider"))


def _options(settings: RuntimeSettings) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    # What a bundle's digests do not cover is not read: weights in other files would come from the current folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 4  # errors reach us as exceptions; printed as well, they would be said twice
    for name, value in settings.options.items():
        if name == "graph_optimization" and value in _OPTIMIZATION:
            options.graph_optimization_level = _OPTIMIZATION[value]
        elif name == "spinning" and value in ("0", "1"):
            options.add_session_config_entry("session.intra_op.allow_spinning", value)
        elif name == "provider" and value in _PROVIDERS:
            if value != "cpu" and settings.options.get("cpu_fallback", "0") == "0":
                options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        elif not (name == "cpu_fallback" and value in ("0", "1")):
            raise UsageError(
                f"ONNX Runtime has no option {name}={value}; choose graph_optimization="
                f"{'|'.join(_OPTIMIZATION)}, spinning=0|1, provider={'|'.join(_PROVIDERS)} or cpu_fallback=0|1."
            )
    return options
