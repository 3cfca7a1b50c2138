"""Engines on disk, each under a key that holds everything it depends on."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from runtimes import cache, cpu, files
from runtimes.bundles.build_plan import BuildPlan
from runtimes.cache import Cache
from runtimes.codec import encode
from runtimes.errors import UsageError

_CACHE_LIMIT_BYTES = 20_000_000_000  # an engine is as large as its weights, so a few large models take gigabytes


@dataclass(frozen=True)
class BuildEnvironment:
    """The software that builds an engine and the chip it builds for; an engine runs on these and on nothing else.

    Attributes:
        runtime: "tensorrt" or "tensorrt-rtx".
        version: the exact release of `runtime`.
        cuda: the version of CUDA.
        system, arch: the operating system and the processor's architecture, by Linux's names.
        compute_capability: that of the GPU that the engine is for, such as "8.7".
        gpu: the card's name, since kernel times differ between cards; empty where the build needs no card.
    """

    runtime: str
    version: str
    cuda: str
    system: str
    arch: str
    compute_capability: str
    gpu: str = ""


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on. Kernel times depend on the environment alone, and have no plan or model."""

    environment: BuildEnvironment
    plan: BuildPlan | None = None
    model_sha256: str | None = None


def build_environment(trt: Any, compute_capability: str, cuda: str | None = None, gpu: str = "") -> BuildEnvironment:
    """Describe an installed TensorRT and the GPU that it builds for.

    Args:
        trt: the module `tensorrt` or `tensorrt_rtx`.
        compute_capability: that of the GPU, such as "8.7".
        cuda: the version that is running; None takes the version in the installed package's name.
        gpu: the card's name.
    """
    runtime = "tensorrt-rtx" if trt.__name__.startswith("tensorrt_rtx") else "tensorrt"
    return BuildEnvironment(
        runtime,
        str(trt.__version__),
        cuda or _packaged_cuda(runtime),
        platform.system(),
        cpu.arch(),
        compute_capability,
        gpu,
    )


def open_cache(warn: Callable[[str], object] = lambda text: None) -> Cache:
    """Open the user's cache of engines and kernel times; for `warn` see `Cache`."""
    return Cache(cache.folder("engines"), limit_bytes=_CACHE_LIMIT_BYTES, warn=warn)


def read(path: Path, key: EngineKey) -> tuple[bytes, Any] | None:
    """Read an engine that `write` wrote, and its notes.

    Returns:
        None if there is no such file.

    Raises:
        UsageError: the file was made under another key, is damaged, or is not a file that edgewright wrote; says which.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return split(cache.unseal(key, content))
    except ValueError as error:
        raise UsageError(f"'{path}' {error}; delete it.") from None


def write(path: Path, key: EngineKey, engine: bytes, notes: Any) -> None:
    """Write an engine atomically, under its key.

    Args:
        path: the file; its folder exists.
        key: everything that the engine depends on.
        engine: TensorRT's bytes.
        notes: facts about the engine that `codec.encode` takes.

    Raises:
        UsageError: the path cannot be written.
        OSError: the disk is full.
    """
    with files.replacing(path) as temporary:
        temporary.write_bytes(cache.seal(key, join(engine, notes)))


def join(engine: bytes, notes: Any) -> bytes:
    """Put an engine's notes before its bytes, as one line of JSON."""
    return json.dumps(encode(notes)).encode() + b"\n" + engine


def split(data: bytes) -> tuple[bytes, Any]:
    """Undo `join`."""
    notes, _, engine = data.partition(b"\n")
    return engine, json.loads(notes)


def _packaged_cuda(runtime: str) -> str:
    """Read the version of CUDA from the name of a package: tensorrt_rtx_cu13 is built for CUDA 13."""
    start = runtime.replace("-", "_") + "_cu"
    names = {str(found.metadata["Name"]).replace("-", "_").lower() for found in metadata.distributions()}
    versions = {name.removeprefix(start).partition("_")[0] for name in names if name.startswith(start)}
    return ",".join(sorted(versions)) or "unknown"
