"""Integer products with unsigned weights: the same numbers, by kernels that cannot saturate."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from arithmetic import exactly

from runtimes.tensors import Array
from toolchain.graphs.edits import array_of
from toolchain.graphs.unsigned_weights import with_unsigned_weights

pytestmark = [pytest.mark.int8, pytest.mark.int8_sample]

LARGE = {"x": np.full((2, 64), 255, np.uint8)}  # with weights of 127, every pair of products is beyond int16
PRODUCT = "t (uint8[N,64] x) => (int32[N,32] y) { y = MatMulInteger(x, w) }"
SHARED = """t (uint8[N,64] x) => (int32[N,32] y) {
    a = MatMulInteger(x, w, z, v)
    b = MatMulInteger(x, w, z, v)
    y = Add(a, b)
}"""
BRANCH = """t (uint8[N,64] x, bool p) => (int32[N,32] y) {
    y = If(p) <
        then_branch = yes () => (int32[N,32] t) { t = MatMulInteger(x, w) },
        else_branch = no () => (int32[N,32] e) { a = MatMulInteger(x, w) e = Neg(a) }
    >
}"""


def model(text: str, domains: str = "", **constants: Array) -> ir.Model:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17{domains}]> {text}')
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    return ir.from_proto(proto)


def weights(low: int = 100) -> Array:
    return np.random.default_rng(0).integers(low, 128, (64, 32)).astype(np.int8)


def expected(weight: Array, zero_point: int = 0) -> Array:
    return (LARGE["x"].astype(int) - zero_point) @ weight.astype(int)


def test_sums_beyond_int16_are_whole() -> None:
    np.testing.assert_array_equal(exactly(model(PRODUCT, w=weights()), LARGE)[0], expected(weights()))


def test_zero_points_move_along_and_shared_weights_stay_shared() -> None:
    zeros = np.arange(32).astype(np.int8)
    graph = model(SHARED, w=weights(-128), z=np.array(3, np.uint8), v=zeros)
    np.testing.assert_array_equal(
        exactly(graph, LARGE)[0], 2 * (expected(weights(-128), 3) - 252 * 64 * zeros.astype(int))
    )
    made = with_unsigned_weights(graph)
    assert len({node.inputs[1] for node in made.graph if node.op_type == "MatMulInteger"}) == 1


@pytest.mark.parametrize("taken", [True, False])
def test_products_in_branches(taken: bool) -> None:
    (found,) = exactly(model(BRANCH, w=weights()), {**LARGE, "p": np.array(taken)})
    np.testing.assert_array_equal(found, expected(weights()) * (1 if taken else -1))


def test_lstm_of_either_sign_computes_the_same() -> None:
    text = """t (float[3,1,64] x) => (float[3,1,1,32] y) {
        y = com.microsoft.DynamicQuantizeLSTM<hidden_size=32>(x, w, r, , , , , , ws, wz, rs, rz)
    }"""
    rng = np.random.default_rng(0)
    integers = {"w": rng.integers(90, 128, (1, 64, 128)), "r": rng.integers(-128, 128, (1, 32, 128))}
    integers.update(wz=np.zeros(1), rz=np.zeros(1))
    scales = {"ws": np.full(1, 1e-4, np.float32), "rs": np.full(1, 1e-3, np.float32)}
    by_hand = {name: (array + 128).astype(np.uint8) for name, array in integers.items()}
    signed = {name: array.astype(np.int8) for name, array in integers.items()}
    feeds = {"x": rng.uniform(0.5, 1, (3, 1, 64)).astype(np.float32)}
    first, second = (
        exactly(model(text, ', "com.microsoft" : 1', **form, **scales), feeds)[0] for form in (signed, by_hand)
    )
    np.testing.assert_array_equal(first, second)


def test_what_has_none_is_left_as_it_is() -> None:
    unsigned = model(PRODUCT, w=np.ones((64, 32), np.uint8))
    assert with_unsigned_weights(unsigned) is unsigned
    signed = model(PRODUCT, w=weights())
    assert with_unsigned_weights(signed) is not signed
    assert array_of(signed.graph.initializers["w"]).dtype == np.int8
