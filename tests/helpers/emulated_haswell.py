"""The emulated x86 CPU without VNNI, and a bundle whose products saturate there; or the reason why there is none."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from hwbench.emulation.set_up import set_up
from hwbench.machine import device_profiles
from hwbench.targets.emulated import EmulatedTarget, open_emulated
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profile import HardwareProfile
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

PROFILE = "x86-64-v3-avx2"
_EMULATOR = "qemu-x86_64-static"


def device() -> EmulatedTarget:
    """Set the emulated CPU up in the tests' cache, which takes no download; skip where it cannot run."""
    if platform.machine() != "x86_64":
        pytest.skip(f"this machine is {platform.machine()}, so the emulated {PROFILE} would take a sysroot")
    if shutil.which(_EMULATOR) is None:
        pytest.skip(f"{_EMULATOR} is not installed (Debian: qemu-user-static)")
    if "haswell" in Path(sys.executable).name:
        pytest.skip("this Python is emulated itself")
    profile = device_profiles.load(PROFILE)
    set_up(profile, lambda done: None)
    return open_emulated(profile)


def saturating_bundle(folder: Path, profile: HardwareProfile) -> Path:
    """x uint8[N,2] -> y int32[N,1]: 255 * 127 twice is 64770, and 32767 where pairs are summed in int16."""
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        product (uint8[N,2] x) => (int32[N,1] y) { y = MatMulInteger(x, w) }"""
    )
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.full((2, 1), 127, np.int8), "w"))
    folder.mkdir(exist_ok=True)
    onnx.save(proto, folder / "product.onnx")
    recipe = Recipe("int8-dynamic")
    (folder / "artifact").mkdir()
    artifact = builder.build(open_model(folder / "product.onnx"), recipe, RuntimeSettings(), folder / "artifact")
    inputs, outputs = {"x": np.full((3, 2), 255, np.uint8)}, {"y": np.full((3, 1), 64770, np.int32)}
    pack(Contents("product", profile, artifact, recipe, inputs, outputs), folder / "product.edge")
    return folder / "product.edge"
