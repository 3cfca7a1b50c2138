"""Promises that every quantizer keeps, on real graphs in a real runtime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import tiny_models
from arithmetic import exactly
from onnx.reference import ReferenceEvaluator

from hwbench.data import dataset
from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.models.onnx_model import OnnxModel, load_ir, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]
PRECISIONS = plugins.names("toolchain.quantizers")
# The largest ||y - y_fp32|| / ||y_fp32|| that a precision may cost on these shallow models.
TOLERANCES = {
    "fp32": 0.0,
    "fp16": 5e-3,
    "bf16": 3e-2,
    "fp16-storage": 5e-3,
    "bf16-storage": 2e-2,
    "int8": 5e-2,
    "int8-storage": 2e-2,
}


def variant(tmp_path: Path, name: str, recipe: Recipe, opset: int | None = None) -> tuple[OnnxModel, OnnxModel]:
    """A tiny model and what a recipe makes of it."""
    maker = getattr(tiny_models, name)
    source = open_model(maker(tmp_path / "source.onnx", opset) if opset else maker(tmp_path / "source.onnx"))
    np.savez(tmp_path / "samples.npz", **tiny_models.samples(name, 64))
    samples = dataset.read(tmp_path / "samples.npz", source.inputs)
    return source, quantize(source, recipe, samples, tmp_path / "variant.onnx")


def run(model: OnnxModel, feeds: dict[str, Array], **options: object) -> Array:
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    for key, value in options.items():
        setattr(settings, key, value)
    output: Array = ort.InferenceSession(model.path, settings).run(None, feeds)[0]
    return output


def recipe_for(precision: str, scheme: QuantizationScheme | None = None, keep: tuple[str, ...] = ()) -> Recipe:
    return Recipe(precision, "minmax" if precision == "int8" else None, scheme, keep)


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in load_ir(path).graph.all_nodes())


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name not in ("bf16", "int8-dynamic")])
@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21])
def test_a_variant_is_valid_and_computes_nearly_the_same(tmp_path: Path, precision: str, opset: int) -> None:
    source, made = variant(tmp_path, "conv", recipe_for(precision), opset)
    onnx.checker.check_model(str(made.path), full_check=True)
    assert [(s.name, s.dtype) for s in made.inputs + made.outputs] == [
        (s.name, s.dtype) for s in source.inputs + source.outputs
    ]
    feeds = tiny_models.samples("conv", 8)
    output = exactly(made.path, feeds)[0] if precision == "int8" else run(made, feeds)
    assert relative_error(output, run(source, feeds)) <= TOLERANCES[precision]


@pytest.mark.parametrize("opset", [9, 13, 17, 21])
def test_bf16_is_valid_and_keeps_inputs_and_outputs(tmp_path: Path, opset: int) -> None:
    source, made = variant(tmp_path, "conv", recipe_for("bf16"), opset)
    onnx.checker.check_model(str(made.path), full_check=True)  # types every tensor, so a wrong Cast shows
    assert made.inputs == source.inputs
    assert [(s.name, s.dtype) for s in made.outputs] == [(s.name, s.dtype) for s in source.outputs]
    graph = load_ir(made.path).graph
    products = [node for node in graph if node.op_type in ("Conv", "Gemm")]
    assert {value.dtype for node in products for value in node.inputs if value} == {ir.DataType.BFLOAT16}


def test_bf16_computes_nearly_the_same_in_openvino(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed; ONNX Runtime has no bf16 kernels")
    source, made = variant(tmp_path, "conv", recipe_for("bf16"))
    feeds = tiny_models.samples("conv", 8)
    compiled = openvino.Core().compile_model(str(made.path), "CPU")
    assert relative_error(np.asarray(compiled(feeds)[0]), run(source, feeds)) <= TOLERANCES["bf16"]


@pytest.mark.parametrize("precision", ["fp16-storage", "bf16-storage"])
def test_storage_halves_the_file_and_computes_in_float32(tmp_path: Path, precision: str) -> None:
    source, made = variant(tmp_path, "conv", recipe_for(precision))
    graph = load_ir(made.path).graph
    assert {node.op_type for node in graph} - {node.op_type for node in load_ir(source.path).graph} <= {"Cast"}
    largest = max(graph.initializers.values(), key=lambda value: value.const_value.size if value.const_value else 0)
    assert largest.dtype is not None
    assert largest.dtype.itemsize == 2


@pytest.mark.parametrize(
    "scheme",
    [
        QuantizationScheme("uint8"),
        QuantizationScheme("uint8", reduce_range=True),
        QuantizationScheme("int8"),
        QuantizationScheme("int8", symmetric=True, quantize_bias=False),
        QuantizationScheme("uint8", per_channel=False),
    ],
    ids=["vnni", "avx2", "arm", "tensorrt", "per-tensor"],
)
def test_int8_follows_the_scheme(tmp_path: Path, scheme: QuantizationScheme) -> None:
    source, made = variant(tmp_path, "conv", recipe_for("int8", scheme))
    graph = load_ir(made.path).graph
    for node in graph:
        if node.op_type == "QuantizeLinear":
            zero_point = constant(node.inputs[2])
            assert zero_point.dtype == scheme.activations
            assert not scheme.symmetric or zero_point == 0
    integers = {name: v for name, v in graph.initializers.items() if name.endswith(".integers")}
    weights = {name: value for name, value in integers.items() if value.dtype == ir.DataType.INT8}
    assert len(weights) == 2
    largest = [np.abs(constant(value).astype(int)).max() for value in weights.values()]
    assert all(64 <= size <= 127 if scheme.reduce_range else size == 127 for size in largest)
    scales = [graph.initializers[name.replace(".integers", ".scale")] for name in weights]
    assert all((constant(value).ndim == 1) == scheme.per_channel for value in scales)
    assert any(value.dtype == ir.DataType.INT32 for value in graph.initializers.values()) == scheme.quantize_bias
    feeds = tiny_models.samples("conv", 8)
    assert relative_error(exactly(made.path, feeds)[0], run(source, feeds)) <= TOLERANCES["int8"]


def test_onnx_runtime_fuses_what_int8_places(tmp_path: Path, cpu_scheme: QuantizationScheme) -> None:
    source, made = variant(tmp_path, "conv", recipe_for("int8", cpu_scheme))
    optimized = tmp_path / "optimized.onnx"
    feeds = tiny_models.samples("conv", 8)
    fused = run(made, feeds, optimized_model_filepath=str(optimized))
    assert relative_error(fused, run(source, feeds)) <= TOLERANCES["int8"]
    found = operators(optimized)
    assert found["QLinearConv"] == operators(tmp_path / "source.onnx")["Conv"]
    assert found["QGemm"] == operators(tmp_path / "source.onnx")["Gemm"]
    assert found["QuantizeLinear"] == 1  # of the input
    assert not found["Relu"]


def test_a_kept_node_stays_in_float(tmp_path: Path) -> None:
    source, _ = variant(tmp_path, "conv", recipe_for("fp32"))
    from toolchain.models.prepare import prepare

    conv = next(node for node in prepare(source).graph if node.op_type == "Conv")
    _, made = variant(tmp_path, "conv", recipe_for("int8", keep=(str(conv.name),)))
    kept = next(node for node in load_ir(made.path).graph if node.name == conv.name)
    assert kept.inputs[1] is not None
    assert kept.inputs[1].is_initializer()
    assert kept.inputs[1].dtype == ir.DataType.FLOAT


def test_where_every_node_is_kept_no_sample_is_blamed(tmp_path: Path) -> None:
    source, _ = variant(tmp_path, "conv", recipe_for("fp32"))
    from toolchain.models.prepare import prepare
    from toolchain.quantizers import int8

    every = tuple(str(node.name) for node in prepare(source).graph)
    for keep, told in ((every, "Every operator that int8 could compute stays in float"), ((), "No calibration sample")):
        with pytest.raises(UsageError, match=told):
            int8.quantize(prepare(source), recipe_for("int8", keep=keep), {})


def test_a_shared_weight_is_stored_once(tmp_path: Path) -> None:
    text = """ shared (float[N,64] x) => (float[N,64] y) {
        a = MatMul(x, w)
        b = Relu(a)
        y = MatMul(b, w)
    }"""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>{text}')
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save(proto, tmp_path / "shared.onnx")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(1).standard_normal((32, 64)).astype(np.float32))
    source = open_model(tmp_path / "shared.onnx")
    samples = dataset.read(tmp_path / "x.npz", source.inputs)
    for precision in ("int8", "int8-dynamic"):
        made = quantize(source, recipe_for(precision), samples, tmp_path / f"{precision}.onnx")
        wide = [
            v for v in load_ir(made.path).graph.initializers.values() if v.const_value and v.const_value.size == 4096
        ]
        assert [value.dtype for value in wide] == [ir.DataType.INT8]


def test_dynamic_int8_computes_nearly_the_same_and_fuses(tmp_path: Path, cpu_scheme: QuantizationScheme) -> None:
    text = """ products (float[N,64] x) => (float[N,32] y) {
        a = MatMul(x, w)
        b = Relu(a)
        y = Gemm<transB=1>(b, v, c)
    }"""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>{text}')
    for name, shape in {"w": (64, 128), "v": (32, 128), "c": (32,)}.items():
        proto.graph.initializer.append(
            onnx.numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        )
    onnx.save(proto, tmp_path / "products.onnx")
    source = open_model(tmp_path / "products.onnx")
    made = quantize(source, recipe_for("int8-dynamic", cpu_scheme), None, tmp_path / "dynamic.onnx")
    feeds = {"x": rng.standard_normal((8, 64)).astype(np.float32)}
    assert relative_error(run(made, feeds), run(source, feeds)) <= 3e-2
    optimized = tmp_path / "optimized.onnx"
    run(made, feeds, optimized_model_filepath=str(optimized))
    assert operators(optimized)["DynamicQuantizeMatMul"] == 2


@pytest.mark.filterwarnings("ignore:(overflow|invalid value)")  # the naive variant's, which is the point
def test_fp16_keeps_in_float32_what_would_overflow(tmp_path: Path) -> None:
    text = """ loud (float[N,4] x) => (float[N,4] y) {
        big = MatMul(x, w)
        other = MatMul(x, v)
        y = Sub(big, other)
    }"""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>{text}')
    for name, size in {"w": 3e4, "v": 2e4}.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32) * size, name))
    onnx.save(proto, tmp_path / "loud.onnx")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(1).uniform(3, 5, (16, 4)).astype(np.float32))
    source = open_model(tmp_path / "loud.onnx")
    samples = dataset.read(tmp_path / "x.npz", source.inputs)
    made = quantize(source, Recipe("fp16", "minmax"), samples, tmp_path / "fp16.onnx")
    feeds = {"x": samples.arrays["x"][:4]}
    # onnx's own evaluator really computes in fp16, which ONNX Runtime does not on x86.
    assert relative_error(evaluate(made, feeds), run(source, feeds)) <= 5e-3
    naive = quantize(source, Recipe("fp16"), None, tmp_path / "naive.onnx")
    assert not relative_error(evaluate(naive, feeds), run(source, feeds)) <= 0.5


def evaluate(model: OnnxModel, feeds: dict[str, Array]) -> Array:
    output: Array = ReferenceEvaluator(str(model.path)).run(None, feeds)[0]
    return output


def constant(value: ir.Value | None) -> Array:
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy()
