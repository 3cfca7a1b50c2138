"""A stand-in for an engine computes the engine's graph, and not what this CPU's fused kernels make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from hwbench.data import dataset
from runtimes import npz
from runtimes.backends import onnxruntime as backend
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.builders import onnxruntime as builder
from toolchain.candidates.emulated_engine import stand_in
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel, is_quantized, load_ir, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.int8_sample, pytest.mark.usefixtures("one_process")]

SCHEME = QuantizationScheme("int8", symmetric=True, quantize_bias=False, integer_constants=False)
RECIPE = Recipe("int8", "minmax", SCHEME, for_runtime="tensorrt")


def dead_channel(folder: Path) -> OnnxModel:
    """Two Convs; in one channel of the first, folding BatchNorm left weights of 1e-11 beside a bias of 0.5."""
    text = """dead (float[N,3,8,8] x) => (float[N,4,8,8] y) {
        a = Conv<pads=[1,1,1,1]>(x, first, bias)
        b = Relu(a)
        y = Conv<pads=[1,1,1,1]>(b, second)
    }"""
    rng = np.random.default_rng(0)
    first = rng.normal(0, 0.3, (8, 3, 3, 3))
    first[3] *= 1e-11
    return saved(folder, text, first=first, bias=np.full(8, 0.5), second=rng.normal(0, 0.3, (4, 8, 3, 3)))


def large_sums(folder: Path) -> OnnxModel:
    """A product whose s8 x s8 pairs are beyond int16."""
    text = "large (float[N,3,8,8] x) => (float[N,3,8,64] y) { y = MatMul(x, w) }"
    return saved(folder, text, w=np.random.default_rng(0).choice([-1.0, 1.0], (8, 64)))


def feed_forward(folder: Path) -> OnnxModel:
    """A transformer's feed-forward layers, between a residual sum and a normalization."""
    text = """forward (float[N,3,8,8] x) => (float[N,3,8,8] y) {
        a = MatMul(x, up) b = Add(a, wide) c = Relu(b) d = MatMul(c, down) e = Add(d, narrow) f = Add(e, x)
        y = LayerNormalization(f, narrow)
    }"""
    rng = np.random.default_rng(0)
    arrays = {"up": rng.normal(0, 0.3, (8, 32)), "wide": rng.normal(0, 0.1, 32), "down": rng.normal(0, 0.2, (32, 8))}
    return saved(folder, text, **arrays, narrow=rng.normal(0, 1, 8))


def group_normalization(folder: Path) -> OnnxModel:
    """A function of opset 21, which ONNX Runtime's optimisations make invalid between pairs with signed zero points."""
    text = """group (float[N,3,8,8] x) => (float[N,4,8,8] y) {
        a = Conv<pads=[1,1,1,1]>(x, first)
        b = GroupNormalization<num_groups=2>(a, scale, shift)
        c = Relu(b)
        y = Conv<pads=[1,1,1,1]>(c, second)
    }"""
    rng = np.random.default_rng(0)
    filters = {"first": rng.normal(0, 0.3, (8, 3, 3, 3)), "second": rng.normal(0, 0.3, (4, 8, 3, 3))}
    return saved(folder, text, 21, **filters, scale=rng.uniform(0.5, 2, 8), shift=rng.normal(0, 1, 8))


def saved(folder: Path, text: str, opset: int = 17, **constants: Array) -> OnnxModel:
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> {text}')
    arrays = {name: array.astype(np.float32) for name, array in constants.items()}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.save(proto, folder / "source.onnx")
    return open_model(folder / "source.onnx")


@pytest.mark.parametrize("network", [dead_channel, large_sums, feed_forward, group_normalization])
def test_it_computes_what_the_graph_says(tmp_path: Path, network) -> None:  # type: ignore[no-untyped-def]
    source = network(tmp_path)
    feeds = {"x": np.random.default_rng(1).standard_normal((16, 3, 8, 8)).astype(np.float32)}
    np.savez(tmp_path / "samples.npz", **feeds)  # type: ignore[arg-type]
    made = quantize(source, RECIPE, dataset.read(tmp_path / "samples.npz", source.inputs), tmp_path / "int8.onnx")
    engine = engine_of(made, tmp_path)
    shown = stand_in(engine, made, RECIPE, tmp_path / "stand-in")
    with backend.load(shown, shown.file.read_bytes()) as session:
        found = session.run(feeds)["y"]
    assert relative_error(found, ort_session.session(source.path).run(None, feeds)[0]) < 0.02
    assert shown.settings.threads == 2
    assert made.kept == ()


def test_what_onnx_runtime_breaks_on_the_device_itself_stays_in_float_there(tmp_path: Path) -> None:
    """An ARM board's ONNX Runtime optimises its graph, so that a product before the normalization has to give way."""
    source = group_normalization(tmp_path)
    samples = {"x": np.random.default_rng(1).standard_normal((4, 3, 8, 8)).astype(np.float32)}
    npz.write(tmp_path / "samples.npz", samples)
    recipe = Recipe("int8", "minmax", QuantizationScheme("int8", contrib_ops=True))
    made = quantize(source, recipe, dataset.read(tmp_path / "samples.npz", source.inputs), tmp_path / "int8.onnx")
    assert len(made.kept) == 1
    assert is_quantized(load_ir(made.path))


def engine_of(made: OnnxModel, folder: Path) -> Artifact:
    (folder / "engine").mkdir()
    return builder.build(made, RECIPE, RuntimeSettings(2), folder / "engine")
