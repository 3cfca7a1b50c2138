"""The command that builds a plan's engine without edgewright."""

from __future__ import annotations

import shlex

import pytest
from planned_devices import IMAGE, PROFILES, STATIC, on

from runtimes.tensors import TensorSpec
from toolchain.engines.planner import plan_engine
from toolchain.engines.shape_ranges import parse_ranges
from toolchain.engines.trtexec import command


def words(profile, *arithmetic, inputs=(STATIC,), ranges=(), runtime="tensorrt"):
    return shlex.split(command(plan_engine(profile, inputs, arithmetic or ("fp32",), parse_ranges(ranges), runtime)))


@pytest.mark.parametrize("name", PROFILES)
def test_each_release_in_its_own_words(name):
    profile = PROFILES[name]
    flags = words(profile, "fp32", "fp16")
    major = int(profile.tensorrt.version.partition(".")[0])
    assert flags[0] == "trtexec"
    assert ("--fp16" in flags) == (major == 8)
    assert ("--stronglyTyped" in flags) == (major == 10)
    assert ("--buildOnly" in flags, "--skipInference" in flags) == (major == 8, major > 8)
    assert any(flag.startswith("--workspace=") for flag in flags) == (profile.tensorrt.version == "8.2.1")
    assert any(flag.startswith("--builderOptimizationLevel") for flag in flags) == (major > 8)


def test_shapes():
    flags = words(PROFILES["l4"], inputs=[IMAGE], ranges=["N=1:4:16"])
    assert flags[-3:] == ["--minShapes=image:1x3x8x8", "--optShapes=image:4x3x8x8", "--maxShapes=image:16x3x8x8"]
    several = words(PROFILES["l4"], inputs=[IMAGE], ranges=["N=1", "N=2:4:8"])
    assert [flag for flag in several if flag.startswith("--profile")] == ["--profile=0", "--profile=1"]
    assert several.index("--minShapes=image:1x3x8x8") < several.index("--profile=1")


def test_names_that_a_shell_or_trtexec_would_cut():
    odd = TensorSpec("serving default:0", "float32", ("N", 2))
    flags = words(PROFILES["l4"], inputs=[odd], ranges=["N=3"])
    assert flags[-1] == "--maxShapes='serving default:0':3x2"


def test_dla_and_compatibility():
    flags = words(on("jetson-agx-orin", dla_core=1, typing="weak"), "fp32", "fp16")
    assert {"--useDLACore=1", "--allowGPUFallback", "--fp16"} <= set(flags)
    flags = words(on("a10", hardware_compatibility="ampere_plus", version_compatible=True))
    assert {"--hardwareCompatibilityLevel=ampere+", "--versionCompatible"} <= set(flags)


def test_tensorrt_rtx_has_a_tool_of_its_own():
    assert words(PROFILES["rtx-5090"], runtime="tensorrt-rtx") == [
        "tensorrt_rtx",
        "--onnx=model.onnx",
        "--saveEngine=model.engine",
    ]
