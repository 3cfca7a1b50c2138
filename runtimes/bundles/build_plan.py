"""The build plan of an engine: everything that TensorRT is told, as plain data that travels in a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runtimes.profile import Precision

Dialect = Literal["8", "10", "11", "rtx"]
"""The versions of TensorRT's API that differ in how precision and flags are given."""


@dataclass(frozen=True)
class ShapeRange:
    """The shapes that one input may have. The builder picks the kernels that are fastest at `opt`."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]

    def __post_init__(self) -> None:
        ranks = {len(self.min), len(self.opt), len(self.max)}
        if len(ranks) > 1 or not all(1 <= a <= b <= c for a, b, c in zip(self.min, self.opt, self.max)):
            raise ValueError(f"is {self}; expected sizes of one rank with 1 <= min <= opt <= max")

    def __str__(self) -> str:
        return "..".join("x".join(map(str, shape)) for shape in (self.min, self.opt, self.max))

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Tell whether a shape lies within the range."""
        return len(shape) == len(self.min) and all(a <= size <= c for a, size, c in zip(self.min, shape, self.max))


@dataclass(frozen=True)
class BuildPlan:
    """The settings of one engine's build.

    Attributes:
        device: the profile's name.
        version: the TensorRT that the device runs; the TensorRT that builds must have the same dialect.
        arithmetic: the precisions that occur in the graph.
        typing: "strong" if the graph's types decide every precision, "weak" if builder flags allow precisions.
        network_flags, builder_flags: TensorRT's names. TF32, which TensorRT turns on by default, is off unless named.
        workspace_bytes: scratch memory that a layer may take.
        optimization_level: 0 to 5; None if this TensorRT has no such setting.
        optimization_profiles: the shapes of every dynamic input, by name; an engine may hold several, and is fast
            around the `opt` of each. Empty if all inputs are static.
        dla_core: number of the deep learning accelerator; None for the GPU.
        timing_cache: whether measured kernel times are stored on disk for the next build.
    """

    device: str
    runtime: Literal["tensorrt", "tensorrt-rtx"]
    version: str
    cuda: str
    dialect: Dialect
    compute_capability: str
    arithmetic: tuple[Precision, ...]
    typing: Literal["weak", "strong"]
    network_flags: tuple[str, ...]
    builder_flags: tuple[str, ...]
    workspace_bytes: int
    optimization_level: int | None
    optimization_profiles: tuple[Mapping[str, ShapeRange], ...]
    hardware_compatibility: Literal["none", "ampere_plus", "same_compute_capability"] = "none"
    dla_core: int | None = None
    timing_cache: bool = True


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine, as TensorRT lists it.

    Attributes:
        kind: TensorRT's own word ("kgen", "CaskConvolution").
        precision: the data type of its first output, by TensorRT's name ("Half"); empty if TensorRT does not list it.
        nodes: the ONNX nodes that were fused into it.
    """

    name: str
    kind: str
    precision: str
    nodes: tuple[str, ...] = ()
