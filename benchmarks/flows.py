"""Flows of other tools, as their documentation says to quantize a model, for our own to be compared with.

A flow takes a model and a file to write. Each runs in a process of its own, since some of them crash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx

from benchmarks.zoo import ZooModel
from hwbench.data import dataset
from runtimes import samples
from runtimes.tensors import Array
from toolchain.models.onnx_model import open_model

Flow = Callable[[ZooModel, Path], None]


def float32(model: ZooModel, out: Path) -> None:
    """The model as it is."""
    out.write_bytes(model.onnx.read_bytes())


def ort_static(*, shapes: bool) -> Flow:
    """As ONNX Runtime's page "Quantize ONNX Models" has it: pre-process, then static QDQ at its defaults.

    `shapes` is the documented step's symbolic shape inference, without which some models get further.
    """

    def flow(model: ZooModel, out: Path) -> None:
        from onnxruntime.quantization import CalibrationDataReader, quantize_static

        class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
            def __init__(self) -> None:
                self.samples = _feeds(model)

            def get_next(self) -> dict[str, Array] | None:
                return next(self.samples, None)

        quantize_static(_ort_prepared(model.onnx, out, shapes), str(out), Reader())

    return flow


def ort_dynamic(*, shapes: bool) -> Flow:
    """As the same page has dynamic quantization."""

    def flow(model: ZooModel, out: Path) -> None:
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(_ort_prepared(model.onnx, out, shapes), str(out))

    return flow


def nncf(model: ZooModel, out: Path) -> None:
    """As NNCF's page on post-training quantization has it, told which models are transformers."""
    import nncf

    kind = nncf.ModelType.TRANSFORMER if model.name in ("minilm", "encoder") else None
    count = sum(1 for _ in _feeds(model))
    quantized = nncf.quantize(
        onnx.load(model.onnx), nncf.Dataset(list(_feeds(model))), model_type=kind, subset_size=count
    )
    onnx.save(quantized, out)


def _feeds(model: ZooModel) -> Iterator[dict[str, Array]]:
    specs = open_model(model.onnx).inputs
    return samples.feeds(specs, dataset.read(model.calibration, specs).arrays)


def _ort_prepared(source: Path, out: Path, shapes: bool) -> str:
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = str(out.with_name("prepared.onnx"))
    quant_pre_process(str(source), prepared, skip_symbolic_shape=not shapes)
    return prepared
