"""Weights that one protobuf cannot hold: quantized from and to files with their weights beside them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from benchmarks import large_model
from hwbench.data import dataset
from runtimes.profile import QuantizationScheme
from toolchain.models import onnx_model as models
from toolchain.models.onnx_model import OnnxModel, open_model, precision_of
from toolchain.quantizers import precisions, quantizer
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_process")

NAMES = [name for name in precisions() if name != "fp32"]


def quantized(source: Path, precision: str, out: Path) -> OnnxModel:
    model, module = open_model(source), quantizer(precision)
    method = None if module.NEEDS_RANGES == "no" else "minmax"
    scheme = QuantizationScheme("uint8") if module.COMPUTES_IN == "int8" else None
    samples = dataset.read(source.with_name("samples.npz"), model.inputs)
    return quantize(model, Recipe(precision, method, scheme), samples, out)


@pytest.mark.parametrize("precision", NAMES)
def test_weights_beside_the_file_are_quantized(tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PROTOBUF_LIMIT_BYTES", 100_000)  # a stand-in for 2 GB
    source = large_model.generate(tmp_path, 256, 3)
    made = quantized(source, precision, tmp_path / "made.onnx")
    assert (tmp_path / "made.onnx.data").stat().st_size > 100_000
    assert made.path.stat().st_size < 100_000
    if quantizer(precision).COMPUTES_IN != "bf16":  # ONNX Runtime has no kernels for it
        feeds = {"x": np.ones((1, 256), np.float32)}
        expected = ort.InferenceSession(source).run(None, feeds)[0]
        found = ort.InferenceSession(made.path).run(None, feeds)[0]
        assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


@pytest.mark.skipif("EDGEWRIGHT_LARGE" not in os.environ, reason="takes minutes and 10 GB; set EDGEWRIGHT_LARGE=1")
@pytest.mark.timeout(1800)
def test_more_than_two_gigabytes(tmp_path: Path) -> None:
    source = large_model.generate(tmp_path, 8192, 9)
    assert source.with_name("weights.bin").stat().st_size > 2**31
    made = quantized(source, "int8", tmp_path / "made.onnx")
    assert precision_of(models.load_ir(made.path)) == "int8"
