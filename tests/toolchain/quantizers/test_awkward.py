"""Networks that stop other tools: control flow, recurrence, tables, and operators in unusual spellings."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from arithmetic import exactly
from networks import IMAGES, NETWORKS
from variants import error, make, normal, parse

from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from runtimes.verification.golden import relative_error
from toolchain.models.onnx_model import load_ir, weights_bytes
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

RECIPES = {
    "int8": Recipe("int8", "minmax", QuantizationScheme(contrib_ops=True), corrections=("bias",)),
    "symmetric": Recipe("int8", "percentile", QuantizationScheme("int8", symmetric=True, quantize_bias=False)),
    "int8-dynamic": Recipe("int8-dynamic", None, QuantizationScheme(contrib_ops=True)),
    "int8-storage": Recipe("int8-storage"),
    "fp16": Recipe("fp16", "minmax"),
    "fp16-storage": Recipe("fp16-storage"),
    "bf16-storage": Recipe("bf16-storage"),
}
TOLERANCES = {"int8": 5e-2, "symmetric": 5e-2, "int8-dynamic": 3e-2, "int8-storage": 2e-2, "fp16": 5e-3}

# A recipe without an operator to compute is refused, with a precision to use instead.
_NO_LARGE_MATRIX = (
    "branches",
    "what crosses a border",
    "batched weights",
    "a weight on the left",
    "upsampling",
    "one dimension",
    "three dimensions",
    "depthwise and shared",
)
REFUSED = {
    *(("int8-dynamic", name) for name in _NO_LARGE_MATRIX),
    ("int8", "a weight on the left"),
    ("symmetric", "a weight on the left"),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_an_awkward_network_computes_nearly_the_same(tmp_path: Path, name: str, recipe: str) -> None:
    network = NETWORKS[name]
    proto = parse(network.text, network.constants)
    if (recipe, name) in REFUSED:
        with pytest.raises(UsageError, match="int8-storage makes"):
            make(tmp_path, proto, RECIPES[recipe], network.samples)
    else:
        assert error(tmp_path, proto, RECIPES[recipe], network.samples) <= TOLERANCES.get(recipe, 1e-2)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["int8", "int8-dynamic"])
def test_the_kernels_of_this_cpu_compute_it_too(
    tmp_path: Path, cpu_scheme: QuantizationScheme, name: str, precision: str
) -> None:
    if (precision, name) in REFUSED:
        pytest.skip("nothing to compute in this recipe")
    network = NETWORKS[name]
    recipe = dataclasses.replace(RECIPES[precision], scheme=cpu_scheme)
    proto = parse(network.text, network.constants)
    step = 2 if cpu_scheme.reduce_range else 1  # with seven bits, a weight's steps are twice as wide
    assert error(tmp_path, proto, recipe, network.samples, ort.InferenceSession) <= step * TOLERANCES[precision]


@pytest.mark.parametrize("opset", [9, 11, 13, 18, 24])
@pytest.mark.parametrize("recipe", ["int8", "int8-storage"])
def test_opsets_from_nine_to_the_newest(tmp_path: Path, recipe: str, opset: int) -> None:
    text = """t (float[N,4,8,8] x) => (float[N,16,K] y) {
        a = Conv<pads=[1,1,1,1]>(x, w, b)
        r = Relu(a)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
        c = Conv<pads=[1,1,1,1]>(p, v)
        f = Reshape(c, shape)
        y = MatMul(f, u)
    }"""
    constants = {
        "w": normal(16, 4, 3, 3),
        "b": normal(16),
        "v": normal(16, 16, 3, 3),
        "shape": np.array([0, 16, -1]),
        "u": normal(16, 48),
    }
    assert error(tmp_path, parse(text, constants, opset=opset), RECIPES[recipe], IMAGES) <= 5e-2


@pytest.mark.parametrize("name", ["branches", "what crosses a border", "a loop around a branch", "loop", "scan"])
def test_what_subgraphs_compute_is_on_integers(tmp_path: Path, name: str) -> None:
    """ONNX Runtime fuses what int8 places there: nothing is left that multiplies in float."""
    network = NETWORKS[name]
    _, made = make(tmp_path, parse(network.text, network.constants), RECIPES["int8"], network.samples)
    found = optimized(made.path)
    assert sum(found[op] for op in ("QLinearConv", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat")) >= 2
    assert not {"Conv", "FusedConv", "MatMul", "Gemm"} & set(found)


def test_a_branch_that_no_sample_took_stays_in_float_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = NETWORKS["branches"]
    proto = parse(network.text, network.constants)
    positive = {"x": np.abs(normal(16, 4, 8, 8))}
    source, made = make(tmp_path, proto, RECIPES["int8"], positive)
    said = capsys.readouterr().err
    assert "tensors a, c;" in said
    assert "float32" in said
    found = optimized(made.path)
    assert found["QLinearConv"] == 1
    assert found["Conv"] + found["FusedConv"] == 2
    feeds = {"x": -positive["x"][:4]}
    outputs = [exactly(model.path, feeds)[0] for model in (made, source)]
    assert relative_error(*outputs) <= 1e-2  # its weights are int8, and nothing else


def test_calibration_that_reaches_nothing_says_so(tmp_path: Path) -> None:
    text = """t (float[N,64] x) => (float[N,64] y) {
        s = ReduceSum<keepdims=0>(x)
        p = Greater(s, zero)
        y = If(p) <
            then_branch = yes () => (float[N,64] t) { a = Relu(x) t = MatMul(a, w) },
            else_branch = no () => (float[N,64] e) { e = Neg(x) }
        >
    }"""
    proto = parse(text, {"w": normal(64, 64), "zero": np.float32(0)})
    with pytest.raises(UsageError, match="No calibration sample reached"):
        make(tmp_path, proto, RECIPES["int8"], {"x": -np.abs(normal(16, 64))})


def test_an_lstm_is_integer_where_the_runtime_knows_it_and_int8_in_the_file_elsewhere(tmp_path: Path) -> None:
    network = NETWORKS["LSTM"]
    proto = parse(network.text, network.constants)
    plain = dataclasses.replace(RECIPES["int8-dynamic"], scheme=QuantizationScheme())
    for recipe, op in ((RECIPES["int8-dynamic"], "DynamicQuantizeLSTM"), (plain, "LSTM"), (RECIPES["int8"], None)):
        source, made = make(tmp_path, proto, recipe, network.samples)
        assert op is None or any(node.op_type == op for node in load_ir(made.path).graph)
        assert made.path.stat().st_size < 0.35 * source.path.stat().st_size


@pytest.mark.parametrize("name", ["LSTM", "GRU with a state", "a tied table", "upsampling"])
@pytest.mark.parametrize("precision", ["int8", "int8-storage"])
def test_openvino_loads_what_has_no_operators_of_onnx_runtime(
    tmp_path: Path, cpu_scheme: QuantizationScheme, precision: str, name: str
) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    network = NETWORKS[name]
    scheme = dataclasses.replace(cpu_scheme, contrib_ops=False)
    recipe = dataclasses.replace(RECIPES[precision], scheme=scheme)
    source, made = make(tmp_path, parse(network.text, network.constants), recipe, network.samples)
    feeds = {name: array[:1] for name, array in network.samples.items()}
    outputs = openvino.Core().compile_model(str(made.path), "CPU")(feeds)
    reference = ort.InferenceSession(source.path).run(None, feeds)
    assert max(relative_error(np.asarray(outputs[i]), array) for i, array in enumerate(reference)) <= 5e-2


TENSORRT = QuantizationScheme("int8", symmetric=True, quantize_bias=False, integer_constants=False)


@pytest.mark.parametrize("name", ["embeddings and two inputs", "a tied table", "GRU with a state", "upsampling"])
def test_tensorrt_builds_int8_whose_constants_stay_before_a_dequantize_linear(tmp_path: Path, name: str) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    network = NETWORKS[name]
    recipe = Recipe("int8", "minmax", TENSORRT)
    _, made = make(tmp_path, parse(network.text, network.constants), recipe, network.samples)
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    definition = builder.create_network(0)
    assert trt.OnnxParser(definition, trt.Logger(trt.Logger.ERROR)).parse_from_file(str(made.path))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for index in range(definition.num_inputs):
        given = definition.get_input(index)
        shape = [1 if size < 0 else size for size in given.shape]
        profile.set_shape(given.name, shape, shape, shape)
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(definition, config) is not None


def test_storage_is_refused_where_the_runtime_cannot_read_it(tmp_path: Path) -> None:
    network = NETWORKS["upsampling"]
    proto, recipe = parse(network.text, network.constants), Recipe("int8-storage", None, TENSORRT)
    with pytest.raises(UsageError, match="int8-storage does not apply"):
        make(tmp_path, proto, recipe, network.samples)


@pytest.mark.parametrize("name", ["GRU with a state", "embeddings and two inputs", "a tied table", "batched weights"])
def test_stored_weights_take_a_quarter_and_are_gone_when_the_file_is_loaded(tmp_path: Path, name: str) -> None:
    network = NETWORKS[name]
    source, made = make(tmp_path, parse(network.text, network.constants), RECIPES["int8-storage"], network.samples)
    before, after = (weights_bytes(load_ir(model.path)) for model in (source, made))
    assert after < 0.3 * before
    ran, original = optimized(made.path), optimized(source.path)
    assert ran["DequantizeLinear"] == 0
    assert ran["MatMul"] + ran["Gemm"] + ran["GRU"] == original["MatMul"] + original["Gemm"] + original["GRU"]
    # Only tables are dequantized at run time, row by row as they are looked up.
    tables = sum(node.op_type == "Gather" for node in load_ir(source.path).graph)
    assert ran["Mul"] - original["Mul"] <= tables


def optimized(path: Path) -> Counter[str]:
    """The operators that ONNX Runtime runs."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".optimized.onnx"))
    options.log_severity_level = 3
    ort.InferenceSession(path, options)
    return Counter(node.op_type for node in load_ir(path.with_suffix(".optimized.onnx")).graph.all_nodes())
