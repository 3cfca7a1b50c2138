"""Whatever scales the free channels get, the model computes the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx_ir.passes.common import ShapeInferencePass

from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.graphs.channel_groups import channel_classes
from toolchain.graphs.channel_scaling import scale_constants

# Text, the shapes of its constants, and how many operators the scales are to change.
CHAIN = (
    """(float[2,3,6,6] x) => (float[2,4,6,6] y) {
        a = Conv<pads=[1,1,1,1]>(x, k3_8, b8)
        b = Relu(a)
        c = Conv<pads=[1,1,1,1], group=8>(b, d8)
        d = LeakyRelu(c)
        y = Conv(d, p8_4, b4)
    }""",
    3,
)
RESIDUAL = (
    """(float[2,3,6,6] x) => (float[2,4,3,3] y) {
        a = Conv(x, p3_8, b8)
        r = Relu(a)
        c = Conv(r, p8_8)
        s = Add(a, c)
        t = Add(s, v8)
        m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(t)
        y = Conv(m, p8_4)
    }""",
    4,
)
CONCAT = (
    """(float[2,3,6,6] x) => (float[2,4,6,6] y) {
        a = Conv(x, p3_8)
        b = Conv(x, p3_4, b4)
        j = Concat<axis=1>(a, b)
        r = Relu(j)
        y = Conv(r, p12_4)
    }""",
    3,
)
GROUPED = (
    """(float[2,3,6,6] x) => (float[2,4,6,6] y) {
        a = Conv(x, p3_8)
        c = Conv<group=2>(a, g4_6)
        r = Relu(c)
        y = Conv(r, p6_4)
    }""",
    3,
)
CLASSIFIER = (
    """(float[2,3,6,6] x) => (float[2,5] y) {
        a = Conv(x, p3_8)
        r = Relu(a)
        p = MaxPool<kernel_shape=[3,3], strides=[3,3]>(r)
        f = Flatten(p)
        h = Gemm<transB=1>(f, m16_32, b16)
        i = Relu(h)
        y = Gemm(i, m16_5)
    }""",
    3,
)
ENCODER = (
    """(float[2,7,8] x) => (float[2,7,4] y) {
        n = LayerNormalization(x, s8, b8)
        q = MatMul(n, m8_16)
        b = Add(q, b16)
        r = Relu(b)
        o = MatMul(r, m16_8)
        t = Add(o, x)
        g = Mul(t, s8)
        y = MatMul(g, m8_4)
    }""",
    6,
)
CLIPPED = (
    """(float[2,3,6,6] x) => (float[2,4,6,6] y) {
        a = Conv(x, p3_8)
        r = Clip(a, zero, six)
        y = Conv(r, p8_4)
    }""",
    0,
)
SEEN = (
    """(float[2,3,6,6] x) => (float[2,4,6,6] y, float[2,8,6,6] r) {
        a = Conv(x, p3_8)
        r = Relu(a)
        y = Conv(r, p8_4)
    }""",
    0,
)
GRAPHS = [CHAIN, RESIDUAL, CONCAT, GROUPED, CLASSIFIER, ENCODER, CLIPPED, SEEN]
SHAPES = {
    "k3_8": (8, 3, 3, 3),
    "d8": (8, 1, 3, 3),
    "g4_6": (6, 4, 1, 1),
    "v8": (8, 1, 1),
    "s8": (8,),
    "zero": (),
    "six": (),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("text", "changes"),
    GRAPHS,
    ids=["chain", "residual", "concat", "grouped", "classifier", "encoder", "clip", "output"],
)
def test_free_channels_are_free(text: str, changes: int, seed: int) -> None:
    model = graph(text, seed)
    before = run(model)
    channels = channel_classes(model.graph)
    rng = np.random.default_rng(seed)
    scales = np.where(channels.free, 10 ** rng.uniform(-1.5, 1.5, len(channels.free)), 1.0)
    assert scale_constants(model, channels.classes, scales) == changes
    for made, expected in zip(run(model), before):
        assert relative_error(made, expected) < 1e-5


def test_a_weight_that_two_layers_share_stays() -> None:
    model = graph("(float[2,8] x) => (float[2,8] y) { a = MatMul(x, m8_8) b = Relu(a) y = MatMul(b, m8_8) }", 0)
    assert not channel_classes(model.graph).free.any()


def test_what_a_branch_reads_stays() -> None:
    text = """(float[2,8] x, bool p) => (float[2,8] y) {
        a = MatMul(x, m8_16)
        z = If(p) <
            then_branch = yes () => (float[2,16] t) { t = Relu(a) },
            else_branch = no () => (float[2,16] e) { e = Neg(a) }
        >
        y = MatMul(z, m16_8)
    }"""
    assert not channel_classes(graph(text, 0).graph).free.any()


def graph(text: str, seed: int) -> ir.Model:
    """A model whose constants' names say their shapes: p3_8 is a 1 x 1 kernel, m8_16 a matrix, b8 a vector."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {text}')
    rng = np.random.default_rng(seed)
    known = {value.name for value in proto.graph.input} | {name for node in proto.graph.node for name in node.output}
    for name in sorted({name for node in proto.graph.node for name in node.input} - known):
        array = np.asarray(rng.standard_normal(shape_of(name)) if name not in ("zero", "six") else FIXED[name])
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    return ShapeInferencePass()(ir.from_proto(proto)).model


FIXED: Mapping[str, float] = {"zero": 0.0, "six": 6.0}


def shape_of(name: str) -> tuple[int, ...]:
    if name in SHAPES:
        return SHAPES[name]
    sizes = tuple(map(int, name[1:].split("_")))
    return (*sizes[::-1], 1, 1) if name[0] == "p" else sizes


def run(model: ir.Model) -> list[Array]:
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString())
    shape = session.get_inputs()[0].shape
    outputs: list[Array] = session.run(None, {"x": np.random.default_rng(9).standard_normal(shape).astype(np.float32)})
    return outputs
