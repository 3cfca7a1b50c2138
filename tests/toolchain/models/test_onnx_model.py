"""Opening ONNX files: a model's declarations, and the errors for files that are no models."""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import tiny_models
from onnx import TensorProto, helper, numpy_helper

from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.models.onnx_model import (
    custom_opsets,
    is_quantized,
    load_ir,
    open_model,
    precision_of,
    save_ir,
    size_bytes,
    weights_bytes,
)


def test_describes_a_model(tmp_path):
    model = open_model(tiny_models.embedding(tmp_path / "words.onnx"))
    assert model.inputs == (TensorSpec("tokens", "int64", ("N", 6)), TensorSpec("mask", "bool", ("N", 6)))
    assert model.outputs == (TensorSpec("y", "float32", ("N", 3)),)
    assert model.opset == 17


@pytest.mark.parametrize("dim", [-1, 0, None, ""])
def test_a_dimension_that_says_nothing_is_dynamic_and_has_a_name_of_its_own(tmp_path, dim):
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [dim, 2, dim])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph), path)
    model = open_model(path)
    assert model.inputs == (TensorSpec("x", "float32", ("x_0", 2, "x_2")),)
    assert model.outputs == (TensorSpec("y", "float32", ("unknown",)),)


def test_initializers_that_are_listed_as_inputs_are_none(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "w")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(np.ones((1, 2), np.float32), "w")],
    )
    path = tmp_path / "old.onnx"
    onnx.save(helper.make_model(graph, ir_version=3, opset_imports=[helper.make_opsetid("", 9)]), path)
    assert [spec.name for spec in open_model(path).inputs] == ["x"]


def test_the_digest_covers_external_data(tmp_path):
    path = tiny_models.external(tmp_path / "m.onnx")
    before = open_model(path).sha256
    data = tmp_path / "weights.data"
    data.write_bytes(data.read_bytes()[:-1] + b"\x01")
    assert open_model(path).sha256 != before
    assert open_model(path).sha256 == open_model(path).sha256


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file '.*nothing\.onnx'"):
        open_model(tmp_path / "nothing.onnx")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="There is no file"):
        open_model(tmp_path)


def test_missing_external_data_is_named(tmp_path):
    path = tiny_models.external(tmp_path / "m.onnx")
    (tmp_path / "weights.data").unlink()
    with pytest.raises(UsageError, match=r"keeps weights in 'weights\.data', which is not beside it; copy that file"):
        open_model(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a model", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", os.urandom(1000), b"\x08\x08", b"{}" * 50],
    ids=["empty", "text", "zip", "picture", "random", "no-graph", "json"],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"m\.onnx' is not (an|a usable) ONNX model"):
        open_model(path)


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "m.onnx").touch()
    with pytest.raises(UsageError, match=r"m\.onnx' is not an ONNX model: it is empty\."):
        open_model(tmp_path / "m.onnx")


def test_a_model_truncated_anywhere_is_refused(tmp_path, digits):
    whole = digits.onnx.read_bytes()
    path = tmp_path / "m.onnx"
    for length in [*range(0, len(whole), 997), *range(len(whole) - 40, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(UsageError, match=r"is not|has no|declares no"):
            open_model(path)


def test_an_input_without_a_shape_is_named(tmp_path):
    path = tiny_models.double(tmp_path / "m.onnx", inputs="float x")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    with pytest.raises(UsageError, match="input 'x' declares no shape"):
        open_model(path)


def test_a_saved_graph_stands_alone(tmp_path):
    source = tiny_models.external(tmp_path / "m.onnx")
    (tmp_path / "copy").mkdir()
    saved = save_ir(load_ir(source), tmp_path / "copy" / "m.onnx")
    (tmp_path / "weights.data").unlink()
    feeds = tiny_models.samples("conv", 2)
    expected = ort.InferenceSession(tiny_models.conv(tmp_path / "whole.onnx")).run(None, feeds)
    assert np.array_equal(ort.InferenceSession(saved.path).run(None, feeds), expected)


def test_weights_too_large_for_one_protobuf_go_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.models.onnx_model.PROTOBUF_LIMIT_BYTES", 100)
    saved = save_ir(load_ir(tiny_models.conv(tmp_path / "m.onnx")), tmp_path / "large.onnx")
    assert (tmp_path / "large.onnx.data").stat().st_size > 100
    ort.InferenceSession(saved.path).run(None, tiny_models.samples("conv", 2))


def test_counts_the_weights_of_subgraphs(tmp_path):
    path = tiny_models.control_flow(tmp_path / "m.onnx")
    model = onnx.load(path)
    branch = next(node for node in model.graph.node if node.op_type == "If").attribute[0].g
    branch.initializer.append(numpy_helper.from_array(np.zeros(1000, np.float32), "large"))
    onnx.save(model, path)
    assert weights_bytes(load_ir(path)) == 4 * (1 + 4 * 64 + 64 * 2 + 1000)


@pytest.mark.parametrize(("name", "answer"), [("quantized", True), ("conv", False), ("control_flow", False)])
def test_knows_a_quantized_model(tmp_path, name, answer):
    assert is_quantized(load_ir(getattr(tiny_models, name)(tmp_path / "m.onnx"))) is answer


def test_integer_operators_count_as_quantized_inside_branches_too(tmp_path):
    path = tiny_models.control_flow(tmp_path / "m.onnx")
    model = onnx.load(path)
    branch = next(node for node in model.graph.node if node.op_type == "If").attribute[1].g
    branch.node.append(helper.make_node("DynamicQuantizeLinear", ["h"], ["q", "s", "z"]))
    onnx.save(model, path)
    assert is_quantized(load_ir(path))


def test_lists_operator_domains_beyond_onnx_own(tmp_path):
    path = tiny_models.double(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.opset_import.extend([helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("ai.onnx", 17)])
    assert custom_opsets(ir.from_proto(model)) == ("com.microsoft",)


@pytest.mark.parametrize(
    ("dtypes", "precision"),
    [
        (["float32"], "fp32"),
        (["float64"], "fp32"),
        (["float16", "float32"], "fp16"),
        (["bfloat16", "float32"], "bf16"),
        (["float32", "float16"], "fp32"),
        (["int64", "float16"], "fp16"),
        (["int64"], "fp32"),
        ([], "fp32"),
    ],
    ids=str,
)
def test_a_models_precision_is_that_of_most_float_weights(tmp_path, dtypes, precision):
    model = load_ir(tiny_models.double(tmp_path / "m.onnx"))
    for index, (dtype, size) in enumerate(zip(dtypes, (100, 5))):
        array = np.zeros(size, ir.DataType[{"float32": "FLOAT", "float64": "DOUBLE"}.get(dtype, dtype.upper())].numpy())
        model.graph.register_initializer(ir.Value(name=f"w{index}", const_value=ir.tensor(array, name=f"w{index}")))
    assert precision_of(model) == precision
    assert precision in plugins.names("toolchain.quantizers")


def test_a_quantized_models_precision_is_int8(tmp_path):
    assert precision_of(load_ir(tiny_models.quantized(tmp_path / "m.onnx"))) == "int8"


def test_the_size_counts_external_data(tmp_path):
    path = tiny_models.external(tmp_path / "m.onnx")
    expected = path.stat().st_size + (tmp_path / "weights.data").stat().st_size
    assert size_bytes(path, load_ir(path)) == expected
