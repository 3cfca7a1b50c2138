"""ONNX Runtime on its CPU execution provider or, if onnxruntime-gpu is installed, on CUDA or TensorRT."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy import ndarray

from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import BackendError, TamperedError, UnsupportedError, UsageError
from runtimes.inference.session import Session
from runtimes.tensors import Array, Feeds, check_feeds, check_outputs, check_reported

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
# Up to this size, copying arrays into bound buffers costs less than binding them anew in each call.
_COPIED_BYTES = 64 << 10
# Types that NumPy has, too, by ORT's names. The session is asked, since a manifest may declare types of its own.
_NUMBERS = frozenset(
    f"tensor({name})" for name in "bool float16 float double int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
)

_BoundBuffers = tuple[
    list[tuple[str, "np.dtype[Any]", tuple[int, ...], Array]],
    Callable[[], object],
    list[tuple[str, Callable[..., Array]]],
]
"""The inputs' names, types, shapes and buffers; one run over them; and the outputs' names and how to copy each.

A plain tuple, since its unpacking costs less than the attributes of a class, in every call.
"""

_SWITCHES = {"spinning": "session.intra_op.allow_spinning", "qdq_cleanup": "session.enable_quant_qdq_cleanup"}
"""ORT's names of its options that are 0 or 1."""


def version() -> str:
    """Return ONNX Runtime's version."""
    return str(ort.__version__)


