"""Biases in steps of input scale times weight scale, which is what runtimes add them in, fit into int32."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from variants import normal, parse

from runtimes.profile import QuantizationScheme
from toolchain.graphs.edits import array_of
from toolchain.graphs.value_range import Range
from toolchain.quantizers import int8
from toolchain.recipes.recipe import Recipe

pytestmark = pytest.mark.int8

CPU = QuantizationScheme()
SCHEMES = {
    "a CPU's": CPU,
    "one scale per tensor": QuantizationScheme(per_channel=False),
    "TensorRT's": QuantizationScheme("int8", symmetric=True, quantize_bias=False, integer_constants=False),
}
TEXTS = {
    "Conv": ("y = Conv(x, w, b)", (4, 4, 1, 1)),
    "Gemm": ("f = Flatten(x) y = Gemm<transB=1>(f, w, b)", (4, 4)),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("op", TEXTS)
@given(
    weights=st.lists(st.floats(-30, 1), min_size=4, max_size=4),
    biases=st.lists(st.floats(-4, 4), min_size=4, max_size=4),
)
def test_every_channel_has_room_for_its_bias(op: str, scheme: str, weights: list[float], biases: list[float]) -> None:
    nodes, shape = TEXTS[op]
    arrays = {
        "w": normal(*shape) * 10 ** np.array(weights).reshape(4, *[1] * (len(shape) - 1)),
        "b": np.power(10, biases),
    }
    constants = {name: array.astype(np.float32) for name, array in arrays.items()}
    proto = parse(f"t (float[N,4,1,1] x) => (float[N,4,1,1] y) {{ {nodes} }}", constants)
    model = ir.from_proto(proto)
    for value in (value for node in model.graph for value in node.outputs):
        value.type = ir.TensorType(ir.DataType.FLOAT)
    ranges = {name: Range(-1.0, 1.0) for name in "xfy"}
    made = int8.quantize(model, Recipe("int8", "minmax", SCHEMES[scheme]), ranges)
    product = next(node for node in made.graph if node.op_type == op)
    step = _scale(product.inputs[0]) * _scale(product.inputs[1])
    assert (np.abs(constants["b"]) / step).max() < 2**31


def _scale(restored: ir.Value | None) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    node = restored.producer() if restored is not None else None
    assert node is not None
    assert node.op_type == "DequantizeLinear"
    return array_of(node.inputs[1]).astype(np.float64)
