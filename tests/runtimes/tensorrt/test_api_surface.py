"""Every attribute of TensorRT's that we use is there, in each release where we use it.

The lists are of the genuine bindings; `python -m benchmarks.tensorrt_bindings --write` makes them anew.
"""

from __future__ import annotations

import dataclasses
import json

import fake_tensorrt
import pytest
from fake_cuda import FakeMemory

from benchmarks.tensorrt_bindings import ONLY_RTX, RELEASES, RTX, SURFACE, missing, uses
from hwbench.machine import device_profiles
from runtimes.errors import UnsupportedError
from runtimes.tensors import TensorSpec
from toolchain.engines.planner import plan_engine

SURFACES = json.loads(SURFACE.read_text())
USES = uses()
SPEC = TensorSpec("x", "float32", ("N", 3))


def test_our_uses_are_found():
    assert {"execute_async_v3", "set_tensor_address", "set_input_shape"} <= USES["IExecutionContext"]
    assert {"build_serialized_network", "create_network"} <= USES["Builder"]
    assert {"IProgressMonitor", "ILogger", "Runtime", "OnnxParser"} <= set(USES)


@pytest.mark.parametrize("release", SURFACES)
def test_each_release_has_what_we_use_of_it(release):
    lacking = missing(SURFACES[release], USES)
    assert set(lacking) <= (set() if release == RTX else ONLY_RTX)
    assert set(USES) - set(SURFACES[release]) <= (set() if release == RTX else ONLY_RTX)


def test_the_releases_are_those_of_the_jetpacks_and_the_index():
    assert set(SURFACES) == {*RELEASES, RTX}


@pytest.mark.parametrize("release", SURFACES)
def test_a_plan_names_only_flags_that_its_release_has(release):
    chips = [device_profiles.load(name) for name in device_profiles.names() if device_profiles.load(name).tensorrt]
    runtime = "tensorrt-rtx" if release == RTX else "tensorrt"
    planned = 0
    for profile in chips:
        for typing in ("strong", "weak"):
            for arithmetic in ("fp32", "fp16", "bf16", "int8", "fp8", "fp4"):
                try:
                    plan = plan_engine(_with(profile, release, typing), [SPEC], ("fp32", arithmetic), runtime=runtime)
                except UnsupportedError:
                    continue
                planned += 1
                assert set(plan.network_flags) <= set(SURFACES[release]["NetworkDefinitionCreationFlag"])
                assert set(plan.builder_flags) <= set(SURFACES[release]["BuilderFlag"])
                assert plan.hardware_compatibility == "none" or (
                    plan.hardware_compatibility.upper() in SURFACES[release]["HardwareCompatibilityLevel"]
                )
    assert planned


def test_the_fake_has_no_names_that_tensorrt_has_not():
    fake = fake_tensorrt.make(FakeMemory())
    genuine = SURFACES["10.3.0"]
    assert {name for name in vars(fake) if name[0].isupper()} <= set(genuine)
    for name in ("BuilderFlag", "NetworkDefinitionCreationFlag"):
        assert set(getattr(fake, name).__members__) <= set(genuine[name])
    for cls in ("Runtime", "Builder", "OnnxParser"):
        public = {item for item in vars(getattr(fake, cls)) if not item.startswith("_")} - {"kind"}
        assert public <= set(genuine[cls])


def _with(profile, release, typing):
    version = profile.tensorrt.version if release == RTX else release
    settings = dataclasses.replace(profile.tensorrt, version=version, typing=typing)
    return dataclasses.replace(profile, tensorrt=settings)
