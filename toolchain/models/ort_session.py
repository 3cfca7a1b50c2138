"""ONNX Runtime sessions for the toolchain's own use: observing, comparing and folding graphs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from hwbench.data.dataset import Dataset
from runtimes.errors import UsageError
from runtimes.tensors import Array, Feeds
from toolchain.graphs.unsigned_weights import with_unsigned_weights
from toolchain.models import onnx_model as models

_LARGE_BYTES = 1024  # smaller weights stay in the protobuf
_PASSABLE = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT64}


def exact_session(model: ir.Model | Path) -> ort.InferenceSession:
    """Load a model so that it computes exactly its graph's arithmetic, independently of this processor's kernels.

    Q/DQ pairs run as written (see `exact_settings` of the ONNX Runtime backend), and integer products run on kernels
    that never saturate.

    Args:
        model: a file, or a graph, which stays unchanged.

    Raises:
        UsageError: as `session`.
    """
    graph = models.load_ir(model) if isinstance(model, Path) else model
    options = ort.SessionOptions()  # the backend's options allow no weights outside the file
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return session(with_unsigned_weights(graph), options)


def session(
    model: ir.Model | Path, options: ort.SessionOptions | None = None, *, called: str = ""
) -> ort.InferenceSession:
    """Load a file, or a graph of any size, on the CPU.

    Args:
        model: the file or graph.
        options: what to load it with; ONNX Runtime's own otherwise.
        called: the model's name in errors; that of its file otherwise.

    Raises:
        UsageError: ONNX Runtime cannot load it; the message gives its reason.
    """
    options = options or ort.SessionOptions()
    options.log_severity_level = 4  # errors arrive as exceptions
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # twice as fast where cores are shared
    if isinstance(model, Path):
        return _load(model, called or f"'{model}'", options)
    if models.weights_bytes(model) <= models.PROTOBUF_LIMIT_BYTES:
        with _without_weights(model) as weights:
            graph = ir.to_proto(model).SerializeToString()
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
        made = _load(graph, called or "the model", options)
        made.weights = weights  # the session reads the arrays in place and holds no reference
        return made
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        path = Path(folder, "model.onnx")
        ir.save(model, path, external_data="model.data")
        return _load(path, called or "the model", options)


def over_samples(session: ort.InferenceSession, data: Dataset) -> Iterator[tuple[int, list[Array]]]:
    """Run calibration samples, and yield the number of each inference's first sample with all outputs.

    Raises:
        UsageError: as in `run_sample`.
    """
    for index, feeds in enumerate(data.feeds()):
        first = index * data.batch_size
        yield first, run_sample(session, first, feeds)


def run_sample(session: ort.InferenceSession, number: int, feeds: Feeds) -> list[Array]:
    """Run one inference and return all outputs.

    Raises:
        UsageError: ONNX Runtime fails; the message gives the sample's number and the reason.
    """
    try:
        outputs: list[Array] = session.run(None, feeds)
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise UsageError(f"Calibration sample {number}: ONNX Runtime failed: {_reason(error)}") from error
    return outputs


@contextlib.contextmanager
def _without_weights(model: ir.Model) -> Iterator[Mapping[str, Array]]:
    """Yield the larger initializers as arrays, out of the model meanwhile: a protobuf would copy them three times."""
    apart = {
        name: (value, tensor)
        for name, value in model.graph.initializers.items()
        if (tensor := value.const_value) is not None
        and tensor.dtype in _PASSABLE
        and tensor.nbytes >= _LARGE_BYTES
        and not value.is_graph_input()
        and value.uses()  # ONNX Runtime removes unused ones first, and then refuses their arrays
    }
    arrays = {name: np.ascontiguousarray(tensor.numpy()) for name, (_, tensor) in apart.items()}
    try:
        for name, (value, tensor) in apart.items():
            shape = ir.Shape(arrays[name].shape)
            value.const_value = ir.ExternalTensor("passed on", 0, tensor.nbytes, tensor.dtype, shape=shape, name=name)
        yield arrays
    finally:
        for value, tensor in apart.values():
            value.const_value = tensor


def _load(source: Path | bytes, name: str, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise UsageError(f"ONNX Runtime cannot load {name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return str(error).strip()[:500]
