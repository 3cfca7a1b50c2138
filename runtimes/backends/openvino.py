"""OpenVINO on its CPU plug-in. It reads the same ONNX files as ONNX Runtime."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np

from runtimes.backends._openvino_forms import CompiledForm, Shapes, compile_form, core, ov, reshaped, run, run_larger
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import BackendError, UsageError
from runtimes.inference.session import Session
from runtimes.tensors import Array, Feeds, check_reported

_OTHER_DTYPES = {"bf16": "bfloat16", "string": "object", "dynamic": "unknown"}  # others are as OpenVINO says
_PRECISIONS = ("f32", "bf16", "f16")
_STATIC_SHAPES = ("first", "each", "none")
_MAX_FORMS = 8  # compiled forms, each of which holds weights of its own
_SOURCE_LINES = re.compile(  # lines of an error that name places in OpenVINO's source code
    r"^(Exception from |Check '.*' failed at |FrontEnd API failed with |While validating |\s*$)"
)

# The first call fills a table of OpenVINO's own. Two threads whose first calls met would wait for each other for ever,
# one with Python's lock and the other with the table's; an import runs in one thread.
ov.Type.f32.to_dtype()


def version() -> str:
    """Return OpenVINO's version."""
    return str(ov.__version__).partition("-")[0]


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an ONNX model.

    Settings: `threads`; options `inference_precision` (f32, bf16, f16: the arithmetic of float operators; f32 by
    default), `cpu_pinning` (0, 1; by default 0 for one thread), `static_shapes` (which shapes a model of dynamic shapes
    is compiled for: those of the `first` call, which is the default, of `each` call, or `none`) and `cache_dir` (a
    folder where OpenVINO keeps compiled models, so that they load faster).

    Raises:
        TamperedError: its inputs or outputs are not those that the manifest declares.
        BackendError: OpenVINO refuses the model; its own text is passed on.
        UsageError: an option is unknown or has an unknown value.
    """
    _config(artifact.settings)  # checked before the model is read: a misspelt option is no fault of the model
    graph = read(model, str(artifact.file))
    _check_model(artifact, graph)
    try:
        return _OpenVinoSession(artifact, graph)
    except Exception as error:  # OpenVINO raises bare RuntimeErrors and pybind classes
        raise BackendError(f"OpenVINO cannot load '{artifact.file}': {_reason(error)}") from error


def _check_model(artifact: Artifact, graph: ov.Model) -> None:
    """Compare the model's inputs and outputs with the manifest's."""
    for kind, specs, ports in (("input", artifact.inputs, graph.inputs), ("output", artifact.outputs, graph.outputs)):
        found: dict[str, tuple[str, int | None]] = {}
        for port in ports:
            rank = port.partial_shape.rank
            axes = rank.get_length() if rank.is_static else None
            found |= dict.fromkeys(port.names, (_dtype(port.element_type), axes))
        check_reported(kind, specs, found, exactly=False)  # a port may have several names


def _dtype(kind: ov.Type) -> str:
    name = kind.get_type_name()
    return _OTHER_DTYPES[name] if name in _OTHER_DTYPES else np.dtype(kind.to_dtype()).name


def read(model: bytes, name: str) -> ov.Model:
    """Convert an ONNX model to OpenVINO's operators; `name` names it in errors.

    Raises:
        BackendError: OpenVINO refuses the model; its own text is passed on.
    """
    try:
        return core().read_model(model)
    except Exception as error:  # OpenVINO raises bare RuntimeErrors and pybind classes
        raise BackendError(f"OpenVINO cannot load '{name}': {_reason(error)}") from error


def profiled(model: bytes, settings: RuntimeSettings, feeds: Feeds) -> Any:
    """Compile a model with performance counters, as a session does whose first call has feeds of these shapes.

    Returns:
        An inference request of OpenVINO.

    Raises:
        BackendError: OpenVINO refuses the model; its own text is passed on.
    """
    graph, config = read(model, "the model"), {**_config(settings), "PERF_COUNT": "YES"}
    if graph.is_dynamic() and _static_shapes(settings) != "none":
        with contextlib.suppress(Exception):  # as a session does
            fixed = reshaped(graph, {name: array.shape for name, array in feeds.items()})
            return core().compile_model(fixed, "CPU", config).create_infer_request()
    return core().compile_model(graph, "CPU", config).create_infer_request()


class _OpenVinoSession(Session):
    """A session that compiles a model of dynamic shapes for the shapes of its first call, or of each call.

    Kernels of known shapes are faster: on real models by up to a quarter (benchmarks/results/static_shapes.txt). After
    `first`, other shapes are computed by the general form, which is compiled when it is needed: most sessions never do.
    The general form of some int8 models is wrong (openvino 2026.4); `each` never uses it, and keeps the forms that were
    used last. Within a session, the same form always computes the same shapes, so equal inputs give equal outputs. In
    another session, whose first call had other shapes, the last bits may differ.
    """

    serial = True  # an infer request computes one inference at a time

    def __init__(self, artifact: Artifact, graph: ov.Model) -> None:
        super().__init__(artifact)
        static = all(spec.is_static for spec in artifact.inputs)
        self._graph = None if static or _static_shapes(artifact.settings) == "none" else graph
        self._general = self._compiled(graph) if self._graph is None else None
        self._general_ran = False
        self._forms: dict[Shapes, CompiledForm | None] = {}  # last used last; None if the shapes cannot be compiled

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        try:
            return run(self._form_for(feeds), feeds)
        except Exception as error:  # OpenVINO raises bare RuntimeErrors and pybind classes
            raise BackendError(f"OpenVINO failed in '{self.artifact.file}': {_reason(error)}") from error

    def _form_for(self, feeds: Feeds) -> CompiledForm:
        if self._graph is None:
            return self._general_for(feeds)
        shapes = tuple(feeds[spec.name].shape for spec in self.inputs)
        if _is_each(self.artifact):
            return self._form_of(self._graph, shapes)
        if not self._forms:
            self._forms[shapes] = None
            with contextlib.suppress(Exception):  # some models cannot be compiled for fixed shapes
                self._forms[shapes] = self._compiled(self._graph, shapes)
        fixed = self._forms.get(shapes)
        if fixed is not None:
            return fixed
        return self._general_for(feeds)

    def _general_for(self, feeds: Feeds) -> CompiledForm:
        if self._general is None:
            assert self._graph is not None
            self._general = self._compiled(self._graph)
        if not self._general_ran:
            self._general_ran = True
            run_larger(self._general, self.inputs, feeds)
        return self._general

    def _form_of(self, graph: ov.Model, shapes: Shapes) -> CompiledForm:
        form = self._forms.pop(shapes, None)
        if form is None:
            if len(self._forms) >= _MAX_FORMS:  # before another takes memory
                del self._forms[next(iter(self._forms))]
            form = self._compiled(graph, shapes)
        self._forms[shapes] = form
        return form

    def _compiled(self, graph: ov.Model, shapes: Shapes | None = None) -> CompiledForm:
        """Compile the form for fixed shapes, or that for all."""
        if shapes is not None:
            graph = reshaped(graph, {spec.name: shape for spec, shape in zip(self.inputs, shapes)})
        return compile_form(graph, self.inputs, self.outputs, _config(self.artifact.settings))

    def _release(self) -> None:
        self._graph = self._general = None
        self._forms.clear()


def _static_shapes(settings: RuntimeSettings) -> str:
    return settings.options.get("static_shapes", "first")


def _is_each(artifact: Artifact) -> bool:
    """Tell whether a model is compiled for each shape that comes, and never for all."""
    return _static_shapes(artifact.settings) == "each" and not all(spec.is_static for spec in artifact.inputs)


def _config(settings: RuntimeSettings) -> dict[str, str]:
    # f32 is explicit because OpenVINO's default is bf16 on processors that have it, whatever the graph says.
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if settings.threads:
        config["INFERENCE_NUM_THREADS"] = str(settings.threads)
    if settings.threads == 1:  # the scheduler finds an idle core itself, and pinning costs a system call per run
        config["ENABLE_CPU_PINNING"] = "NO"
    for name, value in settings.options.items():
        if name == "inference_precision" and value in _PRECISIONS:
            config["INFERENCE_PRECISION_HINT"] = value
        elif name == "cpu_pinning" and value in ("0", "1"):
            config["ENABLE_CPU_PINNING"] = "YES" if value == "1" else "NO"
        elif name == "cache_dir" and value:
            config["CACHE_DIR"] = value
        elif not (name == "static_shapes" and value in _STATIC_SHAPES):
            raise UsageError(
                f"OpenVINO has no option {name}={value}; choose inference_precision={'|'.join(_PRECISIONS)}, "
                f"cpu_pinning=0|1, static_shapes={'|'.join(_STATIC_SHAPES)} or cache_dir=FOLDER."
            )
    return config


def _reason(error: Exception) -> str:
    """Return OpenVINO's message without the places in its source code."""
    lines = [line.strip() for line in str(error).splitlines() if not _SOURCE_LINES.match(line)]
    return " ".join(lines)[:500] or type(error).__name__
