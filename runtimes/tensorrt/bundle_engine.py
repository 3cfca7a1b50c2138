"""The engine that a device compiled from a bundle and that lies beside the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtimes.bundles.bundle import Bundle
from runtimes.errors import UnsupportedError
from runtimes.tensorrt import engine_file
from runtimes.tensorrt.cuda._protocol import DeviceMemory
from runtimes.tensorrt.engine_file import EngineKey


def path_of(bundle: Path) -> Path:
    """Return the path of a bundle's engine."""
    return bundle.with_name(f"{bundle.name}.engine")


def key_of(bundle: Bundle, trt: Any, memory: DeviceMemory) -> EngineKey:
    """Collect everything the engine depends on: this GPU, this TensorRT and CUDA, the plan, and the model's bytes."""
    artifact = bundle.manifest.artifact
    environment = engine_file.build_environment(trt, memory.compute_capability, memory.cuda, memory.name)
    return EngineKey(environment, artifact.plan, bundle.manifest.members[artifact.file.as_posix()].sha256)


def read(bundle: Bundle, trt: Any, memory: DeviceMemory) -> bytes:
    """Read the engine that was compiled from a bundle on this device.

    Raises:
        UnsupportedError: the bundle was not compiled yet; says how to compile it.
        UsageError: the engine was compiled by another TensorRT, for another GPU or from another bundle, or is damaged.
    """
    found = engine_file.read(path_of(bundle.path), key_of(bundle, trt, memory))
    if found is None:
        raise UnsupportedError(
            f"'{bundle.path}' holds a model that the device compiles; run: python -m runtimes compile {bundle.path}"
        )
    return found[0]
