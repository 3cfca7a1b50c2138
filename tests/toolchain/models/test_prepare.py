"""Prepared graphs compute the same as their sources."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import tiny_models

from runtimes.errors import UsageError
from toolchain.models import opset
from toolchain.models.onnx_model import load_ir, open_model, weights_bytes
from toolchain.models.prepare import MIN_OPSET, prepare


def run(model: ir.Model, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return ort.InferenceSession(ir.to_proto(model).SerializeToString()).run(None, feeds)


@pytest.mark.parametrize("name", ["conv", "external", "control_flow", "embedding", "quantized"])
def test_computes_the_same(tmp_path, name):
    model = open_model(getattr(tiny_models, name)(tmp_path / "m.onnx"))
    feeds = tiny_models.samples(name, 3)
    expected = ort.InferenceSession(model.path).run(None, feeds)
    for actual, wanted in zip(run(prepare(model), feeds), expected):
        assert np.allclose(actual, wanted, atol=1e-6)


def test_the_source_stays_as_it_is(tmp_path):
    path = tiny_models.conv(tmp_path / "m.onnx")
    before = path.read_bytes()
    prepare(open_model(path))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


def test_nothing_stays_on_a_disk_that_goes_away(tmp_path, temp_folder):
    graph = prepare(open_model(tiny_models.external(tmp_path / "m.onnx")))
    (tmp_path / "weights.data").unlink()
    assert len(run(graph, tiny_models.samples("conv", 2))[0]) == 2
    assert weights_bytes(graph) > 0


def test_constants_are_folded(tmp_path):
    body = "a = Constant<value_float=1.5>() b = Constant<value_float=0.5>() c = Add(a, b) y = Mul(x, c)"
    graph = prepare(open_model(tiny_models.double(tmp_path / "m.onnx", body=body)))
    assert [node.op_type for node in graph.graph] == ["Mul"]


def test_every_node_has_a_name_of_its_own(tmp_path):
    path = tiny_models.double(tmp_path / "m.onnx", body="a = Add(x, x) b = Relu(a) y = Add(b, x)")
    model = onnx.load(path)
    model.graph.node[2].name = "Add_0"  # what the first would be called
    onnx.save(model, path)
    names = [node.name for node in prepare(open_model(path)).graph.all_nodes()]
    assert all(names)
    assert len(set(names)) == len(names) == 3


def test_an_old_opset_is_raised_so_that_per_channel_can_be_said(tmp_path):
    path = tiny_models.conv(tmp_path / "m.onnx", opset=11)
    graph = prepare(open_model(path))
    assert graph.opset_imports[""] == MIN_OPSET
    feeds = tiny_models.samples("conv", 2)
    assert np.allclose(run(graph, feeds)[0], ort.InferenceSession(path).run(None, feeds)[0], atol=1e-6)


def test_a_newer_opset_stays(tmp_path):
    graph = load_ir(tiny_models.conv(tmp_path / "m.onnx"))
    assert opset.at_least(graph, 13, "something needs") is graph


def test_an_opset_that_cannot_be_raised_is_said_with_the_reason(tmp_path):
    graph = load_ir(tiny_models.double(tmp_path / "m.onnx", body="y = Pad<paddings=[0,0,0,0]>(x)", opset=1))
    with pytest.raises(UsageError, match=r"uses opset 1 and cannot be raised to 22, which bf16 needs: .*Pad"):
        opset.at_least(graph, 22, "bf16 needs")


@pytest.mark.parametrize("body", ["y = NoSuchOperator(x)", "y = MatMul(x, x, x)", "y = Add(x, z)"])
def test_a_model_that_onnx_runtime_refuses_is_named_with_its_reason(tmp_path, body):
    model = open_model(tiny_models.double(tmp_path / "m.onnx", body=body))
    with pytest.raises(UsageError, match=r"ONNX Runtime cannot load '.*m\.onnx': .+"):
        prepare(model)
