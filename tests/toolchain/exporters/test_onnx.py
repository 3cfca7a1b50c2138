"""An ONNX file as the source: taken as it is, or with corrected shapes."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import tiny_models

from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.exporters import onnx as onnx_exporter
from toolchain.models.onnx_model import open_model
from toolchain.sources.input_specs import parse_input


def test_onnx_is_taken_as_it_is(tmp_path):
    source = tiny_models.conv(tmp_path / "net.onnx")
    model = onnx_exporter.export(str(source), (), tmp_path / "copy.onnx")
    assert model.path == source
    assert not (tmp_path / "copy.onnx").exists()


@pytest.mark.parametrize("maker", [tiny_models.conv, tiny_models.external])
def test_onnx_shapes_can_be_corrected(tmp_path, maker):
    source = maker(tmp_path / "net.onnx")
    (tmp_path / "work").mkdir()
    model = onnx_exporter.export(str(source), (parse_input("image=float32[B,3,H,16]"),), tmp_path / "work" / "m.onnx")
    assert model.inputs == (TensorSpec("image", "float32", ("B", 3, "H", 16)),)
    assert model.outputs == (TensorSpec("scores", "float32", ("B", 5)),)
    scores = ort.InferenceSession(model.path).run(None, {"image": np.zeros((2, 3, 9, 16), np.float32)})[0]
    assert scores.shape == (2, 5)


def test_a_corrected_model_keeps_its_sources_digest(tmp_path):
    source = str(tiny_models.conv(tmp_path / "net.onnx"))
    plain = onnx_exporter.export(source, (), tmp_path / "m.onnx")
    corrected = onnx_exporter.export(source, (parse_input("image=float32[1,3,8,8]"),), tmp_path / "m.onnx")
    assert corrected.path != plain.path
    assert (corrected.source_sha256, plain.source_sha256) == (plain.sha256, None)
    assert corrected.sha256 == open_model(corrected.path).sha256


@pytest.mark.parametrize(
    "body", ["y = NoSuchOperator(x)", "y = Add(x, missing)", "z = Add(x, x)"], ids=["operator", "value", "output"]
)
def test_onnx_that_onnx_runtime_refuses_is_refused_with_its_reason(tmp_path, body):
    source = tiny_models.double(tmp_path / "net.onnx", body=body)
    with pytest.raises(UsageError, match=r"^ONNX Runtime cannot load '.*net\.onnx': .+"):
        onnx_exporter.export(str(source), (), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("picture=float32[N,3,8,8]", r"has no input 'picture'; it takes image=float32\[N,3,8,8\]"),
        ("image=float16[N,3,8,8]", "input 'image' is float32, not float16"),
    ],
)
def test_a_correction_that_does_not_fit_the_file_is_refused(tmp_path, spec, words):
    source = tiny_models.conv(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=words):
        onnx_exporter.export(str(source), (parse_input(spec),), tmp_path / "m.onnx")
