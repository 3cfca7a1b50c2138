"""Devices with TensorRT, and inputs to plan engines for."""

from __future__ import annotations

import dataclasses

from hwbench.machine import device_profiles
from runtimes.profile import HardwareProfile
from runtimes.tensors import TensorSpec

PROFILES = {name: profile for name in device_profiles.names() if (profile := device_profiles.load(name)).tensorrt}
IMAGE = TensorSpec("image", "float32", ("N", 3, 8, 8))
STATIC = TensorSpec("image", "float32", (1, 3, 8, 8))


def on(name: str, **settings: object) -> HardwareProfile:
    """A device with other settings in its [tensorrt]."""
    profile = PROFILES[name]
    assert profile.tensorrt is not None
    return dataclasses.replace(profile, tensorrt=dataclasses.replace(profile.tensorrt, **settings))
