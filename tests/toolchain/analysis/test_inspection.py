"""The description of a model by `inspect`."""

from __future__ import annotations

import pytest
import tiny_models
from networks import NETWORKS
from variants import make, parse

from runtimes.profile import QuantizationScheme
from toolchain.analysis.inspection import inspect_model
from toolchain.recipes.recipe import Recipe


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


@pytest.mark.parametrize("contrib_ops", [True, False])
def test_an_integer_lstm_is_int8(tmp_path, contrib_ops):
    network = NETWORKS["LSTM"]
    recipe = Recipe("int8-dynamic", scheme=QuantizationScheme(contrib_ops=contrib_ops))
    source, made = make(tmp_path, parse(network.text, network.constants), recipe, network.samples)
    before, after = inspect_model(source.path), inspect_model(made.path)
    assert before.layers == {"fp32": 2}
    assert before.quantizable == {"MatMul": 1, "LSTM on ONNX Runtime": 1}
    assert "LSTM" not in before.left_in_float
    assert after.layers == ({"int8": 2} if contrib_ops else {"fp32": 1, "int8": 1})
    assert after.refusal == "the model is quantized already"


def test_a_model_that_onnx_runtime_refuses_is_described_with_the_reason(tmp_path):
    found = inspect_model(tiny_models.double(tmp_path / "m.onnx", body="y = NoSuchOperator(x)"))
    assert found.operators == {"NoSuchOperator": 1}
    assert "ONNX Runtime cannot load" in found.refusal


def test_an_old_opset_is_shown_as_it_is(tmp_path):
    assert inspect_model(tiny_models.conv(tmp_path / "m.onnx", opset=11)).opset == 11


def test_the_size_is_that_of_all_the_files(tmp_path):
    path = tiny_models.external(tmp_path / "m.onnx")
    assert inspect_model(path).size_bytes > 4 * inspect_model(path).parameters
