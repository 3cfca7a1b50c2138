"""Networks that stop other tools, each as small as it gets, with samples of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from variants import normal

from runtimes.tensors import Array


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
