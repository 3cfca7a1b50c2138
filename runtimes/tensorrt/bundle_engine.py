"""The engine that a device compiled from a bundle, kept beside it: what it is good for, and reading it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtimes.bundles.bundle import Bundle
from runtimes.errors import UnsupportedError
from runtimes.tensorrt import engine_file
from runtimes.tensorrt.cuda._protocol import DeviceMemory
from runtimes.tensorrt.engine_file import CacheKey


def path_of(bundle: Path) -> Path:
    """Where a bundle's engine is kept."""
    return bundle.with_name(f"{bundle.name}.engine")


def key_of(bundle: Bundle, trt: Any, memory: DeviceMemory) -> CacheKey:
    """Everything the engine depends on: this GPU, this TensorRT and CUDA, the plan, and the model's bytes."""
    artifact = bundle.manifest.artifact
    toolkit = engine_file.toolkit(trt, memory.compute_capability, memory.cuda, memory.name)
    return CacheKey(toolkit, artifact.plan, bundle.manifest.members[artifact.file.as_posix()].sha256)


def read(bundle: Bundle, trt: Any, memory: DeviceMemory) -> bytes:
    """The engine compiled from a bundle on this device.

    Raises:
        UnsupportedError: nothing was compiled yet; says how to.
        UsageError: what lies there was compiled by another TensorRT, for another GPU, or from another bundle.
    """
    kept = engine_file.read(path_of(bundle.path), key_of(bundle, trt, memory))
    if kept is None:
        raise UnsupportedError(
            f"'{bundle.path}' holds a model that the device compiles; run: python -m runtimes compile {bundle.path}"
        )
    return kept[0]
