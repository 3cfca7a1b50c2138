"""From a model to bundles for devices that compile: what is built here, what is carried, and what the report says."""

from __future__ import annotations

import pytest
import tiny_models

from hwbench.machine import device_profiles
from hwbench.results import profile_results
from runtimes.bundles.bundle import REPORT, Bundle
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.engines.shape_ranges import parse_ranges
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed: pip install 'edgewright[tensorrt-rtx]'")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The tiny classifier in fp16, for an Orin Nano by TensorRT, for a GeForce by tensorrt-rtx, and for a Nano."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_CACHE", str(folder / "cache"))
        return {
            runtime: build(
                BuildRequest(
                    source=str(tiny_models.conv(folder / "m.onnx")),
                    name="tiny",
                    out=_made(folder / runtime),
                    profiles=tuple(map(device_profiles.load, profiles)),
                    precisions=("fp16",),
                    runtimes=(runtime,),
                    sampling=SamplingPlan(min_runs=1, max_runs=1, duration_s=0),
                    ranges=parse_ranges(["N=1:2:4"]),
                )
            )
            for runtime, profiles in {
                "tensorrt": ("jetson-orin-nano", "jetson-nano"),
                "tensorrt-rtx": ("rtx-5090",),
            }.items()
        }


def _made(folder):
    folder.mkdir()
    return folder


def test_a_jetson_gets_the_typed_model_and_its_plan(built):
    result = built["tensorrt"].profiles[0]
    assert result.selected.name == "fp16 (tensorrt)"
    with Bundle(result.bundle) as bundle:
        artifact = bundle.manifest.artifact
        assert artifact.is_compiled_on_device
        assert artifact.runtime == "tensorrt"
        assert (artifact.plan.device, artifact.plan.version) == ("jetson-orin-nano", "10.3.0")
        assert artifact.plan.optimization_profiles[0]["image"].opt == (2, 3, 8, 8)
        assert bundle.manifest.golden.samples == 4
        assert bundle.golden("output", artifact.outputs)["scores"].shape == (4, 5)


def test_a_geforce_gets_an_engine_that_is_called_tensorrt_rtx(built):
    result = built["tensorrt-rtx"].profiles[0]
    with Bundle(result.bundle) as bundle:
        artifact = bundle.manifest.artifact
        report = profile_results.from_json(bundle.read(REPORT), "report")
    assert (artifact.runtime, artifact.file.name) == ("tensorrt-rtx", "model.engine")
    assert result.selected.layers == {"fp16": 2}
    assert "tensorrt" not in artifact.tool_versions
    layers = report.profiles[0].selected.report.artifact.layers
    assert "Half" in {layer.precision for layer in layers}
    assert any(layer.nodes for layer in layers)


def test_the_report_says_what_could_not_be_done_here(built):
    for results in built.values():
        result = results.profiles[0]
        assert result.selected.report.latency is None
        assert result.selected.report.accuracy is not None
        assert any(caveat.startswith("Latency and memory were not measured") for caveat in result.caveats)
        assert any("is that of the same graph on ONNX Runtime" in caveat for caveat in result.caveats)


def test_on_its_own_device_an_engine_that_cannot_run_is_not_timed(one_process, tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.devices.device_match.device_profiles.fits", lambda profile, machine: True)
    request = BuildRequest(
        source=str(tiny_models.conv(tmp_path / "m.onnx")),
        name="tiny",
        out=_made(tmp_path / "out"),
        profiles=(device_profiles.load("l4"),),
        precisions=("fp32",),
        sampling=SamplingPlan(min_runs=1, max_runs=1, duration_s=0),
        ranges=parse_ranges(["N=1:2:4"]),
    )
    entries = {entry.name: entry for entry in build(request).profiles[0].candidates}
    engine, source = entries["fp32 (tensorrt)"], entries["fp32 (onnxruntime)"]
    if engine.report is not None and engine.report.latency is not None:
        pytest.skip("There is an L4 here.")
    assert engine.status == "rejected"
    assert engine.reason.startswith("its engine cannot run here, so it was not timed: ")
    assert source.report.latency is not None
    assert "tensorrt" not in next(name for name, entry in entries.items() if entry.status == "selected")


def test_a_board_whose_python_is_too_old_gets_a_command(built):
    (entry,) = built["tensorrt"].profiles[1].candidates
    assert (entry.status, built["tensorrt"].profiles[1].bundle) == ("not built", None)
    assert "trtexec --onnx=model.onnx" in entry.reason
    assert "--fp16" in entry.reason
