"""The description of a model by `inspect`."""

from __future__ import annotations

import pytest
import tiny_models

from toolchain.analysis.inspection import inspect_model


def test_describes_a_convolutional_model(tmp_path):
    path = tiny_models.conv(tmp_path / "m.onnx")
    found = inspect_model(path)
    assert (found.opset, found.domains, found.size_bytes) == (17, (), path.stat().st_size)
    assert found.parameters == 16 * 3 * 9 + 16 + 16 * 5 + 5
    assert found.weights == {"float": found.parameters}
    assert found.operators == {"Conv": 1, "Relu": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1}
    assert {"Conv", "Gemm"} <= set(found.quantizable)
    assert found.refusal is None
    assert sum(found.quantizable.values()) + sum(found.left_in_float.values()) == 5


@pytest.mark.parametrize("name", ["embedding", "control_flow", "external", "fixed_batch"])
def test_describes_any_model(tmp_path, name):
    found = inspect_model(getattr(tiny_models, name)(tmp_path / "m.onnx"))
    assert found.refusal is None
    assert found.inputs
    assert found.operators


def test_counts_operators_inside_branches(tmp_path):
    assert inspect_model(tiny_models.control_flow(tmp_path / "m.onnx")).operators["MatMul"] == 3


def test_a_quantized_model_is_known(tmp_path):
    found = inspect_model(tiny_models.quantized(tmp_path / "m.onnx"))
    assert found.refusal == "the model is quantized already"
    assert found.quantizable == found.left_in_float == {}
    assert {"int8", "uint8", "float"} <= set(found.weights)


def test_a_model_that_onnx_runtime_refuses_is_described_with_the_reason(tmp_path):
    found = inspect_model(tiny_models.double(tmp_path / "m.onnx", body="y = NoSuchOperator(x)"))
    assert found.operators == {"NoSuchOperator": 1}
    assert "ONNX Runtime cannot load" in found.refusal


def test_an_old_opset_is_shown_as_it_is(tmp_path):
    assert inspect_model(tiny_models.conv(tmp_path / "m.onnx", opset=11)).opset == 11


def test_the_size_is_that_of_all_the_files(tmp_path):
    path = tiny_models.external(tmp_path / "m.onnx")
    assert inspect_model(path).size_bytes > 4 * inspect_model(path).parameters
