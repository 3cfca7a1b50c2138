"""Networks that stop other tools: control flow, recurrence, tables, and operators in unusual spellings."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from variants import error, make, normal, parse

from runtimes.errors import UsageError
from runtimes.golden import relative_error
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.model import load_ir, weights_bytes
from toolchain.recipe import Recipe

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


@dataclass(frozen=True)
class Network:
    """ONNX text in opset 17, its constants and its samples."""

    text: str
    constants: Mapping[str, object]
    samples: Mapping[str, Array]


IMAGES = {"x": normal(32, 4, 8, 8)}
ROWS = {"x": normal(32, 64)}
STEPS = {"x": normal(32, 6, 64)}  # a sample is a sequence of its own
WORDS = {
    "tokens": np.random.default_rng(0).integers(0, 50, (32, 6)),
    "mask": np.random.default_rng(1).integers(0, 2, (32, 6)).astype(bool),
}

NETWORKS = {
    "branches": Network(
        """t (float[N,4,8,8] x) => (float[N,8,8,8] y) {
            s = ReduceSum<keepdims=0>(x)
            p = Greater(s, zero)
            y = If(p) <
                then_branch = yes () => (float[N,8,8,8] t) {
                    a = Conv<pads=[1,1,1,1]>(x, w, b)
                    t = Relu(a)
                },
                else_branch = no () => (float[N,8,8,8] e) {
                    a = Conv<pads=[1,1,1,1]>(x, w)
                    c = Conv<pads=[1,1,1,1]>(a, v)
                    e = Neg(c)
                }
            >
        }""",
        {"w": normal(8, 4, 3, 3), "v": normal(8, 8, 3, 3), "b": normal(8), "zero": np.float32(0)},
        IMAGES,
    ),
    "what crosses a border": Network(
        """t (float[N,4,8,8] x) => (float[N,8,8,8] y, float[N,8,8,8] h) {
            g = Conv<pads=[1,1,1,1]>(x, w, b)
            h = Relu(g)
            s = ReduceSum<keepdims=0>(x)
            p = Greater(s, zero)
            y = If(p) <
                then_branch = yes () => (float[N,8,8,8] t) { t = Conv<pads=[1,1,1,1]>(h, v) },
                else_branch = no () => (float[N,8,8,8] e) { e = Sub(h, one) }
            >
        }""",
        {"w": normal(8, 4, 3, 3), "v": normal(8, 8, 3, 3), "b": normal(8), "zero": np.float32(0), "one": np.float32(1)},
        IMAGES,
    ),
    "loop": Network(
        """t (float[1,64] x) => (float[1,64] y, float[A,1,32] heads, float[B,64] all) {
            y, all, heads = Loop(trips, true, x, x) <
                body = step (int64 i, bool go, float[1,64] state, float[C,64] list)
                    => (bool on, float[1,64] next, float[D,64] longer, float[1,32] head) {
                    on = Identity(go)
                    a = MatMul(state, w)
                    next = Tanh(a)
                    longer = Concat<axis=0>(list, next)
                    head = MatMul(next, v)
                }
            >
        }""",
        {"w": normal(64, 64, scale=0.1), "v": normal(64, 32), "trips": np.int64(3), "true": np.bool_(True)},
        {"x": normal(32, 1, 64)[:, 0]},
    ),
    "a loop around a branch": Network(
        """t (float[1,64] x) => (float[1,64] y) {
            y = Loop(trips, true, x) <
                body = step (int64 i, bool go, float[1,64] state) => (bool on, float[1,64] next) {
                    on = Identity(go)
                    odd = Equal(i, one)
                    next = If(odd) <
                        then_branch = yes () => (float[1,64] t) { a = MatMul(state, w) t = Tanh(a) },
                        else_branch = no () => (float[1,64] e) { a = MatMul(state, v) e = Sigmoid(a) }
                    >
                }
            >
        }""",
        {
            "w": normal(64, 64, scale=0.1),
            "v": normal(64, 64, scale=0.2),
            "one": np.int64(1),
            "trips": np.int64(3),
            "true": np.bool_(True),
        },
        {"x": normal(32, 64)},
    ),
    "scan": Network(
        """t (float[6,64] x) => (float[1,64] last, float[6,1,32] y) {
            last, y = Scan(zeros, x) <
                num_scan_inputs = 1,
                body = step (float[1,64] state, float[64] row) => (float[1,64] next, float[1,32] head) {
                    a = MatMul(state, w)
                    b = Add(a, row)
                    next = Tanh(b)
                    head = MatMul(next, v)
                }
            >
        }""",
        {"w": normal(64, 64, scale=0.1), "v": normal(64, 32), "zeros": np.zeros((1, 64), np.float32)},
        {"x": normal(8 * 6, 64)},
    ),
    "weights in Constant nodes": Network(
        f"""t (float[N,64] x) => (float[N,64] y) {{
            w = Constant<value = float[64,64] {{{",".join(str(i * i % 13 - 6) for i in range(4096))}}}>()
            y = MatMul(x, w)
        }}""",
        {},
        ROWS,
    ),
    "batched weights": Network(
        """t (float[N,5,4,64] x) => (float[N,5,4,32] y) { h = MatMul(x, w) y = MatMul(h, v) }""",
        {"w": normal(5, 64, 32), "v": normal(32, 32)},
        {"x": normal(16, 5, 4, 64)},
    ),
    "a weight on the left": Network(
        """t (float[N,64,8] x) => (float[N,32,8] y) { y = MatMul(w, x) }""",
        {"w": normal(32, 64)},
        {"x": normal(16, 64, 8)},
    ),
    "Gemm that scales and transposes": Network(
        """t (float[64,8] x) => (float[8,48] y) {
            h = Gemm<transA=1, alpha=0.5, beta=2.0>(x, w, b)
            r = Relu(h)
            y = Gemm<transB=1, alpha=0.1>(r, v)
        }""",
        {"w": normal(64, 80), "b": normal(8, 80), "v": normal(48, 80)},
        {"x": normal(16 * 64, 8)},
    ),
    "upsampling": Network(
        """t (float[N,4,8,8] x) => (float[N,8,32,32] y) {
            a = Conv<pads=[1,1,1,1]>(x, w)
            b = ConvTranspose<strides=[2,2]>(a, up, bias)
            y = ConvTranspose<strides=[2,2], group=4>(b, grouped)
        }""",
        {"w": normal(16, 4, 3, 3), "up": normal(16, 8, 2, 2), "bias": normal(8), "grouped": normal(8, 2, 2, 2)},
        IMAGES,
    ),
    "one dimension": Network(
        """t (float[N,4,64] x) => (float[N,64,L] y) {
            a = Conv<pads=[1,1], strides=[2]>(x, w)
            y = Conv<auto_pad="SAME_UPPER", group=64>(a, v, b)
        }""",
        {"w": normal(64, 4, 3), "v": normal(64, 1, 3), "b": normal(64)},
        {"x": normal(32, 4, 64)},
    ),
    "three dimensions": Network(
        """t (float[N,2,6,6,6] x) => (float[N,16,6,6,6] y) {
            a = Conv<pads=[1,1,1,1,1,1]>(x, w, b)
            r = Relu(a)
            y = Conv<pads=[1,1,1,1,1,1]>(r, v)
        }""",
        {"w": normal(16, 2, 3, 3, 3), "v": normal(16, 16, 3, 3, 3), "b": normal(16)},
        {"x": normal(16, 2, 6, 6, 6)},
    ),
    "depthwise and shared": Network(
        """t (float[N,64,H,W] x) => (float[N,64,H,W] y) {
            a = Conv<pads=[1,1,1,1], group=64>(x, d)
            b = Conv<pads=[1,1,1,1], group=64>(a, d, c)
            e = Clip(b, low, high)
            f = Conv(e, point)
            g = Conv(f, point)
            y = Add(f, g)
        }""",
        {
            "d": normal(64, 1, 3, 3),
            "c": normal(64),
            "point": normal(64, 64, 1, 1),
            "low": np.float32(0),
            "high": np.float32(6),
        },
        {"x": normal(32, 64, 8, 8)},
    ),
    "embeddings and two inputs": Network(
        """t (int64[N,6] tokens, bool[N,6] mask) => (float[N,80] y) {
            e = Gather(table, tokens)
            p = Gather(places, order)
            s = Add(e, p)
            f = Cast<to=1>(mask)
            u = Unsqueeze(f, axes)
            k = Mul(s, u)
            m = ReduceMean<axes=[1], keepdims=0>(k)
            y = Gemm(m, w, b)
        }""",
        {
            "table": normal(50, 64),
            "places": normal(12, 64),
            "order": np.arange(6),
            "w": normal(64, 80),
            "b": normal(80),
            "axes": np.array([2]),
        },
        WORDS,
    ),
    "a tied table": Network(
        """t (int64[N,6] tokens) => (float[N,50] y) {
            e = Gather(table, tokens)
            m = ReduceMean<axes=[1], keepdims=0>(e)
            h = MatMul(m, w)
            r = Tanh(h)
            y = Gemm<transB=1>(r, table)
        }""",
        {"table": normal(50, 96), "w": normal(96, 96, scale=0.1)},
        {"tokens": WORDS["tokens"]},
    ),
    "one-hot": Network(
        """t (int64[N,6] tokens) => (float[N,6,32] y) {
            e = OneHot(tokens, depth, values)
            h = MatMul(e, w)
            r = Relu(h)
            y = MatMul(r, v)
        }""",
        {"depth": np.int64(50), "values": np.array([0, 1], np.float32), "w": normal(50, 96), "v": normal(96, 32)},
        {"tokens": WORDS["tokens"]},
    ),
    "LSTM": Network(
        """t (float[N,6,64] x) => (float[6,2,N,32] y, float[2,N,32] h, float[N,6,80] z) {
            s = Transpose<perm=[1,0,2]>(x)
            y, h, c = LSTM<hidden_size=32, direction="bidirectional">(s, w, r, b)
            z = MatMul(x, v)
        }""",
        {
            "w": normal(2, 128, 64, scale=0.2),
            "r": normal(2, 128, 32, scale=0.2),
            "b": normal(2, 256, scale=0.2),
            "v": normal(64, 80),
        },
        STEPS,
    ),
    "GRU with a state": Network(
        """t (float[N,6,64] x, float[N,32] state) => (float[6,1,N,32] y, float[1,N,32] h, float[N,6,80] z) {
            s = Transpose<perm=[1,0,2]>(x)
            i = Unsqueeze(state, axes)
            y, h = GRU<hidden_size=32, linear_before_reset=1>(s, w, r, b, , i)
            z = MatMul(x, v)
        }""",
        {
            "w": normal(1, 96, 64, scale=0.2),
            "r": normal(1, 96, 32, scale=0.2),
            "b": normal(1, 192, scale=0.2),
            "v": normal(64, 80),
            "axes": np.array([0]),
        },
        {**STEPS, "state": normal(32, 32)},
    ),
}


# Where a recipe has nothing to compute it says so, and what to use.
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
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = NETWORKS["branches"]
    proto = parse(network.text, network.constants)
    positive = {"x": np.abs(normal(16, 4, 8, 8))}
    source, made = make(tmp_path, proto, RECIPES["int8"], positive)
    assert caplog.messages == [
        "No calibration sample reached 2 of 4 tensors, such as 'a'; int8 leaves in float32 what computes them."
    ]
    found = optimized(made.path)
    assert found["QLinearConv"] == 1
    assert found["Conv"] + found["FusedConv"] == 2
    feeds = {"x": -positive["x"][:4]}
    outputs = [ort.InferenceSession(model.path).run(None, feeds)[0] for model in (made, source)]
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
def test_openvino_loads_what_has_no_operators_of_onnx_runtime(tmp_path: Path, precision: str, name: str) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    network = NETWORKS[name]
    recipe = dataclasses.replace(RECIPES[precision], scheme=QuantizationScheme())
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
    # What is left of turning integers back belongs to tables, whose rows are turned back as they are looked up.
    tables = sum(node.op_type == "Gather" for node in load_ir(source.path).graph)
    assert ran["Mul"] - original["Mul"] <= tables


def optimized(path: Path) -> Counter[str]:
    """The operators that ONNX Runtime runs."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".optimized.onnx"))
    options.log_severity_level = 3
    ort.InferenceSession(path, options)
    return Counter(node.op_type for node in load_ir(path.with_suffix(".optimized.onnx")).graph.all_nodes())
