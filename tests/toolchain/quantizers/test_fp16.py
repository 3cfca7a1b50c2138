"""fp16 holds at most 65504: larger numbers stay in float32, and smaller ones keep their value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from variants import error, error_in_true_half, make, normal, parse

from toolchain.models.onnx_model import load_ir
from toolchain.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_process")

CALIBRATED, BLIND = Recipe("fp16", "minmax"), Recipe("fp16")
ATTENTION = """t (float[N,8,64] x) => (float[N,8,64] y) {
    q = MatMul(x, wq)
    k = MatMul(x, wk)
    t = Transpose<perm=[0,2,1]>(k)
    s = MatMul(q, t)
    m = Add(s, mask)
    p = Softmax<axis=-1>(m)
    v = MatMul(x, wv)
    a = MatMul(p, v)
    y = Relu(a)
}"""


@pytest.mark.parametrize("recipe", [CALIBRATED, BLIND], ids=["calibrated", "blind"])
@pytest.mark.parametrize("divisor", [2e4, 6.5e4, 1e5])
def test_large_constants_keep_their_value(tmp_path: Path, recipe: Recipe, divisor: float) -> None:
    text = "t (float[N,64] x) => (float[N,64] y) { s = Div(x, k) h = MatMul(s, w) y = Relu(h) }"
    proto = parse(text, {"k": np.float32(divisor), "w": normal(64, 64)})
    assert error_in_true_half(tmp_path, proto, recipe, {"x": normal(16, 64, scale=1e4)}) <= 5e-3


def test_a_large_weight_of_a_product_keeps_its_value(tmp_path: Path) -> None:
    text = "t (float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) b = Mul(a, k) y = Relu(b) }"
    proto = parse(text, {"w": np.eye(4, dtype=np.float32) * 3e5, "k": np.float32(1e-4)})
    assert error_in_true_half(tmp_path, proto, CALIBRATED, {"x": normal(16, 4)}) <= 5e-3


def test_a_large_constant_where_the_converter_fails_keeps_its_value(tmp_path: Path) -> None:
    text = "t (float[N,64] x) => (float[N,64] y) { h = MatMul(x, w) y = Div(h, k) }"  # a blocked node writes the output
    proto = parse(text, {"k": np.float32(1e5), "w": normal(64, 64)})
    assert error_in_true_half(tmp_path, proto, CALIBRATED, {"x": normal(16, 64)}) <= 5e-3


def test_the_smallest_constants_stay_above_zero(tmp_path: Path) -> None:
    text = "t (float[N,64] x) => (float[N,64] y) { a = Abs(x) b = Add(a, tiny) c = Div(x, b) y = Relu(c) }"
    _, made = make(tmp_path, parse(text, {"tiny": np.full(64, 1e-9, np.float32)}), BLIND, {"x": normal(4, 64)})
    (value,) = load_ir(made.path).graph.initializers.values()
    assert value.const_value is not None
    assert value.dtype == ir.DataType.FLOAT16
    assert (value.const_value.numpy() == 2.0**-24).all()


def test_an_input_beyond_fp16_is_read_in_float32(tmp_path: Path) -> None:
    text = "t (float[N,64] x) => (float[N,64] y) { s = Mul(x, k) h = MatMul(s, w) y = Relu(h) }"
    proto = parse(text, {"k": np.float32(1e-4), "w": normal(64, 64)})
    assert error_in_true_half(tmp_path, proto, CALIBRATED, {"x": normal(16, 64, scale=1e5)}) <= 5e-3


def test_two_readers_of_what_overflows_get_it_in_float32(tmp_path: Path) -> None:
    text = """t (float[N,4] x) => (float[N,4] y) {
        a = MatMul(x, w)
        b = Mul(a, k)
        c = Mul(a, l)
        d = Add(b, c)
        y = Relu(d)
    }"""
    constants = {"w": np.eye(4, dtype=np.float32) * 3e4, "k": np.float32(1e-3), "l": np.float32(2e-3)}
    samples = {"x": np.random.default_rng(1).uniform(3, 5, (16, 4)).astype(np.float32)}
    assert error_in_true_half(tmp_path, parse(text, constants), CALIBRATED, samples) <= 5e-3


@pytest.mark.parametrize("mask", [-np.inf, np.finfo(np.float32).min])
@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_an_attention_mask_is_no_overflow(tmp_path: Path, mask: float, method: str) -> None:
    constants = {name: normal(64, 64, scale=0.25) for name in ("wq", "wk", "wv")}
    constants["mask"] = np.triu(np.full((8, 8), mask, np.float32), 1)
    proto = parse(ATTENTION, constants)
    assert error(tmp_path, proto, Recipe("fp16", method), {"x": normal(64, 8, 64)}) <= 5e-3


def test_beside_an_infinite_mask_what_overflows_is_still_seen(tmp_path: Path) -> None:
    text = """t (float[N,8] x) => (float[N,8] y) {
        a = MatMul(x, w)
        m = Add(a, mask)
        b = Mul(m, k)
        y = Softmax(b)
    }"""
    constants = {"w": np.eye(8, dtype=np.float32) * 4e4, "k": np.float32(1e-5), "mask": np.zeros(8, np.float32)}
    constants["mask"][-1] = -np.inf
    samples = {"x": np.random.default_rng(1).uniform(1, 5, (16, 8)).astype(np.float32)}
    assert error_in_true_half(tmp_path, parse(text, constants), CALIBRATED, samples) <= 5e-3
