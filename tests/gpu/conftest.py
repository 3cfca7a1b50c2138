"""A card, and its engines. Without a card everything here is skipped, and says why."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType

import pytest

from hwbench.machine import device_profiles
from runtimes import plugins
from runtimes.errors import NotInstalledError, UnsupportedError
from runtimes.profile import HardwareProfile
from runtimes.tensorrt.cuda._choice import open_memory
from runtimes.tensorrt.cuda._protocol import DeviceMemory


@pytest.fixture(scope="session")
def card() -> DeviceMemory:
    try:
        return open_memory()
    except (UnsupportedError, NotInstalledError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session", params=["tensorrt", "tensorrt-rtx"])
def backend(request: pytest.FixtureRequest, card: DeviceMemory) -> ModuleType:
    """Each TensorRT that is installed."""
    try:
        return plugins.load("runtimes.backends", request.param, "runtime")
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def profile(backend: ModuleType, card: DeviceMemory) -> HardwareProfile:
    """A profile of the card, whichever it is, with the TensorRT that is installed."""
    base = device_profiles.load("rtx-5090")
    assert base.gpu is not None
    assert base.tensorrt is not None
    version = base.tensorrt.version if "rtx" in backend.trt.__name__ else backend.version()
    return dataclasses.replace(
        base,
        gpu=dataclasses.replace(base.gpu, model=card.name, compute_capability=card.compute_capability),
        tensorrt=dataclasses.replace(base.tensorrt, version=version),
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "cache"))
