"""Conversion to a newer opset, for models of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import tiny_models

from benchmarks import large_model
from toolchain.models import opset, ort_session
from toolchain.models.onnx_model import load_ir


def test_large_weights_stay_out_of_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = large_model.generate(tmp_path, 768, 2)  # 2.4 MB each, more than the converter is given
    given = []
    real = opset.version_converter.convert_version
    monkeypatch.setattr(
        opset.version_converter, "convert_version", lambda proto, to: given.append(proto.ByteSize()) or real(proto, to)
    )
    raised = opset.at_least(ir.external_data.load_to_model(load_ir(source)), 22, "a test needs")
    assert raised.opset_imports[""] == 22
    assert given[0] < 10_000
    feeds = {"x": np.ones((1, 768), np.float32)}
    expected = ort.InferenceSession(source).run(None, feeds)[0]
    np.testing.assert_allclose(ort_session.session(raised).run(None, feeds)[0], expected, rtol=1e-5)
    assert [value.name for value in raised.graph.inputs] == ["x"]


def test_an_opset_that_is_high_enough_stays(tmp_path: Path) -> None:
    model = load_ir(tiny_models.conv(tmp_path / "m.onnx", 21))
    assert opset.at_least(model, 13, "a test needs") is model
