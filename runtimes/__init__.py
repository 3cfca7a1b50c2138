"""The small runtime that goes to the device: open a bundle, check it, run it. Needs NumPy and one backend.

with runtimes.load("model.edge") as session:
    outputs = session.run({"image": image})
"""

import os

# Before its import: from 1.29 on, ONNX Runtime reports its use, with a thread of its own that runs while we time.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from runtimes.artifact import Artifact, Golden, Manifest, Member, RuntimeSettings
from runtimes.bundle import Bundle
from runtimes.errors import (
    BackendError,
    BundleError,
    EdgewrightError,
    FeedError,
    NotInstalledError,
    SchemaError,
    TamperedError,
    UnsupportedError,
    UsageError,
)
from runtimes.golden import GoldenResult, replay
from runtimes.loading import load
from runtimes.profile import HardwareProfile, QuantizationScheme
from runtimes.session import Session
from runtimes.tensors import TensorSpec

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "BackendError",
    "Bundle",
    "BundleError",
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
    "TamperedError",
    "TensorSpec",
    "UnsupportedError",
    "UsageError",
    "load",
    "replay",
]
