"""`edgewright inspect` on a bundle that carries an engine, which no ONNX tool can read."""

from __future__ import annotations

import dataclasses
import json

import pytest

from hwbench.machine import device_profiles
from runtimes.bundles.build_plan import EngineLayer
from toolchain.engines.planner import plan_engine
from toolchain.packaging.pack import pack


@pytest.fixture
def engine(contents, tmp_path):
    """A bundle whose engine is nobody's: inspecting does not load it."""
    profile = device_profiles.load("rtx-5090")
    file = tmp_path / "model.engine"
    file.write_bytes(b"an engine")
    artifact = dataclasses.replace(
        contents.artifact,
        file=file,
        size_bytes=9,
        runtime="tensorrt-rtx",
        plan=plan_engine(profile, contents.artifact.inputs, ("fp32",), runtime="tensorrt-rtx"),
        layers=(EngineLayer("conv_0", "CaskConvolution", "Half", ("conv", "relu")),),
    )
    path = tmp_path / "tiny.edge"
    pack(dataclasses.replace(contents, profile=profile, artifact=artifact), path)
    return path


def test_an_engine_is_told_by_its_manifest(cli, engine):
    ran = cli("inspect", engine)
    assert (ran.code, ran.err) == (0, "")
    assert "runtime: tensorrt-rtx\n" in ran.out
    assert "input: image=float32[" in ran.out
    assert "layer: conv_0, CaskConvolution, Half\n" in ran.out


def test_an_engine_for_programs(cli, engine):
    told = json.loads(cli("inspect", engine, "--format", "json").out)
    assert told["plan"]["runtime"] == "tensorrt-rtx"
    assert told["layers"][0]["nodes"] == ["conv", "relu"]
