"""Layers that overflow int16 on a CPU without VNNI, against arithmetic by hand and an emulated CPU."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper, parser
from sample_sets import in_memory

from benchmarks import saturation as benchmark
from hwbench.data import dataset
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array, TensorSpec
from toolchain.analysis.saturation import saturation
from toolchain.models.onnx_model import load_ir, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_process")

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
LAYERS = """ layers (float[N,6,9,9] image) => (float[N,4,8] y) {
    a = Conv<pads=[1,2,1,2], strides=[2,2], dilations=[1,2]>(image, odd)
    b = Relu(a)
    c = Conv(b, pointwise, bias)
    d = Conv<group=2, auto_pad="SAME_UPPER", strides=[1,1]>(c, grouped)
    e = Conv<group=8, pads=[1,1,1,1]>(d, depthwise)
    f = Relu(e)
    flat = Flatten(f)
    g = Gemm<transB=1>(flat, narrow)
    h = Reshape(g, shape)
    y = MatMul(h, square)
}"""
SHAPES = {
    "odd": (15, 6, 3, 3),
    "pointwise": (8, 15, 1, 1),
    "bias": (8,),
    "grouped": (8, 4, 2, 3),
    "depthwise": (8, 1, 3, 3),
    "narrow": (32, 200),
    "square": (8, 8),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers of every kind, with weights that are often large: uniform, and mostly positive."""
    rng = np.random.default_rng(0)
    proto = parser.parse_model(HEADER + LAYERS)
    constants: dict[str, Array] = {name: rng.uniform(-0.5, 1, shape) for name, shape in SHAPES.items()}
    arrays = {name: array.astype(np.float32) for name, array in constants.items()} | {"shape": np.array([-1, 4, 8])}
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    folder = tmp_path_factory.mktemp("layers")
    onnx.save(proto, folder / "layers.onnx")
    np.savez(folder / "samples.npz", image=rng.uniform(0, 1, (8, 6, 9, 9)).astype(np.float32))
    return folder / "layers.onnx"


def int8(source: Path, scheme: QuantizationScheme, out: Path) -> ir.Model:
    model = open_model(source)
    samples = dataset.read(source.with_name("samples.npz"), model.inputs)
    return load_ir(quantize(model, Recipe("int8", "minmax", scheme), samples, out).path)


def samples_of(source: Path) -> Mapping[str, Array]:
    arrays = dataset.read(source.with_name("samples.npz"), open_model(source).inputs).arrays
    return {name: array[:] for name, array in arrays.items()}


def test_the_list_is_what_an_emulated_cpu_computes(source: Path, tmp_path: Path) -> None:
    if shutil.which(benchmark.EMULATOR) is None:
        pytest.skip(f"{benchmark.EMULATOR} is not installed (Debian: qemu-user-static)")
    if not {"avx512_vnni", "avx_vnni"} & set(this_machine().isa):
        pytest.skip("this machine has no VNNI, so its own results saturate, too")
    model = int8(source, QuantizationScheme("uint8"), tmp_path / "int8.onnx")
    feeds = samples_of(source)
    predicted = saturation(model, in_memory(open_model(source).inputs, feeds))
    seen = benchmark.differences(model, [layer.node for layer in predicted], feeds, tmp_path)
    assert len(predicted) == 5  # every layer but the depthwise one
    listed = {layer.node for layer in predicted if layer.largest_excess}
    assert {name for name, found in seen.items() if found.share} == listed
    assert sum(found.share > 0 for found in seen.values()) >= 4
    for layer in predicted:
        assert layer.relative_error == pytest.approx(seen[layer.node].relative_error, rel=0.5, abs=5e-3)


def test_the_form_that_the_avx2_profile_asks_for_cannot_saturate(source: Path, tmp_path: Path) -> None:
    scheme = device_profiles.load("x86-64-v3-avx2").quantization["onnxruntime"]
    model = int8(source, scheme, tmp_path / "int8.onnx")
    predicted = saturation(model, in_memory(open_model(source).inputs, samples_of(source)))
    assert len(predicted) == 5
    assert not any(layer.largest_excess for layer in predicted)
    if shutil.which(benchmark.EMULATOR) is None:
        pytest.skip(f"{benchmark.EMULATOR} is not installed (Debian: qemu-user-static); the list was checked")
    native, emulated = (
        benchmark.compute(tmp_path / "int8.onnx", samples_of(source), tmp_path, emulated=flag)[0]
        for flag in (False, True)
    )
    np.testing.assert_array_equal(native, emulated)


