"""Activation smoothing, on encoders with a channel that is always large."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from correction_models import Case

from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.models.prepare import prepare
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

PLAIN = Recipe("int8", "minmax", QuantizationScheme("uint8"))
SMOOTHED = replace(PLAIN, corrections=("smoothing",))
WIDTH = 32

# The normalisation is read by the products alone, as in GPT; spelled out, as exporters of old opsets have it; and
# read by the residual sum too, as in BERT.
FOLDS = """pre (float[N,5,32] x) => (float[N,5,32] y) {
    n = LayerNormalization(x, scale, shift)
    h = MatMul(n, up)
    r = Relu(h)
    d = MatMul(r, down)
    y = Add(d, x)
}"""
SPELLED = """spelled (float[N,5,32] x) => (float[N,5,32] y) {
    mean = ReduceMean<axes=[-1]>(x)
    c = Sub(x, mean)
    s = Mul(c, c)
    v = ReduceMean<axes=[-1]>(s)
    e = Sqrt(v)
    z = Div(c, e)
    g = Mul(z, scale)
    n = Add(g, shift)
    h = MatMul(n, up)
    r = Relu(h)
    d = MatMul(r, down)
    y = Add(d, x)
}"""
JOINS = """post (float[N,5,32] x) => (float[N,5,32] y) {
    n = LayerNormalization(x, scale, shift)
    h = MatMul(n, up)
    r = Relu(h)
    d = MatMul(r, down)
    t = Add(d, n)
    y = LayerNormalization(t, one, shift)
}"""


def encoder(folder: Path, text: str, outlier: float = 60.0) -> Case:
    """A feed-forward block whose normalisation makes two channels `outlier` times the others."""
    rng = np.random.default_rng(0)
    scale = np.ones(WIDTH)
    scale[[3, 17]] = outlier
    constants: dict[str, Array] = {
        "scale": scale,
        "shift": rng.normal(0, 0.1, WIDTH),
        "up": rng.normal(0, 0.2, (WIDTH, 64)),
        "down": rng.normal(0, 0.2, (64, WIDTH)),
    }
    if "one" in text:
        constants["one"] = np.ones(WIDTH)
    return Case.of(folder, text, constants, {"x": rng.standard_normal((32, 5, WIDTH)).astype(np.float32)})


@pytest.mark.parametrize("text", [FOLDS, SPELLED, JOINS], ids=["folds", "spelled", "joins"])
def test_a_channel_that_is_always_large_stops_costing_accuracy(tmp_path: Path, text: str) -> None:
    case = encoder(tmp_path, text)
    assert case.decibels(SMOOTHED) > case.decibels(PLAIN) + 6


@pytest.mark.parametrize("text", [FOLDS, SPELLED, JOINS], ids=["folds", "spelled", "joins"])
def test_the_float_function_stays(tmp_path: Path, text: str) -> None:
    case = encoder(tmp_path, text)
    assert relative_error(case.run(case.corrected(SMOOTHED)), case.run(prepare(case.model))) < 1e-4


@pytest.mark.parametrize(("text", "added"), [(FOLDS, 0), (SPELLED, 0), (JOINS, 1)], ids=["folds", "spelled", "joins"])
def test_a_product_is_added_only_where_nothing_can_take_the_division(tmp_path: Path, text: str, added: int) -> None:
    case = encoder(tmp_path, text)
    before, after = (
        Counter(node.op_type for node in model.graph) for model in (prepare(case.model), case.corrected(SMOOTHED))
    )
    assert after - before == Counter({"Mul": added})


def test_no_product_is_added_without_an_outlier(tmp_path: Path) -> None:
    case = encoder(tmp_path, JOINS, outlier=1.0)
    assert [node.op_type for node in case.corrected(SMOOTHED).graph] == [
        node.op_type for node in prepare(case.model).graph
    ]
