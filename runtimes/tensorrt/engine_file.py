"""Engines and kernel times kept on disk, under keys that hold everything they depend on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from runtimes import cpu, files
from runtimes.bundles.build_plan import BuildPlan
from runtimes.codec import encode
from runtimes.errors import UsageError


@dataclass(frozen=True)
class Toolkit:
    """What builds, and for which chip: an engine is good for this and nothing else.

    Attributes:
        version: the exact release of `runtime`.
        gpu: the card's name, since kernel times are its own; empty where none is needed to build.
    """

    runtime: str
    version: str
    cuda: str
    system: str
    arch: str
    compute_capability: str
    gpu: str = ""


@dataclass(frozen=True)
class CacheKey:
    """What a cached file depends on. Kernel times depend on the toolkit alone."""

    toolkit: Toolkit
    plan: BuildPlan | None = None
    model_sha256: str | None = None

    @property
    def digest(self) -> str:
        """The key as a file's name."""
        return hashlib.sha256(json.dumps(encode(self), sort_keys=True).encode()).hexdigest()


def toolkit(trt: Any, compute_capability: str, cuda: str | None = None, gpu: str = "") -> Toolkit:
    """The toolkit of an installed `tensorrt` or `tensorrt_rtx`.

    Args:
        trt: the module.
        compute_capability: what it builds for.
        cuda: the version that is running; that of the installed package's name, if None.
        gpu: the card's name.
    """
    runtime = "tensorrt-rtx" if trt.__name__.startswith("tensorrt_rtx") else "tensorrt"
    return Toolkit(
        runtime,
        str(trt.__version__),
        cuda or _packaged_cuda(runtime),
        platform.system(),
        cpu.arch(),
        compute_capability,
        gpu,
    )


def folder() -> Path:
    """Where the cache lies: in EDGEWRIGHT_CACHE, else in the user's cache folder."""
    base = os.environ.get("EDGEWRIGHT_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(base) if base else home / "edgewright") / "engines"


def read(path: Path, key: CacheKey) -> tuple[bytes, Any] | None:
    """A cached file's bytes, and the notes kept with them; None if there is no such file.

    Raises:
        UsageError: it was made under another key, or is damaged. It is refused, and never used.
    """
    try:
        header, _, data = path.read_bytes().partition(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        entry = json.loads(header)
        kept, digest, notes = entry["key"], entry["sha256"], entry["notes"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"'{path}' is no cache of edgewright's; delete it.") from None
    if kept != encode(key):
        raise UsageError(f"'{path}' was made by another build ({_difference(kept, encode(key))}); delete it.")
    if hashlib.sha256(data).hexdigest() != digest:
        raise UsageError(f"'{path}' is damaged; delete it.")
    return data, notes


def write(path: Path, key: CacheKey, data: bytes, notes: Any = None) -> None:
    """Keep bytes under a key; readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"key": encode(key), "sha256": hashlib.sha256(data).hexdigest(), "notes": encode(notes)})
    with files.replacing(path) as beside:
        beside.write_bytes(header.encode() + b"\n" + data)


def _packaged_cuda(runtime: str) -> str:
    """From a package's name: tensorrt_rtx_cu13 is built for CUDA 13."""
    start = runtime.replace("-", "_") + "_cu"
    names = {str(found.metadata["Name"]).replace("-", "_").lower() for found in metadata.distributions()}
    versions = {name.removeprefix(start).partition("_")[0] for name in names if name.startswith(start)}
    return ",".join(sorted(versions)) or "unknown"


def _difference(kept: Any, wanted: Any) -> str:
    if not isinstance(kept, dict) or not isinstance(wanted, dict):
        return f"{kept} there, {wanted} here"
    names = sorted(name for name in {*kept, *wanted} if kept.get(name) != wanted.get(name))
    return "; ".join(f"{name}: {_difference(kept.get(name), wanted.get(name))}" for name in names[:3])
