"""Builders: one runtime per file, from a model to the artifact that the runtime loads.

Builders never look at the precision: it lives in the graph, and where a runtime has to be told besides, in the
settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from runtimes import plugins

if TYPE_CHECKING:  # listing the names imports no ONNX
    from runtimes.bundles.manifest import Artifact, RuntimeSettings
    from toolchain.engines.build_target import BuildTarget
    from toolchain.models.onnx_model import OnnxModel
    from toolchain.recipes.recipe import Recipe


class Builder(Protocol):
    """A module of this folder.

    Attributes:
        FLOAT_OPTIONS: by precision, the options that make the runtime compute float32 nodes in it.
        TYPED: those of `FLOAT_OPTIONS` in which the runtime computes node by node where the graph says so.
        REFUSED: by precision, why the runtime does not read such files.
        USES_THREADS: the number of threads means something to the runtime.
    """

    FLOAT_OPTIONS: Mapping[str, Mapping[str, str]]
    TYPED: tuple[str, ...]
    REFUSED: Mapping[str, str]
    USES_THREADS: bool

    def versions(self) -> Mapping[str, str]:
        """Name the packages that make the artifact, with their versions."""

    def build(
        self,
        model: OnnxModel,
        recipe: Recipe,
        settings: RuntimeSettings,
        out: Path,
        destination: BuildTarget | None = None,
    ) -> Artifact:
        """Write the artifact into the folder `out`.

        Args:
            model: the variant to build.
            recipe: how it was made, for the record.
            settings: how the runtime is to run it.
            out: the folder.
            destination: the device, for builders that compile for one.

        Raises:
            UnsupportedError: the device or the runtime cannot do what the model asks.
            BackendError: the runtime refuses the model; its own text is passed on.
        """

    def tunings(self, threads: int) -> Iterator[Mapping[str, str]]:
        """Yield options that make some models faster."""


def names() -> tuple[str, ...]:
    """List every runtime that can be built for."""
    return plugins.names(__name__)


def builder(runtime: str) -> Builder:
    """Load the builder of a runtime.

    Raises:
        UsageError: there is none; lists those there are.
        NotInstalledError: its package is missing; says how to install it.
    """
    return cast(Builder, plugins.load(__name__, runtime, "runtime"))
