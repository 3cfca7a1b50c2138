"""Seeded ONNX models, one for each thing the toolchain has to cope with, and samples for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper, parser

from runtimes.tensors import Array


def conv(path: Path, opset: int = 17) -> Path:
    """image float32[N,3,8,8] -> Conv, Relu, pool, Gemm -> scores float32[N,5]."""
    return _save(_conv(opset), path)


def external(path: Path) -> Path:
    """`conv`, its weights in weights.data beside it."""
    onnx.save_model(_conv(), path, save_as_external_data=True, location="weights.data", size_threshold=0)
    return path


def quantized(path: Path) -> Path:
    """A MatMul between Q/DQ pairs: x float32[N,4] -> y float32[N,3]."""
    text = """
    <ir_version: 8, opset_import: ["" : 17]> quantized (float[N,4] x) => (float[N,3] y) {
        q = QuantizeLinear(x, scale, zero)
        d = DequantizeLinear(q, scale, zero)
        w = DequantizeLinear(weight, weight_scale, weight_zero)
        y = MatMul(d, w)
    }"""
    weight = np.random.default_rng(0).integers(-127, 128, (4, 3)).astype(np.int8)
    constants = {
        "scale": np.float32(0.05),
        "zero": np.uint8(128),
        "weight": weight,
        "weight_scale": np.float32(0.01),
        "weight_zero": np.int8(0),
    }
    return _save(_parse(text, constants), path)


def control_flow(path: Path) -> Path:
    """One of two branches, by the sign of the input's sum: x float32[N,4] -> y float32[N,2]."""
    text = """
    <ir_version: 8, opset_import: ["" : 17]> branches (float[N,4] x) => (float[N,2] y) {
        h = MatMul(x, w0)
        sum = ReduceSum<keepdims=0>(x)
        positive = Greater(sum, zero)
        y = If (positive) <
            then_branch = yes () => (float[N,2] t) { t = MatMul(h, w1) },
            else_branch = no () => (float[N,2] e) { m = MatMul(h, w1) e = Neg(m) }
        >
    }"""
    return _save(_parse(text, {"zero": np.float32(0), "w0": _weights(4, 64), "w1": _weights(64, 2)}), path)


def embedding(path: Path) -> Path:
    """tokens int64[N,6] and mask bool[N,6] -> Gather, masked mean, Gemm -> y float32[N,3]."""
    text = """
    <ir_version: 8, opset_import: ["" : 17]> words (int64[N,6] tokens, bool[N,6] mask) => (float[N,3] y) {
        e = Gather(table, tokens)
        f = Cast<to=1>(mask)
        u = Unsqueeze(f, axes)
        k = Mul(e, u)
        m = ReduceMean<axes=[1], keepdims=0>(k)
        y = Gemm(m, w, b)
    }"""
    constants = {"table": _weights(50, 32), "w": _weights(32, 3), "b": _weights(3), "axes": np.array([2], np.int64)}
    return _save(_parse(text, constants), path)


def fixed_batch(path: Path, batch: int = 4) -> Path:
    """x float32[batch,3] -> y float32[batch,3], a size that every batch must have."""
    shape = f"float[{batch},3]"
    text = f'<ir_version: 8, opset_import: ["" : 17]> fixed ({shape} x) => ({shape} y) {{ y = Relu(x) }}'
    return _save(_parse(text, {}), path)


def double(path: Path, inputs: str = "float[N,2] x", body: str = "y = Add(x, x)", opset: int = 17) -> Path:
    """The smallest model there is, y = 2 x, or another body; not checked, so that it may be wrong."""
    header = f'<ir_version: 8, opset_import: ["" : {opset}]>'
    return _save(parser.parse_model(f"{header} double ({inputs}) => (float[N,2] y) {{ {body} }}"), path)


def two_heads(path: Path) -> Path:
    """An actor and a critic: state float32[N,8] -> policy float32[N,3], value float32[N,1]."""
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    two_heads (float[N,8] state) => (float[N,3] policy, float[N,1] value) {
        h = MatMul(state, w)
        r = Relu(h)
        policy = MatMul(r, actor)
        value = MatMul(r, critic)
    }"""
    rng = np.random.default_rng(3)
    shapes = {"w": (8, 16), "actor": (16, 3), "critic": (16, 1)}
    return _save(_parse(text, {name: _normal(rng, *shape) / 3 for name, shape in shapes.items()}), path)


def samples(name: str, n: int) -> dict[str, Array]:
    """Samples for the model of that name."""
    rng = np.random.default_rng(7)
    makers: Mapping[str, Callable[[], dict[str, Array]]] = {
        "conv": lambda: {"image": _normal(rng, n, 3, 8, 8)},
        "external": lambda: {"image": _normal(rng, n, 3, 8, 8)},
        "quantized": lambda: {"x": _normal(rng, n, 4)},
        "control_flow": lambda: {"x": _normal(rng, n, 4)},
        "embedding": lambda: {
            "tokens": rng.integers(0, 50, (n, 6)),
            "mask": rng.integers(0, 2, (n, 6)).astype(bool),
        },
        "fixed_batch": lambda: {"x": _normal(rng, n, 3)},
    }
    return makers[name]()


def _conv(opset: int = 17) -> ModelProto:
    text = """ conv (float[N,3,8,8] image) => (float[N,5] scores) {
        a = Conv<pads=[1,1,1,1]>(image, w1, b1)
        r = Relu(a)
        p = GlobalAveragePool(r)
        f = Flatten(p)
        scores = Gemm(f, w2, b2)
    }"""
    header = f'<ir_version: 8, opset_import: ["" : {opset}]>'
    return _parse(
        header + text, {"w1": _weights(16, 3, 3, 3), "b1": _weights(16), "w2": _weights(16, 5), "b2": _weights(5)}
    )


def _parse(text: str, constants: Mapping[str, object]) -> ModelProto:
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items())
    onnx.checker.check_model(model, full_check=True)
    return model


def _save(model: ModelProto, path: Path) -> Path:
    onnx.save(model, path)
    return path


def _weights(*shape: int) -> Array:
    return (np.random.default_rng(len(shape)).standard_normal(shape) / 3).astype(np.float32)


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)
