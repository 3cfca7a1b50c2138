"""The manifest of a bundle, and the artifact that a runtime loads from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtimes.bundles.build_plan import BuildPlan, EngineLayer
from runtimes.bundles.distribution import Distribution
from runtimes.bundles.input_limits import InputLimits
from runtimes.bundles.release import Release
from runtimes.bundles.states import fault
from runtimes.bundles.work import Work
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from runtimes.tensors import TensorSpec

_MAX_THREADS = 1024  # runtimes start any number of threads that they are told, or crash

SCHEMA_VERSION = 1
"""Version of the manifest's schema; 1 is the first."""


@dataclass(frozen=True)
class RuntimeSettings:
    """The threads and options that a runtime runs an artifact with.

    Attributes:
        threads: number of threads inside one inference; 0 leaves the choice to the runtime.
        options: the runtime's own options, by its own names.
    """

    threads: int = 1
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.threads <= _MAX_THREADS:
            raise UsageError(f"A runtime cannot be given {self.threads} threads; choose 0 to {_MAX_THREADS}.")

    def __hash__(self) -> int:
        return hash((self.threads, frozenset(self.options.items())))


@dataclass(frozen=True)
class Artifact:
    """One model in the form that one runtime loads.

    Attributes:
        file: its path; inside a bundle, the member's name.
        runtime: the backend that opens it.
        precision: the precision's name in recipes.
        source_sha256: digest of the ONNX file and its external data that the artifact was made from.
        tool_versions: versions of the packages that made it.
        plan: the plan that its engine was built by or, if `file` is an ONNX model, that the device builds it by.
        layers: the engine's layers; empty if TensorRT did not list them.
        work: operations and bytes of one inference; None if they were not counted.
        states: outputs, by the inputs that take them at the next step; empty for a model without states.
        limits: sizes and values of the inputs that a session refuses.
    """

    file: Path
    runtime: str
    precision: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    settings: RuntimeSettings
    source_sha256: str
    size_bytes: int
    tool_versions: Mapping[str, str]
    plan: BuildPlan | None = None
    layers: tuple[EngineLayer, ...] = ()
    work: Work | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    limits: InputLimits = field(default_factory=InputLimits)

    def __post_init__(self) -> None:
        for kind, specs in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [spec.name for spec in specs]
            if len(set(names)) < len(names):
                raise ValueError(f"has {kind} of one name: {', '.join(names)}")
        if (wrong := fault(self.states, self.inputs, self.outputs)) is not None:
            raise ValueError(f"has a wrong {wrong}")
        integers = {spec.name for spec in self.inputs if spec.dtype.startswith(("int", "uint"))}
        if strange := self.limits.rows.keys() - integers:
            raise ValueError(f"has rows of a table for {', '.join(sorted(strange))}, which is no integer input")

    @property
    def is_compiled_on_device(self) -> bool:
        """True if the device builds the engine, by `python -m runtimes compile`."""
        return self.plan is not None and self.file.suffix == ".onnx"

    @property
    def is_engine(self) -> bool:
        """True if the file is an engine, which only TensorRT can read."""
        return self.plan is not None and not self.is_compiled_on_device


@dataclass(frozen=True)
class Member:
    """The digest and size of a file in a bundle."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Golden:
    """Golden samples: recorded inputs and outputs, by which a device checks that it computes the same.

    Attributes:
        samples: number of samples.
        tolerance: the largest ||y - recorded|| / ||recorded|| that passes, per output.
    """

    samples: int
    tolerance: float

    def __post_init__(self) -> None:
        if self.samples < 0 or not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ValueError(f"has samples = {self.samples} and tolerance = {self.tolerance}; expected 0 or more")


@dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`. As packed, it holds no time stamp, so that equal inputs give equal bytes.

    Attributes:
        model: the model's name.
        recipe: the recipe that made the artifact, as the toolchain wrote it.
        members: every other file in the bundle.
        distributions: inputs' and outputs' values in calibration, by tensor name; empty if there were no samples.
        release: the version and the time of expiry that were given with the signature; None without them.
    """

    schema_version: int
    model: str
    profile: HardwareProfile
    artifact: Artifact
    golden: Golden
    recipe: Mapping[str, Any]
    members: Mapping[str, Member]
    distributions: Mapping[str, Distribution]
    release: Release | None = None

    @property
    def name(self) -> str:
        """The name that versions count for: the model's and the device's, whatever the file is called."""
        return f"{self.model}-{self.profile.name}"
