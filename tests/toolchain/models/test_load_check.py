"""Files that ONNX Runtime refuses, crashes on or hangs on: found in a child process, repaired, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import tiny_models
from onnx import numpy_helper, parser

from runtimes.errors import BackendError
from runtimes.tensors import Array
from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.value_range import Range
from toolchain.models import load_check
from toolchain.models.onnx_model import OnnxModel, load_ir, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
FEEDS = {"x": np.ones((2, 4), np.float32)}


def write(path: Path, nodes: str, constants: Mapping[str, Array]) -> OnnxModel:
    """x float32[N,4] -> y; nodes are named after what they write."""
    proto = parser.parse_model(f"{HEADER} model (float[N,4] x) => (float[N,4] y) {{ {nodes} }}")
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    for node in proto.graph.node:
        node.name = f"node_{node.output[0]}"
    onnx.save(proto, path)
    return open_model(path)


def fails(model: OnnxModel, limit_s: float = load_check.LIMIT_S) -> tuple[str | None, str]:
    """The node that a file fails at, and why."""
    reason = load_check.find_failure(model.path, FEEDS, limit_s)
    assert reason is not None
    return load_check.find_failing_node(model.path, FEEDS, reason), reason


# The quotient of the smallest int64 and -1 is none: the processor raises SIGFPE (onnxruntime 1.31).
CRASH = """
    shape = Shape(x)
    nothing = Sub(shape, shape)
    least = Add(nothing, smallest)
    minus = Add(nothing, minus_one)
    ratio = Div(least, minus)
    real = Cast<to=1>(ratio)
    factor = ReduceMax<keepdims=0>(real)
    product = Mul(x, factor)
    y = Relu(product)
"""
CRASH_CONSTANTS = {"smallest": np.array([np.iinfo(np.int64).min]), "minus_one": np.array([-1])}


def test_a_good_file_passes(tmp_path: Path) -> None:
    assert load_check.find_failure(write(tmp_path / "m.onnx", "y = Relu(x)", {}).path, FEEDS) is None


def test_a_file_of_another_type_than_it_says_fails_at_the_node(tmp_path: Path) -> None:
    nodes = "a = Relu(x) b = Neg(a) c = Add(b, half) y = Cast<to=1>(c)"
    model = write(tmp_path / "m.onnx", nodes, {"half": np.ones(4, np.float16)})
    node, reason = fails(model)
    assert node == "node_c"
    assert "Type Error" in reason


def test_a_file_that_fails_as_it_runs_fails_at_the_node(tmp_path: Path) -> None:
    nodes = "a = Relu(x) s = Shape(a) t = Add(s, s) b = Reshape(a, t) y = Relu(b)"
    assert fails(write(tmp_path / "m.onnx", nodes, {}))[0] == "node_b"


def test_a_crash_of_the_runtime_is_an_error_that_names_the_node(tmp_path: Path) -> None:
    node, reason = fails(write(tmp_path / "m.onnx", CRASH, CRASH_CONSTANTS))
    assert node == "node_ratio"
    assert "crashed with SIGFPE" in reason


def test_a_hang_is_an_error_that_names_the_node(tmp_path: Path) -> None:
    endless = """
    y = Loop(times, go_on, x) <body = step (int64 i, bool c, float[N,4] a) => (bool d, float[N,4] b) {
        d = Identity(c)
        b = Add(a, a)
    }>"""
    constants = {"times": np.array(2**62), "go_on": np.array(True)}
    node, reason = fails(write(tmp_path / "m.onnx", endless, constants), limit_s=2)
    assert node == "node_y"
    assert "hung: no answer in 2 s" in reason


def test_a_type_that_the_runtime_has_no_kernels_for_is_not_the_files_fault(tmp_path: Path) -> None:
    nodes = "a = Cast<to=16>(x) b = Relu(a) y = Cast<to=1>(b)"
    assert load_check.find_failure(write(tmp_path / "m.onnx", nodes, {}).path, FEEDS) is None


Quantize = Callable[[ir.Model, Recipe, Mapping[str, Range]], ir.Model]


def halves_weights(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """A quantizer with a defect: it forgets to cast what the weights are multiplied with."""
    edits = Edits(model.graph)
    for node in model.graph:
        if node.op_type in ("Conv", "Gemm") and node.name not in recipe.keep:
            half = edits.constant("half", array_of(node.inputs[1]).astype(np.float16))
            node.replace_input_with(1, half)
    return model


def adds_a_crash(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """A quantizer with a worse one: all that it does cannot be run, whatever is kept."""
    edits, output = Edits(model.graph), model.graph.outputs[0]
    shape = edits.node("Shape", [output], "shape")
    nothing = edits.node("Sub", [shape.outputs[0], shape.outputs[0]], "nothing")
    operands = [
        edits.node("Add", [nothing.outputs[0], edits.constant(name, array)], f"{name}_made")
        for name, array in CRASH_CONSTANTS.items()
    ]
    ratio = edits.node("Div", [node.outputs[0] for node in operands], "ratio")
    model.graph.extend([shape, nothing, *operands, ratio])
    ratio.outputs[0].type, ratio.outputs[0].shape = ir.TensorType(ir.DataType.INT64), ir.Shape([None])
    model.graph.outputs.append(ratio.outputs[0])
    return model


def test_what_the_runtime_refuses_is_made_again_without_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolchain.quantizers.fp16_storage.quantize", halves_weights)
    source = open_model(tiny_models.conv(tmp_path / "m.onnx"))
    made = quantize(source, Recipe("fp16-storage"), None, tmp_path / "made.onnx")
    products = {str(node.name) for node in load_ir(made.path).graph if node.op_type in ("Conv", "Gemm")}
    assert set(made.kept) == products
    assert load_check.find_failure(made.path, tiny_models.samples("conv", 1)) is None


def test_what_cannot_be_repaired_is_refused_with_the_node_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolchain.quantizers.fp16_storage.quantize", adds_a_crash)
    source = open_model(tiny_models.conv(tmp_path / "m.onnx"))
    with pytest.raises(BackendError, match="at the node 'ratio': it crashed with SIGFPE"):
        quantize(source, Recipe("fp16-storage"), None, tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()


def test_feeds_that_the_source_does_not_take_say_nothing(tmp_path: Path) -> None:
    """Random tokens may be no tokens of the model."""
    nodes = """
        tokens = Cast<to=7>(x)
        beyond = Add(tokens, far)
        words = Gather(table, beyond)
        features = MatMul(x, w)
        y = Add(features, words)
    """
    constants = {
        "w": np.eye(4, dtype=np.float32),
        "far": np.array(1000),
        "table": np.ones(8, np.float32),
    }
    source = write(tmp_path / "m.onnx", nodes, constants)
    assert load_check.find_failure(source.path, FEEDS) is not None
    assert quantize(source, Recipe("bf16-storage"), None, tmp_path / "made.onnx").kept == ()
