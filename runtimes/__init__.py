"""The runtime that goes to the device: it opens a bundle, checks it and runs it, and needs NumPy and one backend.

with runtimes.load("model.edge") as session:
    outputs = session.run({"image": image})
"""

import sys

# `python -m runtimes` looks for every module in the current folder first, where a numpy.py may lie; -P, since Python
# 3.11, does not. Until it has found the module, Python calls the program "-m"; another program's folder is its own.
if (
    sys.argv[:1] == ["-m"]
    and sys.orig_argv[-len(sys.argv)].partition(".")[0] in ("runtimes", "-mruntimes")
    and not getattr(sys.flags, "safe_path", False)
    and not __file__.startswith(f"{sys.path[0]}/")
):
    sys.path.pop(0)

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtimes.bundles.bundle import Bundle
    from runtimes.bundles.distribution import Distribution
    from runtimes.bundles.manifest import Artifact, Golden, Manifest, Member, RuntimeSettings
    from runtimes.errors import (
        BackendError,
        BundleError,
        EdgewrightError,
        FeedError,
        NotInstalledError,
        OutdatedError,
        SchemaError,
        SignatureError,
        TamperedError,
        UnsupportedError,
        UsageError,
    )
    from runtimes.inference.drift import TensorDrift
    from runtimes.inference.load import load
    from runtimes.inference.session import Session
    from runtimes.inference.stats import Stats
    from runtimes.inference.stream import Stream
    from runtimes.profile import HardwareProfile, QuantizationScheme
    from runtimes.tensors import TensorSpec
    from runtimes.verification.golden import GoldenResult, replay

# ONNX Runtime reports its use from 1.29 on, in a thread that would run while we time. It reads this at its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "BackendError",
    "Bundle",
    "BundleError",
    "Distribution",
    "EdgewrightError",
    "FeedError",
    "Golden",
    "GoldenResult",
    "HardwareProfile",
    "Manifest",
    "Member",
    "NotInstalledError",
    "OutdatedError",
    "QuantizationScheme",
    "RuntimeSettings",
    "SchemaError",
    "Session",
    "SignatureError",
    "Stats",
    "Stream",
    "TamperedError",
    "TensorDrift",
    "TensorSpec",
    "UnsupportedError",
    "UsageError",
    "load",
    "replay",
]

_MODULES = (
    "errors",
    "tensors",
    "profile",
    "bundles.manifest",
    "bundles.bundle",
    "inference.session",
    "inference.stats",
    "inference.stream",
    "bundles.distribution",
    "inference.drift",
    "inference.load",
    "verification.golden",
)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), so that `import runtimes` costs next to nothing."""
    if name in __all__:
        for module in _MODULES:
            found = vars(importlib.import_module(f"runtimes.{module}")).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module 'runtimes' has no attribute '{name}'")