def exact_settings(threads: int = 0) -> RuntimeSettings:
    """Return settings under which Q/DQ pairs compute as the graph says, within float32's rounding, on any CPU.

    ONNX Runtime optimises a Q/DQ graph into integer kernels, whose results depend on the processor: on x86 without
    VNNI, u8 x s8 and s8 x s8 saturate in int16 at eight bits of weight (onnxruntime#12072). Fusing also rounds float
    biases to int32 in steps of the product's scales, which overflows where a channel's weights are nearly zero.
    Without optimisation, every pair is computed as written, in float32, and more slowly. Operators that are integers
    in the file (MatMulInteger, DynamicQuantizeLSTM) run on the same kernels under any settings.

    Args:
        threads: number of threads inside one inference; 0 leaves the choice to ONNX Runtime.
    """
    return RuntimeSettings(threads, {"graph_optimization": "disable"})


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an ONNX or ORT-format model.

    Settings: `threads`; options `graph_optimization` (disable, basic, extended, all), `spinning` (0, 1: whether threads
    busy-wait for work), `arena` (0, 1: whether ONNX Runtime holds memory between runs), `qdq_cleanup` (0, 1: whether
    Q/DQ pairs that surround no integer kernel are removed), `provider` (cpu, cuda, tensorrt) and `cpu_fallback` (0, 1:
    whether nodes that the GPU cannot take may run on the CPU).

    Raises:
        TamperedError: its inputs or outputs are not those that the manifest declares.
        BackendError: ONNX Runtime refuses the model; its own text is passed on. Or it would run on the CPU although
            the settings ask for a GPU.
        UnsupportedError: this ONNX Runtime was built without the provider.
        UsageError: an option is unknown or has an unknown value.
    """
    options = session_options(artifact.settings)
    providers = _providers(artifact.settings)
    try:
        session = ort.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
        # ORT's wrapper keeps the bytes, a second copy of the weights, to start again on another provider if one fails.
        session._model_bytes = None
        _check_model(artifact, session)
        if session.get_providers()[0] == providers[0]:
            return _open(artifact, session) if providers == _PROVIDERS["cpu"] else _GpuSession(artifact, session)
    except TamperedError:
        raise
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise BackendError(f"ONNX Runtime cannot load '{artifact.file}': {error}") from error
    raise BackendError(  # ORT only warns in its log, and uses the next provider
        f"ONNX Runtime cannot start its {providers[0]} and would run on {session.get_providers()[0]}; check that there "
        "is a GPU, with the CUDA that this onnxruntime-gpu was built for."
    )


def profiled(model: bytes, settings: RuntimeSettings, prefix: os.PathLike[str]) -> ort.InferenceSession:
    """Open a model under ONNX Runtime's profiler.

    Args:
        model: the bytes of its file.
        settings: as in `load`.
        prefix: where `end_profiling` writes its file, without the ending.

    Raises:
        BackendError: ONNX Runtime refuses the model; its own text is passed on.
    """
    options = session_options(settings)
    options.enable_profiling, options.profile_file_prefix = True, os.fspath(prefix)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")  # versions before 1.24 ignore it
    try:
        return ort.InferenceSession(model, options, providers=list(_providers(settings)), enable_fallback=0)
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise BackendError(f"ONNX Runtime cannot load the model: {error}") from error


class _OrtSession(Session):
    def __init__(self, artifact: Artifact, session: ort.InferenceSession) -> None:
        super().__init__(artifact)
        self._session: ort.InferenceSession | None = session
        self._names = [spec.name for spec in artifact.outputs]
        self._run_options = ort.RunOptions()  # without it, ORT makes one per run, which takes 0.5 us

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        session = self._open_session()
        try:  # ORT copies neither inputs nor outputs in this call
            return dict(zip(self._names, session.run(self._names, feeds, self._run_options)))
        except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
            raise self._failure(error) from error

    def _infer_into(self, feeds: Feeds, out: Mapping[str, Array]) -> dict[str, Array]:
        session = self._open_session()
        if not all(spec.is_static for spec in self.outputs) or not all(map(_is_plain, out.values())):
            return super()._infer_into(feeds, out)
        try:
            binding = session.io_binding()
            # ORT holds only the arrays' addresses, so this reference must live until the run has ended.
            contiguous = {name: np.asarray(array, order="C") for name, array in feeds.items()}
            for name, array in contiguous.items():
                binding.bind_cpu_input(name, array)
            for name in self._names:
                binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(out[name]))  # shares its memory
            session.run_with_iobinding(binding)
        except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
            raise self._failure(error) from error
        return {name: out[name] for name in self._names}

    def _release(self) -> None:
        self._session = None

    def _open_session(self) -> ort.InferenceSession:
        session = self._session  # read once, since another thread may close the session between two reads
        if session is None:
            raise BackendError("The session is closed; load the bundle again.")
        return session

    def _failure(self, error: Exception) -> BackendError:
        return BackendError(f"ONNX Runtime failed in '{self.artifact.file}': {error}")


class _GpuSession(_OrtSession):
    on_gpu = True

    def _infer_into(self, feeds: Feeds, out: Mapping[str, Array]) -> dict[str, Array]:
        return Session._infer_into(self, feeds, out)  # binding host arrays would need synchronization


class _BoundSession(_OrtSession):
    """A session for small arrays: inputs and outputs are bound once, to buffers of the first call's shapes.

    ORT's own `run` looks names up and makes OrtValues in each call, which takes longer than copying small arrays, and
    longer than a small model computes. The buffers serve one caller at a time; a call that comes meanwhile, or with
    other shapes, uses ORT's `run`.
    """

    def __init__(self, artifact: Artifact, session: ort.InferenceSession) -> None:
        super().__init__(artifact, session)
        self._idle: list[_BoundBuffers] = []  # empty while the buffers are in use
        self._is_bound = False

    def _run_bound(self, feeds: Feeds) -> dict[str, Array] | None:
        bound: _BoundBuffers | None
        try:
            bound = self._idle.pop()  # `pop` and `append` are atomic
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
        except Exception:  # of any class; if the feeds are at fault, a check or `_infer` raises what names it
            sizes = check_feeds(self.inputs, feeds)
            if self._limits is not None:
                self._limits.check(feeds, sizes)
            computed = self._infer(feeds)
            bound = None  # the feeds were right, so the outputs have other shapes than in the first call
            check_outputs(self.outputs, computed, sizes)
            return computed
        finally:
            if bound is not None:  # repeats `_give_back`, since a call would add a fiftieth to the time
                self._idle.append(bound)
                if self._closed:
                    self._idle.clear()

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        outputs, session = super()._infer(feeds), self._session
        if not self._is_bound and session is not None and _is_small((*feeds.values(), *outputs.values())):
            self._is_bound = True  # two threads that both come first make two sets of buffers, which is harmless
            with contextlib.suppress(Exception):  # ORT raises bare RuntimeErrors; without buffers, `run` is used
                self._give_back(_bind(session, self._run_options, feeds, outputs))
        return outputs

    def _infer_into(self, feeds: Feeds, out: Mapping[str, Array]) -> dict[str, Array]:
        if _is_small(out.values()):
            return Session._infer_into(self, feeds, out)  # copying small arrays costs less than binding them
        return super()._infer_into(feeds, out)

    def _release(self) -> None:
        self._idle.clear()
        super()._release()

    def _give_back(self, bound: _BoundBuffers) -> None:
        self._idle.append(bound)
        if self._closed:  # by another thread, which cleared the list before this append
            self._idle.clear()


def _bind(session: ort.InferenceSession, options: ort.RunOptions, fed: Feeds, computed: Feeds) -> _BoundBuffers:
    """Bind buffers of the shapes of one call's inputs and outputs."""
    binding = session.io_binding()
    inputs = [
        (name, np.dtype(array.dtype.type), array.shape, _buffer(name, array, binding.bind_ortvalue_input))
        for name, array in fed.items()  # NumPy's own dtype objects; an unpickled array holds a copy
    ]
    outputs = [(name, _buffer(name, array, binding.bind_ortvalue_output).copy) for name, array in computed.items()]
    # The private call below `session.run_with_iobinding`, whose checks of WebGPU graphs take 0.7 us, and 20 us with
    # RunOptions (onnxruntime 1.31).
    return inputs, functools.partial(session._sess.run_with_iobinding, binding._iobinding, options), outputs


