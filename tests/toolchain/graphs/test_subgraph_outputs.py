"""What subgraphs compute, brought up to the main graph, against NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from runtimes.tensors import Array
from toolchain.graphs.edits import Edits
from toolchain.graphs.subgraph_outputs import expose_subgraph_tensors

BRANCH = """t (float[N] x, bool p) => (float[N] y) {
    y = If(p) <
        then_branch = yes () => (float[N] t) { a = Mul(x, x) t = Neg(a) },
        else_branch = no () => (float[N] e) { b = Abs(x) e = Neg(b) }
    >
}"""
LOOP = """t (float[N] x, int64 trips) => (float[M] y, float[K,N] rows) {
    y, rows = Loop(trips, , x) <
        body = step (int64 i, bool go, float[A] grown) => (bool on, float[B] longer, float[N] row) {
            on = Identity(go)
            a = Neg(grown)
            longer = Concat<axis=0>(a, x)
            odd = Equal(i, one)
            row = If(odd) <
                then_branch = yes () => (float[N] t) { c = Mul(x, x) t = Neg(c) },
                else_branch = no () => (float[N] e) { e = Identity(x) }
            >
        }
    >
}"""
SCAN = """t (float[T,N] x) => (float[N] last, float[T,N] sums) {
    last, sums = Scan(zeros, x) <
        num_scan_inputs = 1,
        scan_output_axes = [0],
        body = step (float[N] state, float[N] row) => (float[N] next, float[N] copy) {
            next = Add(state, row)
            a = Mul(next, next)
            copy = Sqrt(a)
        }
    >
}"""
X = np.array([1.0, -2.0, 3.0], np.float32)


def surfaced(text: str, names: list[str], feeds: dict[str, Array]) -> list[Array]:
    """The named tensors; the model's own outputs, which stay what they were, are compared on the way."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    for name, array in {"one": np.int64(1), "zeros": np.zeros(3, np.float32)}.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    before = session(proto).run(None, feeds)
    model = ir.from_proto(proto)
    own = len(model.graph.outputs)
    values = expose_subgraph_tensors(Edits(model.graph), names)
    model.graph.outputs.extend(values[name] for name in names)
    after: list[Array] = session(ir.to_proto(model)).run(None, feeds)
    assert all(np.array_equal(*pair) for pair in zip(before, after[:own]))
    return after[own:]


def session(proto: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(proto.SerializeToString(), options)


@pytest.mark.parametrize("taken", [True, False])
def test_a_branch_that_is_not_taken_gives_an_empty_tensor(taken: bool) -> None:
    a, b = surfaced(BRANCH, ["a", "b"], {"x": X, "p": np.array(taken)})
    assert a.tolist() == ((X * X).tolist() if taken else [])
    assert b.tolist() == ([] if taken else np.abs(X).tolist())


def test_a_loop_gives_every_iteration_though_its_shapes_grow() -> None:
    grown, a, c = surfaced(LOOP, ["grown", "a", "c"], {"x": X, "trips": np.array(3)})
    first = -X
    second = -np.concatenate([first, X])
    third = -np.concatenate([second, X])
    assert a.tolist() == [*first, *second, *third]
    assert len(grown) == len(a)
    assert c.tolist() == (X * X).tolist()  # of the second iteration alone


def test_a_loop_that_never_runs_gives_nothing() -> None:
    a, c = surfaced(LOOP, ["a", "c"], {"x": X, "trips": np.array(0)})
    assert a.size == c.size == 0


def test_a_scan_gives_every_step() -> None:
    rows = np.stack([X, 2 * X])
    (a,) = surfaced(SCAN, ["a"], {"x": rows})
    assert a.tolist() == [*(X * X), *(9 * X * X)]
