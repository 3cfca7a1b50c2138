"""ONNX Runtime, on its CPU execution provider or, where onnxruntime-gpu is installed, on CUDA or TensorRT."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy import ndarray

from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.errors import BackendError, UnsupportedError, UsageError
from runtimes.session import Session
from runtimes.tensors import Array, Feeds, Layout, static_layout

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
_COPIED_BYTES = 64 << 10  # below, copying into bound buffers costs less than ORT's own way of binding arrays


_Bound = tuple[
    list[tuple[str, "np.dtype[Any]", tuple[int, ...], Array]],
    Callable[[], object],
    list[tuple[str, Callable[..., Array]]],
]

_ENTRIES = {"spinning": "session.intra_op.allow_spinning", "qdq_cleanup": "session.enable_quant_qdq_cleanup"}


def version() -> str:
    """ONNX Runtime's version."""
    return str(ort.__version__)


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an ONNX or ORT-format model.

    Settings: `threads`; options `graph_optimization` (disable, basic, extended, all), `spinning` (0, 1: whether threads
    busy-wait for work), `arena` (0, 1: whether memory is kept between runs), `qdq_cleanup` (0, 1: whether Q/DQ pairs
    around no integer kernel are dropped), `provider` (cpu, cuda, tensorrt) and `cpu_fallback` (0, 1: whether nodes that
    the GPU cannot take may run on the CPU).

    Raises:
        BackendError: ONNX Runtime refuses the model; its own text is passed on. Or it would have run on the CPU what
            was to run on a GPU.
        UnsupportedError: this ONNX Runtime was built without the provider.
        UsageError: an option is unknown or has an unknown value.
    """
    options = session_options(artifact.settings)
    providers = _providers(artifact.settings)
    try:
        session = ort.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
        # ORT's wrapper keeps the bytes to start anew on another provider when one fails: a second copy of the weights.
        session._model_bytes = None
        if session.get_providers()[0] == providers[0]:
            return _open(artifact, session) if providers == _PROVIDERS["cpu"] else _GpuSession(artifact, session)
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise BackendError(f"ONNX Runtime cannot load '{artifact.file}': {error}") from error
    raise BackendError(  # it warns in its log, and goes on without
        f"ONNX Runtime cannot start its {providers[0]} and would run on {session.get_providers()[0]}; is there a "
        "GPU, with the CUDA that this onnxruntime-gpu was built for?"
    )


class _OrtSession(Session):
    def __init__(self, artifact: Artifact, session: ort.InferenceSession) -> None:
        super().__init__(artifact)
        self._session: ort.InferenceSession | None = session
        self._names = [spec.name for spec in artifact.outputs]
        self._run_options = ort.RunOptions()  # ORT makes one per run otherwise, which takes 0.5 us

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        session = self._open_session()
        try:  # ORT copies neither the inputs nor the outputs here
            return dict(zip(self._names, session.run(self._names, feeds, self._run_options)))
        except Exception as error:  # as above
            raise self._failure(error) from error

    def _infer_into(self, feeds: Feeds, out: Mapping[str, Array]) -> dict[str, Array]:
        session = self._open_session()
        if static_layout(self.outputs) is None or not all(array.flags.c_contiguous for array in out.values()):
            return super()._infer_into(feeds, out)
        try:
            binding = session.io_binding()
            kept = {name: np.asarray(array, order="C") for name, array in feeds.items()}  # alive until it has run
            for name, array in kept.items():
                binding.bind_cpu_input(name, array)
            for name in self._names:
                binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(out[name]))  # shares its memory
            session.run_with_iobinding(binding)
        except Exception as error:  # as above
            raise self._failure(error) from error
        return {name: out[name] for name in self._names}

    def _release(self) -> None:
        self._session = None

    def _open_session(self) -> ort.InferenceSession:
        if self._session is None:  # another thread closed it after the base class had looked
            raise BackendError("The session is closed; load the bundle again.")
        return self._session

    def _failure(self, error: Exception) -> BackendError:
        return BackendError(f"ONNX Runtime failed in '{self.artifact.file}': {error}")


class _GpuSession(_OrtSession):
    on_gpu = True

    def _infer_into(self, feeds: Feeds, out: Mapping[str, Array]) -> dict[str, Array]:
        return Session._infer_into(self, feeds, out)  # arrays bound on the host would have to be synchronized


class _BoundSession(_OrtSession):
    """For small arrays of fixed shapes: buffers that inputs and outputs are bound to once.

    ORT's own `run` looks names up and makes OrtValues anew in each call, which takes longer than copying, and longer
    than a small model. The buffers serve one caller at a time; whoever comes meanwhile takes the long way.
    """

    def __init__(self, artifact: Artifact, session: ort.InferenceSession, inputs: Layout, outputs: Layout) -> None:
        super().__init__(artifact, session)
        self._idle = [_bind(session, self._run_options, inputs, outputs)]  # empty while in use

    def _run_bound(self, feeds: Feeds) -> dict[str, Array] | None:
        try:
            bound = self._idle.pop()  # atomic, as append is
        except IndexError:
            return None
        try:
            inputs, infer, outputs = bound
            if type(feeds) is not dict or len(feeds) != len(inputs):
                return None
            for name, dtype, shape, buffer in inputs:
                array = feeds[name]
                if type(array) is not ndarray or array.dtype is not dtype or array.shape != shape:
                    return None
                buffer[...] = array
            infer()
            computed = {}
            for name, copy in outputs:
                computed[name] = copy()
            return computed
        except KeyError:
            return None
        except Exception as error:  # as above
            raise self._failure(error) from error
        finally:
            self._idle.append(bound)
            if self._closed:  # meanwhile, by another thread, which has cleared this list already
                self._idle.clear()

    def _infer_into(self, feeds: Feeds, out: Mapping[str, Array]) -> dict[str, Array]:
        return Session._infer_into(self, feeds, out)  # copying small arrays costs less than binding them

    def _release(self) -> None:
        self._idle.clear()
        super()._release()


def _bind(session: ort.InferenceSession, options: ort.RunOptions, inputs: Layout, outputs: Layout) -> _Bound:
    """Buffers to fill, one run over them, and how to copy what it computed."""
    binding = session.io_binding()
    fed = [(*tensor, _buffer(tensor, binding.bind_ortvalue_input)) for tensor in inputs]
    computed = [(tensor[0], _buffer(tensor, binding.bind_ortvalue_output).copy) for tensor in outputs]
    # Beneath `session.run_with_iobinding`, whose checks of WebGPU graphs take 0.7 us, and 20 us with RunOptions
    # (onnxruntime 1.31).
    return fed, functools.partial(session._sess.run_with_iobinding, binding._iobinding, options), computed


def _buffer(tensor: tuple[str, np.dtype[Any], tuple[int, ...]], bind: Callable[[str, ort.OrtValue], None]) -> Array:
    name, dtype, shape = tensor
    buffer = np.zeros(shape, dtype)
    bind(name, ort.OrtValue.ortvalue_from_numpy(buffer))  # shares the array's memory
    return buffer


def _open(artifact: Artifact, session: ort.InferenceSession) -> Session:
    inputs, outputs = static_layout(artifact.inputs), static_layout(artifact.outputs)
    if inputs is None or outputs is None:
        return _OrtSession(artifact, session)
    if sum(dtype.itemsize * math.prod(shape) for _, dtype, shape in (*inputs, *outputs)) > _COPIED_BYTES:
        return _OrtSession(artifact, session)
    declared = [(tensor.name, tensor.shape) for tensor in (*session.get_inputs(), *session.get_outputs())]
    if declared != [(name, list(shape)) for name, _, shape in (*inputs, *outputs)]:
        return _OrtSession(artifact, session)  # the manifest declares another model; ORT will say what is wrong
    return _BoundSession(artifact, session, inputs, outputs)


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
        elif name == "arena" and value in ("0", "1"):
            options.enable_cpu_mem_arena = value == "1"
        elif name == "provider" and value in _PROVIDERS:
            if value != "cpu" and settings.options.get("cpu_fallback", "0") == "0":
                options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        elif not (name == "cpu_fallback" and value in ("0", "1")):
            raise UsageError(
                f"ONNX Runtime has no option {name}={value}; choose graph_optimization={'|'.join(_OPTIMIZATION)}, "
                f"{', '.join(f'{switch}=0|1' for switch in (*_ENTRIES, 'arena', 'cpu_fallback'))} or "
                f"provider={'|'.join(_PROVIDERS)}."
            )
    return options


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
