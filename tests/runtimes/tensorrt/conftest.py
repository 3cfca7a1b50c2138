"""A fake GPU with a fake TensorRT, and engines for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fake_tensorrt
import pytest
from fake_cuda import FakeMemory
from onnx import parser

from hwbench.machine import device_profiles
from runtimes.bundles.build_plan import BuildPlan
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from toolchain.builders import onnxruntime as builder
from toolchain.engines.planner import plan_engine
from toolchain.engines.shape_ranges import parse_ranges
from toolchain.models.onnx_model import open_model
from toolchain.recipes.recipe import Recipe


@pytest.fixture
def memory() -> FakeMemory:
    return FakeMemory()


@pytest.fixture
def trt(memory: FakeMemory) -> Any:
    """The fake of TensorRT; its logger is made anew for each."""
    return _hashable(fake_tensorrt.make(memory))


class _Module:
    """A namespace that can be a key, as modules can."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.__dict__.update(names)


def _hashable(namespace: Any) -> Any:
    return _Module(vars(namespace))


@pytest.fixture(scope="session")
def orin_plan(tiny_onnx: Path) -> BuildPlan:
    """Of `tiny_onnx` for an Orin Nano, with two optimization profiles."""
    ranges = parse_ranges(["N=1:1:2", "N=3:4:4"])
    return plan_engine(device_profiles.load("jetson-orin-nano"), open_model(tiny_onnx).inputs, ("fp32",), ranges)


@pytest.fixture
def dynamic(tiny_onnx: Path, orin_plan: BuildPlan, tmp_path: Path) -> tuple[Artifact, bytes]:
    """`tiny_onnx` as the fake's engine, with two optimization profiles."""
    (tmp_path / "dynamic").mkdir()
    artifact = builder.build(open_model(tiny_onnx), Recipe("fp32"), RuntimeSettings(), tmp_path / "dynamic")
    profiles = [
        {name: [r.min, r.opt, r.max] for name, r in shapes.items()} for shapes in orin_plan.optimization_profiles
    ]
    return artifact, json.dumps(profiles).encode() + b"\n" + tiny_onnx.read_bytes()


@pytest.fixture
def static(tmp_path: Path) -> tuple[Artifact, bytes]:
    """y = 2 x of a fixed shape, as the fake's engine."""
    text = '<ir_version: 8, opset_import: ["" : 17]> fixed (float[2,3] x) => (float[2,3] y) { y = Add(x, x) }'
    file = tmp_path / "fixed.onnx"
    file.write_bytes(parser.parse_model(text).SerializeToString())
    artifact = builder.build(open_model(file), Recipe("fp32"), RuntimeSettings(), tmp_path)
    return artifact, b"[]\n" + file.read_bytes()
