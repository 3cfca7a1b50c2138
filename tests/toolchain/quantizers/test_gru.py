"""A GRU as a Scan: the same numbers in float32, and integer products in int8-dynamic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from arithmetic import exactly
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import error, make, normal, parse

from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.models.onnx_model import load_ir
from toolchain.quantizers._gru import expand_grus
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

UNITS = 256
DYNAMIC = Recipe("int8-dynamic", None, QuantizationScheme(contrib_ops=True))


def gru(
    direction: str = "forward", *, inputs: str = "w, r, b", steps: object = "T", more: str = "", units: int = UNITS
):
    """x float[T,N,24] and, if the GRU is given it, its first state."""
    both = 2 if direction == "bidirectional" else 1
    state = f", float[{both},N,{units}] state" if "state" in inputs else ""
    lengths = ", int32[N] lengths" if "lengths" in inputs else ""
    results = f"float[{steps},{both},N,{units}] y, float[{both},N,{units}] h"
    text = f"""t (float[{steps},N,24] x{state}{lengths}) => ({results}) {{
        y, h = GRU<hidden_size={units}, direction="{direction}"{more}>(x, {inputs})
    }}"""
    constants = {
        "w": normal(both, 3 * units, 24, scale=0.3),
        "r": normal(both, 3 * units, units, scale=0.06),
        "b": normal(both, 6 * units, scale=0.3),
    }
    return parse(text, {name: array for name, array in constants.items() if name in inputs.split(", ")})


AFTER = ", linear_before_reset=1"


def feeds(proto: onnx.ModelProto, steps: int, batch: int) -> dict[str, Array]:
    sizes = {"T": steps, "N": batch}
    shapes = {
        value.name: [dim.dim_value or sizes[dim.dim_param] for dim in value.type.tensor_type.shape.dim]
        for value in proto.graph.input
    }
    return {name: normal(*shape) for name, shape in shapes.items()}


@given(
    direction=st.sampled_from(["forward", "reverse", "bidirectional"]),
    inputs=st.sampled_from(["w, r", "w, r, b", "w, r, b, , state", "w, r, , , state"]),
    steps=st.integers(1, 7),
    batch=st.integers(1, 3),
)
@settings(max_examples=20, deadline=None)
def test_the_scan_computes_what_the_gru_does(direction: str, inputs: str, steps: int, batch: int) -> None:
    proto = gru(direction, inputs=inputs, more=AFTER)
    model, arrays = ir.from_proto(proto), feeds(proto, steps, batch)
    assert expand_grus(model, ()) == 1
    assert not any(node.op_type == "GRU" for node in model.graph.all_nodes())
    assert [output.name for output in model.graph.outputs] == ["y", "h"]
    expected = ort.InferenceSession(proto.SerializeToString()).run(None, arrays)
    for seen, right in zip(exactly(model, arrays), expected):
        np.testing.assert_allclose(seen, right, atol=2e-5)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_its_products_are_integer_ones(tmp_path: Path, cpu_scheme: QuantizationScheme, direction: str) -> None:
    proto = gru(direction, more=AFTER)
    samples = feeds(proto, 12, 2)
    onnx.save(proto, tmp_path / "gru.onnx")
    source, made = make(tmp_path, proto, DYNAMIC, samples)
    assert made.path.stat().st_size < 0.3 * source.path.stat().st_size
    expected = ort.InferenceSession(source.path).run(None, samples)
    assert max(map(relative_error, exactly(made.path, samples), expected)) <= 3e-2
    kernels = Recipe("int8-dynamic", None, QuantizationScheme(contrib_ops=True, reduce_range=cpu_scheme.reduce_range))
    assert error(tmp_path, proto, kernels, samples, ort.InferenceSession) <= 5e-2


def test_onnx_runtime_fuses_the_product_in_the_body_and_packs_its_weights(tmp_path: Path) -> None:
    proto = gru(more=AFTER)
    _, made = make(tmp_path, proto, DYNAMIC, feeds(proto, 3, 1))
    (scan,) = (node for node in load_ir(made.path).graph if node.op_type == "Scan")
    body = scan.attributes["body"].as_graph()
    assert (
        sum(
            value.dtype == ir.DataType.INT8 and value.shape == (UNITS, 3 * UNITS)
            for value in body.initializers.values()
        )
        == 1
    )
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(made.path, options)
    found = [node.op_type for node in ir.load(tmp_path / "optimized.onnx").graph.all_nodes()]
    assert found.count("DynamicQuantizeMatMul") == 2
    assert "MatMul" not in found and "MatMulInteger" not in found


@pytest.mark.parametrize(
    "proto",
    [
        pytest.param(gru(), id="the reset gate before the product"),
        pytest.param(gru(inputs="w, r, b, lengths", more=AFTER), id="lengths"),
        pytest.param(gru(more=AFTER + ", clip=3.0"), id="clip"),
        pytest.param(gru(more=AFTER + ', activations=["Sigmoid", "Relu"]'), id="other activations"),
        pytest.param(gru(more=AFTER, units=32), id="few units"),
        pytest.param(gru(more=AFTER, steps=1), id="one step"),
    ],
)
def test_what_has_no_integer_form_or_gains_nothing_stays(proto: onnx.ModelProto) -> None:
    model = ir.from_proto(proto)
    assert expand_grus(model, ()) == 0
    assert [node.op_type for node in model.graph] == ["GRU"]


def test_a_kept_gru_stays() -> None:
    model = ir.from_proto(gru(more=AFTER))
    model.graph[0].name = "reader"
    assert expand_grus(model, {"reader"}) == 0
