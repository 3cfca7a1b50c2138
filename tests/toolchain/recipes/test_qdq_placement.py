"""Placement of pairs around products before a clamp, and around kept nodes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profilers import onnxruntime as profiler
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import save_ir
from toolchain.quantizers import int8
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import Recipe


@pytest.fixture
def chain() -> ir.Model:
    """x -> MatMul -> Relu -> MatMul -> Softmax -> y"""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node("Relu", ["a"], ["b"], "clamp"),
        helper.make_node("MatMul", ["b", "v"], ["c"], "second"),
        helper.make_node("Softmax", ["c"], ["y"], "last"),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 16]) for name in "xy"]
    weights = [numpy_helper.from_array(rng.standard_normal((16, 16)).astype(np.float32), name) for name in "wv"]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return ir.from_proto(onnx.shape_inference.infer_shapes(model))


def placed(model, keep=()):
    placement = place(model, keep)
    return {node.name for node in placement.nodes}, {value.name for value in placement.activations}


def test_a_product_before_a_clamp_writes_integers(chain):
    assert placed(chain) == ({"first", "clamp", "second"}, {"x", "b"})


def test_a_product_that_a_kept_one_reads_from_stays_in_float_too(chain):
    assert placed(chain, ["second"]) == (set(), set())


def test_a_kept_product_leaves_what_it_does_not_read_from_alone(chain):
    assert placed(chain, ["first"]) == ({"second"}, {"b"})


def test_no_weight_is_dequantized_in_every_inference(chain, tmp_path):
    """No product reads the clamp's output, so only the clamp is the reason for the integers."""
    softmax = next(node for node in chain.graph if node.name == "last")
    clamp = next(node for node in chain.graph if node.name == "clamp")
    softmax.replace_input_with(0, clamp.outputs[0])
    chain.graph.remove(next(node for node in chain.graph if node.name == "second"), safe=True)
    ranges = {"x": Range(-3, 3), "b": Range(0, 9)}
    file = save_ir(int8.quantize(chain, Recipe("int8", "minmax"), ranges), tmp_path / "m.onnx").path
    feeds = [{"x": np.ones((1, 16), np.float32)}]
    ran = profiler.profile(file.read_bytes(), RuntimeSettings(), feeds, 2).times
    assert [item.kind for item in ran if "product" in item.kind] == ["integer product"]
    assert not [item.node for item in ran if item.op == "DequantizeLinear" and "weight" in item.node]


@pytest.fixture
def residual() -> ir.Model:
    """Two blocks of a ResNet and what reads the second's output; nodes are named after what they write."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    residual (float[N,4,8,8] x) => (float[N,4,8,8] y) {
        a = Conv<pads=[1,1,1,1]>(x, w)
        s = Add(a, x)
        r = Relu(s)
        b = Conv<pads=[1,1,1,1]>(r, w)
        t = Add(b, r)
        u = Relu(t)
        y = Conv<pads=[1,1,1,1]>(u, w)
    }"""
    proto = onnx.parser.parse_model(text)
    weight = np.random.default_rng(0).normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    for node in proto.graph.node:
        node.name = node.output[0]
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def test_a_residual_sum_takes_its_clamp_along(residual, tmp_path):
    """With the clamp's output in float, the next sum would read an integer and a float operand."""
    assert placed(residual) == ({"a", "s", "r", "b", "t", "u", "y"}, {"x", "a", "r", "b", "u", "y"})
    ranges = {name: Range(0 if name in "ru" else -4, 4) for name in "xarbuy"}
    file = save_ir(int8.quantize(residual, Recipe("int8", "minmax"), ranges), tmp_path / "m.onnx").path
    ran = profiler.profile(file.read_bytes(), RuntimeSettings(), [{"x": np.ones((1, 4, 8, 8), np.float32)}], 2).times
    assert [item.op for item in ran].count("QLinearAdd") == 2
    assert not [item.op for item in ran if item.op in ("Add", "Relu")]


def test_a_residual_sum_that_a_kept_product_reads_stays_in_float(residual):
    nodes, activations = placed(residual, ["b"])
    assert nodes == {"a", "y"}
    assert activations == {"x", "a", "u", "y"}


def test_a_clamp_that_is_kept_or_has_no_range_leaves_its_sum_in_float(residual):
    assert not placed(residual, ["r"])[0] & {"s", "r"}
    reached = {name: Range(-4, 4) for name in "xabuy"}  # all but r
    assert not {node.name for node in place(residual, [], reached).nodes} & {"s", "r"}


def test_a_sum_that_is_clamped_by_another_is_no_clamp_of_its_own(residual):
    """Of Clip(x, least, most), a sum that is the least or the most is not what is clamped."""
    clamp = next(node for node in residual.graph if node.name == "r")
    other = ir.node("Clip", [residual.graph.inputs[0], clamp.inputs[0]], name="r")
    clamp.outputs[0].replace_all_uses_with(other.outputs[0])
    other.outputs[0].dtype, other.outputs[0].shape = ir.DataType.FLOAT, clamp.outputs[0].shape
    residual.graph.insert_after(clamp, other)
    residual.graph.remove(clamp, safe=True)
    assert not placed(residual)[0] & {"s", "r"}
