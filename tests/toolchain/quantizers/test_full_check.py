"""Every file that a quantizer writes is valid ONNX, types and shapes included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import numpy_helper, parser

from hwbench.data import dataset
from hwbench.machine import device_profiles
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.models.onnx_model import open_model
from toolchain.quantizers import precisions, quantizer
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_process")

SCHEMES = {
    "vnni": QuantizationScheme("uint8"),
    "avx2": device_profiles.load("x86-64-v3-avx2").quantization["onnxruntime"],
    "arm": device_profiles.load("rpi5").quantization["onnxruntime"],
    "tensorrt": device_profiles.load("jetson-agx-orin").quantization["tensorrt"],
}


def products(path: Path) -> Path:
    """image float32[N,64] -> MatMul, Relu, Gemm, with weights enough for int8-dynamic."""
    proto = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> products (float[N,64] image) => (float[N,64] scores) '
        "{ a = MatMul(image, w) b = Relu(a) scores = Gemm<transB=1>(b, v, c) }"
    )
    rng = np.random.default_rng(0)
    for name, shape in {"w": (64, 96), "v": (64, 96), "c": (64,)}.items():
        proto.graph.initializer.append(numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name))
    onnx.save(proto, path)
    return path


MODELS: dict[str, tuple[Callable[[Path], Path], dict[str, Array]]] = {
    "conv": (tiny_models.conv, tiny_models.samples("conv", 8)),
    "products": (products, {"image": np.random.default_rng(1).standard_normal((8, 64)).astype(np.float32)}),
}


def cases() -> list[tuple[str, str, str]]:
    names = [name for name in precisions() if name != "fp32"]
    return [
        (model, precision, scheme)
        for model in MODELS
        for precision in names
        for scheme in (SCHEMES if quantizer(precision).COMPUTES_IN == "int8" else ("none",))
        if (model, precision) != ("conv", "int8-dynamic")  # it has nothing that pays in int8-dynamic
    ]


@pytest.mark.parametrize(("model", "precision", "scheme"), cases())
def test_it_passes_the_full_check(tmp_path: Path, model: str, precision: str, scheme: str) -> None:
    write, arrays = MODELS[model]
    source = open_model(write(tmp_path / "source.onnx"))
    np.savez(tmp_path / "samples.npz", **arrays)
    method = None if quantizer(precision).NEEDS_RANGES == "no" else "minmax"
    recipe = Recipe(precision, method, SCHEMES.get(scheme))
    made = quantize(source, recipe, dataset.read(tmp_path / "samples.npz", source.inputs), tmp_path / "made.onnx")
    onnx.checker.check_model(str(made.path), full_check=True)
    assert made.kept == ()