def test_the_largest_sums_there_are() -> None:
    weight = np.array([[127, 127], [127, -127], [-128, 127], [0, 127]], np.int8)
    specs = [TensorSpec("x", "uint8", ("N", 4))]
    (layer,) = saturation(product(weight), in_memory(specs, {"x": np.full((1, 4), 255, np.uint8)}))
    # Column 0: 255 * (127 + 127) and 255 * -128; column 1: 0 and 255 * (127 + 127).
    assert layer.largest_excess == 255 * 254 - 32767
    assert layer.share == 2 / 4
    exact = 255.0 * weight.sum(axis=0, dtype=np.int64)
    assert layer.relative_error == pytest.approx(np.sqrt(2) * layer.largest_excess / np.linalg.norm(exact))


@given(
    seed=st.integers(0, 2**16),
    channels=st.integers(1, 5),
    groups=st.integers(1, 3),
    window=st.integers(1, 3),
    stride=st.integers(1, 2),
    pad=st.integers(0, 2),
)
@settings(max_examples=25)
def test_a_convolution_is_what_its_pairs_add_up_to(
    seed: int, channels: int, groups: int, window: int, stride: int, pad: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.choice(np.array([-128, -100, 0, 90, 127], np.int8), (groups * 2, channels, window, window))
    image = rng.choice(np.array([0, 100, 200, 255], np.uint8), (2, groups * channels, 5, 5))
    operator = f"Conv<group={groups}, strides={[stride] * 2}, pads={[pad] * 4}>"
    shape = f"uint8[N,{groups * channels},5,5] x", f"float[N,{groups * 2},h,w] y"
    specs = [TensorSpec("x", "uint8", ("N", groups * channels, 5, 5))]
    (layer,) = saturation(product(weight, operator, *shape, zero=7), in_memory(specs, {"x": image}))
    padded = torch.from_numpy(np.pad(image, [(0, 0), (0, 0), (pad, pad), (pad, pad)], constant_values=7)).double()
    columns = torch.nn.functional.unfold(padded, window, stride=stride).numpy()
    columns = (
        columns.reshape(2, groups, channels, window**2, -1)
        .transpose(0, 1, 4, 3, 2)
        .reshape(2, groups, -1, 1, channels * window**2)
    )
    rows = weight.reshape(groups, 2, channels, -1).transpose(0, 1, 3, 2).reshape(1, groups, 1, 2, -1)
    products = (columns * rows).astype(np.int64)
    products = np.concatenate([products, np.zeros_like(products[..., :1])], axis=-1)
    sums = products[..., : products.shape[-1] // 2 * 2].reshape(*products.shape[:-1], -1, 2).sum(axis=-1)
    excess = sums - np.clip(sums, -32768, 32767)
    exact = products.sum(axis=-1) - 7 * rows.sum(axis=-1, dtype=np.int64)
    assert layer.share == pytest.approx(np.mean(excess != 0))
    assert layer.largest_excess == np.abs(excess).max()
    if exact.any():
        error = np.linalg.norm(excess.sum(axis=-1)) / np.linalg.norm(exact)
        assert layer.relative_error == pytest.approx(error, rel=1e-5)


def test_the_command_lists_them(cli: Callable[..., Any], source: Path) -> None:
    arguments = ("saturation", source, "--calibration", source.with_name("samples.npz"))
    listed = cli(*arguments)
    assert listed.code == 0, listed.err
    assert "of 5 layers with u8 activations and s8 weights saturate on 8 samples" in listed.out
    plain = json.loads(cli(*arguments, "--correction", "none", "--format", "json").out)
    assert any(layer["largest_excess"] for layer in plain)
    factory = source.with_name("data.py")
    factory.write_text(
        "import numpy as np\nfrom pathlib import Path\n"
        "def make():\n"
        "    for image in np.load(Path(__file__).with_name('samples.npz'))['image']:\n"
        "        yield {'image': image}\n"
    )
    yielded = cli("saturation", source, "--calibration", f"{factory}:make", "--correction", "none", "--format", "json")
    assert json.loads(yielded.out) == plain
    layers = json.loads(cli(*arguments, "--profile", "x86-64-v3-avx2", "--format", "json").out)
    assert [layer["largest_excess"] for layer in layers] == [0] * 5


def product(
    weight: Array,
    operator: str = "MatMul",
    given: str = "uint8[N,4] x",
    written: str = "float[N,2] y",
    zero: int = 0,
) -> ir.Model:
    text = f""" product ({given}) => ({written}) {{
        real = DequantizeLinear(x, one, zero)
        w = DequantizeLinear(weight, one, none)
        y = {operator}(real, w)
    }}"""
    proto = parser.parse_model(HEADER + text)
    constants = {"one": np.float32(1), "zero": np.uint8(zero), "none": np.int8(0), "weight": weight}
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items())
    return ir.from_proto(proto)
