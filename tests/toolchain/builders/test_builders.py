"""Each runtime's artifact, loaded by the runtime itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import tiny_models
import torch
from variants import parse

from runtimes import plugins
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import BackendError, UnsupportedError
from toolchain.builders import null, onnxruntime
from toolchain.models.onnx_model import open_model
from toolchain.recipes.recipe import Recipe

SETTINGS = RuntimeSettings(threads=2)


def test_every_builder_has_a_backend_that_loads_what_it_builds():
    assert set(plugins.names("toolchain.builders")) <= set(plugins.names("runtimes.backends"))


@pytest.mark.parametrize("builder", [onnxruntime, null])
def test_an_artifact_declares_what_it_was_made_from(tmp_path, builder):
    model = open_model(tiny_models.conv(tmp_path / "m.onnx"))
    artifact = builder.build(model, Recipe("int8-dynamic"), SETTINGS, tmp_path)
    assert artifact.file.parent == tmp_path
    assert artifact.size_bytes == artifact.file.stat().st_size
    assert (artifact.inputs, artifact.outputs) == (model.inputs, model.outputs)
    assert (artifact.source_sha256, artifact.precision) == (model.sha256, "int8-dynamic")
    assert artifact.settings == SETTINGS
    assert artifact.tool_versions == builder.versions()


@pytest.mark.parametrize("builder", [onnxruntime, null])
def test_an_artifact_of_a_variant_declares_the_source(tmp_path, builder):
    model = dataclasses.replace(open_model(tiny_models.conv(tmp_path / "m.onnx")), source_sha256="5ca1ab1e")
    assert builder.build(model, Recipe("int8"), SETTINGS, tmp_path).source_sha256 == "5ca1ab1e"


@pytest.mark.parametrize("name", ["conv", "external", "control_flow", "embedding", "quantized"])
def test_onnx_runtimes_artifact_is_one_file_that_computes_the_same(tmp_path, name):
    model = open_model(getattr(tiny_models, name)(tmp_path / "m.onnx"))
    feeds = tiny_models.samples(name, 3)
    expected = ort.InferenceSession(model.path).run(None, feeds)
    (tmp_path / "out").mkdir()
    artifact = onnxruntime.build(model, Recipe("fp32"), SETTINGS, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.onnx"]
    loaded = ort.InferenceSession(artifact.file.read_bytes())
    assert all(np.array_equal(a, b) for a, b in zip(loaded.run(None, feeds), expected))


def test_a_model_that_one_file_cannot_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.models.onnx_model.PROTOBUF_LIMIT_BYTES", 1000)
    model = open_model(tiny_models.conv(tmp_path / "m.onnx"))
    with pytest.raises(UnsupportedError, match=r"one ONNX file holds at most 0.0; a smaller precision may fit"):
        onnxruntime.build(model, Recipe("fp32"), SETTINGS, tmp_path)


def test_a_model_that_openvino_cannot_convert_is_refused_with_its_reason(tmp_path):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed") and load_builder("openvino")
    model = open_model(tiny_models.double(tmp_path / "m.onnx", body="y = NoSuchOperator(x)"))
    with pytest.raises(BackendError, match=r"^OpenVINO cannot load 'model.onnx': .*NoSuchOperator"):
        openvino.build(model, Recipe("fp32"), SETTINGS, tmp_path)


def load_builder(name):
    return plugins.load("toolchain.builders", name, "runtime")


@pytest.mark.parametrize(
    ("shape", "fixed"), [(("N", 512), "[1,512]"), ((2, "T"), "[2,16000]"), (("N", "T"), "[1,16000]"), ((1, 512), None)]
)
def test_openvino_is_given_a_fixed_batch_and_length_for_a_spectrum(tmp_path, shape, fixed):
    openvino = pytest.importorskip("toolchain.builders.openvino")
    sizes = ",".join(map(str, shape))
    text = f"""t (float[{sizes}] x) => (float[] y) {{
        signal = Unsqueeze(x, last) y = STFT(signal, step, window, frame)
    }}"""
    constants = {"last": np.array([2]), "step": np.int64(32), "window": np.ones(64, np.float32), "frame": np.int64(64)}
    onnx.save(parse(text, constants), tmp_path / "m.onnx")
    model = open_model(tmp_path / "m.onnx")
    if fixed is None:
        openvino.build(model, Recipe("fp32"), RuntimeSettings(), tmp_path)
        return
    with pytest.raises(UnsupportedError) as refused:
        openvino.build(model, Recipe("fp32"), RuntimeSettings(), tmp_path)
    assert f"give a fixed batch and length, as in --input 'x=float32{fixed}'" in str(refused.value)
    assert "ReduceL2" not in str(refused.value)
    assert "Summary" not in str(refused.value)


def test_what_the_exporter_noted_about_the_source_does_not_ship(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()).eval()
    torch.onnx.export(module, (torch.zeros(1, 4),), tmp_path / "m.onnx", dynamo=True, verbose=False)
    assert b"stack_trace" in (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "out").mkdir()
    artifact = onnxruntime.build(open_model(tmp_path / "m.onnx"), Recipe("fp32"), SETTINGS, tmp_path / "out")
    shipped = artifact.file.read_bytes()
    assert b"stack_trace" not in shipped
    assert b".py" not in shipped
