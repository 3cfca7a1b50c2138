"""ONNX Runtime as the toolchain's own calculator: models that watch, compare and fold, on calibration samples."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir
import onnxruntime as ort

from runtimes import samples
from runtimes.errors import UsageError
from runtimes.samples import Rows
from runtimes.tensors import Array, Feeds, TensorSpec
from toolchain import model as models


def session(model: ir.Model | Path, options: ort.SessionOptions | None = None) -> ort.InferenceSession:
    """Load a file, or a graph, whatever its size, on the CPU.

    Raises:
        UsageError: ONNX Runtime cannot load it; passes its reason on.
    """
    options = options or ort.SessionOptions()
    options.log_severity_level = 4  # errors reach us as exceptions
    if isinstance(model, Path):
        return _load(model, f"'{model}'", options)
    if models.weights_bytes(model) <= models.PROTOBUF_LIMIT_BYTES:
        return _load(ir.to_proto(model).SerializeToString(), "the model", options)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        path = Path(folder, "model.onnx")
        ir.save(model, path, external_data="model.data")
        return _load(path, "the model", options)


def over_samples(
    session: ort.InferenceSession, specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]
) -> Iterator[tuple[int, list[Array]]]:
    """Run calibration samples through a session: the number of an inference's first sample, and all outputs.

    Raises:
        UsageError: as `run_sample`.
    """
    for index, feeds in enumerate(samples.feeds(specs, arrays)):
        first = index * samples.batch_size(specs, arrays)
        yield first, run_sample(session, first, feeds)


def run_sample(session: ort.InferenceSession, number: int, feeds: Feeds) -> list[Array]:
    """All outputs for one sample.

    Raises:
        UsageError: ONNX Runtime fails on it; says which number it had and passes the reason on.
    """
    try:
        outputs: list[Array] = session.run(None, feeds)
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise UsageError(f"Calibration sample {number}: ONNX Runtime failed: {_reason(error)}") from error
    return outputs


def _load(source: Path | bytes, name: str, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise UsageError(f"ONNX Runtime cannot load {name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return str(error).strip()[:500]
