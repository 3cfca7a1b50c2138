"""`python -m runtimes compile` on the fake GPU: an engine is built once, proven, kept, and refused elsewhere."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys

import numpy as np
import pytest

from hwbench.machine import device_profiles
from runtimes import load
from runtimes.__main__ import main
from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import UnsupportedError, UsageError
from runtimes.tensorrt import bundle_engine
from runtimes.tensorrt.compile_bundle import build_with_known_timings
from toolchain.builders import tensorrt as builder
from toolchain.engines.build_target import BuildTarget
from toolchain.engines.shape_ranges import parse_ranges
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe


@pytest.fixture(autouse=True)
def device(trt, memory, monkeypatch, tmp_path):
    """This machine, as if it were the Jetson: the fake is what `import tensorrt` finds."""
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.delitem(sys.modules, "runtimes.backends.tensorrt", raising=False)
    backend = importlib.import_module("runtimes.backends.tensorrt")
    monkeypatch.setattr(backend, "open_memory", lambda name=None: memory)
    monkeypatch.setattr("runtimes.inference.load.check_machine", lambda profile: None)
    yield
    sys.modules.pop("runtimes.backends.tensorrt")


@pytest.fixture
def carried(contents, tiny_onnx, tmp_path, memory):
    """A bundle with a model and a plan for an Orin Nano; it was packed where no such GPU is."""
    (tmp_path / "made").mkdir()
    orin = device_profiles.load("jetson-orin-nano")
    destination = BuildTarget(orin, parse_ranges(["N=1:1:4"]))
    memory.compute_capability = "none"
    artifact = builder.build(open_model(tiny_onnx), Recipe("fp32"), RuntimeSettings(), tmp_path / "made", destination)
    memory.compute_capability = "8.7"
    path = tmp_path / "tiny.edge"
    pack(dataclasses.replace(contents, profile=orin, artifact=artifact), path)
    return path


def test_a_bundle_carries_the_model_and_its_plan(carried):
    with Bundle(carried) as bundle:
        artifact = bundle.manifest.artifact
        assert artifact.is_compiled_on_device
        assert (artifact.runtime, artifact.plan.device) == ("tensorrt", "jetson-orin-nano")
        assert bundle.manifest.golden.tolerance == 1e-2  # TF32 has the ten bits of fp16


def test_compiled_once_proven_kept_and_run(carried, capsys, trt, memory, images):
    assert main(["compile", str(carried)]) == 0
    out = capsys.readouterr().out
    assert "an engine of 1 layer in" in out
    assert "by tensorrt 10.3.0, CUDA 12.6, Fake GPU." in out
    assert "ok: scores differs by" in out
    assert f"Wrote '{carried}.engine'" in out
    assert main(["compile", str(carried)]) == 0
    assert "was built before" in capsys.readouterr().out
    assert trt.state.builds == 1
    with load(carried) as session:
        scores = session.run({"image": images})["scores"]
    with Bundle(carried) as bundle:
        np.testing.assert_allclose(scores, bundle.golden("output", session.outputs)["scores"], rtol=1e-5)
    assert main(["verify", str(carried)]) == 0
    assert not memory.live


def test_what_is_kept_says_what_built_it(carried):
    assert main(["compile", str(carried)]) == 0
    header, notes, _ = bundle_engine.path_of(carried).read_bytes().split(b"\n", 2)
    key, notes = json.loads(header)["key"], json.loads(notes)
    assert key["environment"]["compute_capability"] == "8.7"
    assert key["plan"]["version"] == "10.3.0"
    assert notes["layers"] == [{"name": "fused", "kind": "kgen", "precision": "Float", "nodes": ["a", "b"]}]
    assert notes["warnings"] == ["a warning"]


def test_a_plan_is_followed(carried, trt):
    assert main(["compile", str(carried)]) == 0
    config = trt.state.config
    assert config.flags == {trt.BuilderFlag.TF32}
    assert config.pools == {"WORKSPACE": 1792 << 20}
    assert config.builder_optimization_level == 3
    assert config.profiles == [{"image": [[1, 3, 8, 8], [1, 3, 8, 8], [4, 3, 8, 8]]}]
    assert config.profiling_verbosity == "DETAILED"


def test_kernel_times_are_kept_for_the_next_build(carried, trt):
    for dots in ("", ".", ".."):
        assert main(["compile", str(carried)]) == 0
        assert trt.state.config.cache.blob == dots.encode()
        bundle_engine.path_of(carried).unlink()


def test_nothing_runs_before_it_was_compiled(carried):
    with pytest.raises(UnsupportedError, match=f"run: python -m runtimes compile {carried}"):
        load(carried)


@pytest.mark.parametrize("change", ["version", "cuda", "gpu"])
def test_an_engine_of_another_build_is_refused_not_used(carried, trt, memory, capsys, change):
    assert main(["compile", str(carried)]) == 0
    if change == "version":
        trt.__version__ = "10.7.0"
    elif change == "cuda":
        memory.cuda = "12.8"
    else:
        memory.name = "Another GPU"
    with pytest.raises(UsageError, match=r"was made by another build \(environment: .* there, .* here\); delete it"):
        load(carried)
    assert main(["compile", str(carried)]) == 2
    assert "was made by another build" in capsys.readouterr().err


def test_an_engine_that_was_changed_is_refused(carried):
    assert main(["compile", str(carried)]) == 0
    file = bundle_engine.path_of(carried)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(UsageError, match="damaged"):
        load(carried)


def test_an_engine_that_computes_something_else_is_not_kept(carried, contents, capsys):
    with Bundle(carried) as bundle:
        manifest = bundle.manifest
        data = bundle.read(manifest.artifact.file.as_posix())
    file = carried.parent / "model.onnx"
    file.write_bytes(data)
    wrong = Contents(
        "tiny",
        manifest.profile,
        dataclasses.replace(manifest.artifact, file=file),
        Recipe("fp32"),
        contents.golden_inputs,
        {"scores": contents.golden_outputs["scores"] * 1.1},
    )
    pack(wrong, carried)
    assert main(["compile", str(carried)]) == 1
    done = capsys.readouterr()
    assert "MISMATCH: scores differs by" in done.out
    assert "was not written" in done.err
    assert not bundle_engine.path_of(carried).exists()


def test_the_wrong_gpu_or_tensorrt(carried, capsys, trt, memory):
    memory.compute_capability = "8.9"
    assert main(["compile", str(carried)]) == 2
    assert "compute capability 8.7, but this GPU is Fake GPU, 8.9" in capsys.readouterr().err
    memory.compute_capability, trt.__version__ = "8.7", "11.4.0"
    assert main(["compile", str(carried)]) == 2
    assert "The plan is for tensorrt 10.3.0 on jetson-orin-nano, but TensorRT 11.4.0 is installed" in (
        capsys.readouterr().err
    )
    assert not bundle_engine.path_of(carried).exists()


def test_a_damaged_timing_cache_costs_time_alone(carried, trt, tmp_path):
    assert main(["compile", str(carried)]) == 0
    bundle_engine.path_of(carried).unlink()
    (timings,) = (tmp_path / "cache" / "engines").iterdir()
    timings.write_bytes(timings.read_bytes().replace(b'"cuda": "12.6"', b'"cuda": "12.5"', 1))
    assert main(["compile", str(carried)]) == 0
    assert trt.state.config.cache.blob == b""  # the build measured its kernels anew


def test_a_bundle_with_nothing_to_compile(bundle, capsys):
    assert main(["compile", str(bundle)]) == 2
    assert "holds nothing to compile" in capsys.readouterr().err


def test_a_machine_that_is_the_device_builds_at_once(tiny_onnx, tmp_path, trt, memory, monkeypatch):
    def here(key, onnx, show):  # a child has no fake
        return build_with_known_timings(trt, key.plan, onnx, key, show)

    monkeypatch.setattr("toolchain.builders._engine.build_in_child", here)
    destination = BuildTarget(device_profiles.load("jetson-orin-nano"))
    artifact = builder.build(open_model(tiny_onnx), Recipe("fp32"), RuntimeSettings(), tmp_path, destination)
    assert (artifact.file.name, artifact.is_compiled_on_device) == ("model.engine", False)
    assert (artifact.tool_versions["tensorrt"], artifact.tool_versions["cuda"]) == ("10.3.0", "12.6")
    assert [layer.name for layer in artifact.layers] == ["fused"]
    assert not memory.live