def _buffer(name: str, like: Array, bind: Callable[[str, ort.OrtValue], None]) -> Array:
    buffer = np.zeros(like.shape, like.dtype)
    bind(name, ort.OrtValue.ortvalue_from_numpy(buffer))  # shares the array's memory
    return buffer


def _check_model(artifact: Artifact, session: ort.InferenceSession) -> None:
    """Compare the model's inputs and outputs with the manifest's."""
    for kind, specs, tensors in (
        ("input", artifact.inputs, session.get_inputs()),
        ("output", artifact.outputs, session.get_outputs()),
    ):
        found = {tensor.name: (_dtype(tensor.type), len(tensor.shape) or None) for tensor in tensors}
        check_reported(kind, specs, found, exactly=kind == "input")  # a shape of no axes may be an unknown one


def _dtype(ort_type: str) -> str:
    """Convert ORT's name of a type, such as tensor(float), to NumPy's."""
    name = ort_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64", "string": "object"}.get(name, name)


def _open(artifact: Artifact, session: ort.InferenceSession) -> Session:
    return (_BoundSession if _is_bindable(session) else _OrtSession)(artifact, session)


def _is_small(arrays: Iterable[Array]) -> bool:
    return sum(array.nbytes for array in arrays) <= _COPIED_BYTES


def _is_plain(array: Array) -> bool:
    """Tell whether ORT can write into an array."""
    return array.flags.c_contiguous and array.dtype.kind in "biuf"


def _is_bindable(session: ort.InferenceSession) -> bool:
    """Tell whether the inputs' sizes decide the outputs' sizes, which is not so after operators such as NonZero."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    known = {size for tensor in inputs for size in tensor.shape if isinstance(size, str)}
    return all(tensor.type in _NUMBERS for tensor in (*inputs, *outputs)) and all(
        isinstance(size, int) or size in known for tensor in outputs for size in tensor.shape
    )


def session_options(settings: RuntimeSettings) -> ort.SessionOptions:
    """Convert settings to ONNX Runtime's own form.

    Raises:
        UsageError: an option is unknown or has an unknown value.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    # ORT would read weights in other files, which no digest of a bundle covers, from the current folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 4  # errors come as exceptions, and ORT would print them as well
    for name, value in settings.options.items():
        if name in _SWITCHES and value in ("0", "1"):
            options.add_session_config_entry(_SWITCHES[name], value)
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
                f"{', '.join(f'{switch}=0|1' for switch in (*_SWITCHES, 'arena', 'cpu_fallback'))} or "
                f"provider={'|'.join(_PROVIDERS)}."
            )
    return options


def _providers(settings: RuntimeSettings) -> tuple[str, ...]:
    wanted = _PROVIDERS[settings.options.get("provider", "cpu")]
    available = ort.get_available_providers()
    if wanted[0] not in available:
        raise UnsupportedError(
            f"This ONNX Runtime has no {wanted[0]}, only {', '.join(available)}; install onnxruntime-gpu in place of "
            "onnxruntime."
        )
    fallback = len(wanted) == 1 or settings.options.get("cpu_fallback") == "1"
    # Without fallback the CPU may not even be listed: "Conflicting session configuration" (onnxruntime-gpu 1.31.1).
    return tuple(name for name in wanted if name in available and (fallback or name != "CPUExecutionProvider"))
