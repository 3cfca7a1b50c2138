"""The small runtime that goes to the device: open a bundle, check it, run it. Needs NumPy and one backend.

with runtimes.load("model.edge") as session:
    outputs = session.run({"image": image})
"""

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
    from runtimes.profile import HardwareProfile, QuantizationScheme
    from runtimes.tensors import TensorSpec
    from runtimes.verification.golden import GoldenResult, replay

# Before its import: from 1.29 on, ONNX Runtime reports its use, with a thread of its own that runs while we time.
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
    "QuantizationScheme",
    "RuntimeSettings",
    "SchemaError",
    "Session",
    "SignatureError",
    "Stats",
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
    "bundles.distribution",
    "inference.drift",
    "inference.load",
    "verification.golden",
)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is (PEP 562): a program that only may run a model need not wait for it."""
    if name in __all__:
        for module in _MODULES:
            found = vars(importlib.import_module(f"runtimes.{module}")).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module 'runtimes' has no attribute '{name}'")
