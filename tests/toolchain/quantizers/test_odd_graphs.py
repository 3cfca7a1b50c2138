"""Graphs as exporters and people really write them, through every quantizer that computes in ONNX Runtime."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from variants import error, make, normal, parse, rename

from runtimes import plugins
from runtimes.profile import QuantizationScheme
from toolchain.models.onnx_model import load_ir, open_model
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

INT8 = Recipe("int8", "minmax", QuantizationScheme(), corrections=("bias",))
DYNAMIC = Recipe("int8-dynamic", None, QuantizationScheme())
RECIPES = [INT8, DYNAMIC, Recipe("fp16", "minmax"), Recipe("fp16-storage"), Recipe("bf16-storage")]
SAMPLES = {"x": normal(16, 64)}
IMAGES = {"x": normal(16, 3, 8, 8)}

every_precision = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.precision)


@pytest.mark.parametrize("name", plugins.names("toolchain.quantizers"))
def test_a_quantizer_declares_what_others_need_to_know(name: str) -> None:
    quantizer = plugins.load("toolchain.quantizers", name, "precision")
    assert quantizer.COMPUTES_IN in ("fp32", "fp16", "bf16", "int8")
    assert quantizer.NEEDS_RANGES in ("no", "optional", "yes")
    assert hasattr(quantizer, "tensors") == (quantizer.NEEDS_RANGES != "no")
    assert 0 < quantizer.GOLDEN_TOLERANCE < 0.1


@every_precision
@pytest.mark.parametrize("hidden", [64, 80])
def test_a_weight_that_is_also_read_transposed(tmp_path: Path, recipe: Recipe, hidden: int) -> None:
    text = """tied (float[N,64] x) => (float[N,64] y) {
        h = Gemm(x, w, b)
        r = Relu(h)
        y = Gemm<transB=1>(r, w, c)
    }"""
    # Rows of very different sizes: scales of one axis are of no use to the other.
    weight = normal(64, hidden) * np.logspace(0, -6, 64, dtype=np.float32)[:, None]
    proto = parse(text, {"w": weight, "b": normal(hidden), "c": normal(64)})
    assert error(tmp_path, proto, recipe, SAMPLES) <= 5e-2


@every_precision
def test_names_that_are_taken_already(tmp_path: Path, recipe: Recipe) -> None:
    text = """taken (float[N,64] x) => (float[N,64] y) {
        h = Gemm(x, w, b)
        m = Mul(h, k)
        y = MatMul(m, v)
    }"""
    proto = parse(text, {"w": normal(64, 80), "b": normal(80), "k": normal(80), "v": normal(80, 64)})
    rename(proto, {"w": "fc1.weight", "b": "fc1.bias", "k": "x.scale", "h": "fc1.weight.half", "m": "fc2.weight"})
    proto.graph.node[0].name, proto.graph.node[2].name = "fc1", "fc2"
    assert error(tmp_path, proto, recipe, SAMPLES) <= 5e-2


@every_precision
def test_a_weight_that_is_an_output(tmp_path: Path, recipe: Recipe, caplog: pytest.LogCaptureFixture) -> None:
    text = "t (float[N,64] x) => (float[N,80] y, float[64,80] w) { h = MatMul(x, w) y = Relu(h) }"
    with caplog.at_level(logging.WARNING):
        assert error(tmp_path, parse(text, {"w": normal(64, 80)}), recipe, SAMPLES) <= 5e-2
    assert caplog.messages == []


def test_a_clamp_in_a_branch_is_not_the_convs(tmp_path: Path) -> None:
    text = """branch (float[N,3,8,8] x) => (float[N,8,8,8] y) {
        c = Conv<pads=[1,1,1,1]>(x, w, b)
        s = ReduceSum<keepdims=0>(x)
        p = Greater(s, zero)
        y = If(p) <
            then_branch = yes () => (float[N,8,8,8] t) { t = Relu(c) },
            else_branch = no () => (float[N,8,8,8] e) { e = Expand(one, shape) }
        >
    }"""
    constants = {"w": normal(8, 3, 3, 3), "b": normal(8), "zero": np.float32(0), "one": np.ones(1, np.float32)}
    proto = parse(text, {**constants, "shape": np.array([1, 8, 8, 8], np.int64)})
    assert error(tmp_path, proto, INT8, IMAGES) <= 5e-2


def test_half_precision_leaves_alone_what_it_cannot_type(tmp_path: Path) -> None:
    """The standard's shape inference does not know com.microsoft's operators, so what they write has no dtype."""
    text = """t (float[N,64] x) => (float[N,64] y) {
        h = MatMul(x, w)
        g = com.microsoft.Gelu(h)
        c = Add(g, b)
        y = Tanh(c)
    }"""
    proto = parse(text, {"w": normal(64, 64), "b": normal(64)}, ', "com.microsoft" : 1')
    _, made = make(tmp_path, proto, Recipe("bf16"), SAMPLES)
    add = next(node for node in load_ir(made.path).graph if node.op_type == "Add")
    assert [value.dtype for value in add.inputs if value and value.is_initializer()] == [ir.DataType.FLOAT]


def test_int8_refuses_infinity_only_where_it_computes(tmp_path: Path) -> None:
    text = """t (float[N,64] x) => (float[N,64] y) {
        h = MatMul(x, v)
        a = MatMul(h, w)
        m = Add(a, mask)
        y = Softmax(m)
    }"""
    mask = np.zeros(64, np.float32)
    mask[-1] = -np.inf
    # ONNX Runtime folds the mask into a Gemm's bias.
    proto = parse(text, {"v": normal(64, 64), "w": normal(64, 64, scale=0.01), "mask": mask})
    _, made = make(tmp_path, proto, INT8, SAMPLES)
    assert error(tmp_path, proto, INT8, SAMPLES) <= 5e-2
    assert len([node for node in load_ir(made.path).graph if node.op_type == "QuantizeLinear"]) == 1


def test_a_variant_says_what_it_was_made_from(tmp_path: Path) -> None:
    text = "t (float[N,64] x) => (float[N,64] y) { y = MatMul(x, w) }"
    source, made = make(tmp_path, parse(text, {"w": normal(64, 64)}), DYNAMIC, SAMPLES)
    assert made.source_sha256 == source.sha256
    assert made.sha256 == open_model(made.path).sha256 != source.sha256
