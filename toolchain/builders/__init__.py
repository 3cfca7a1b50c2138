"""Builders, one runtime per file: each turns a model into the artifact that the runtime loads.

Builders ignore the precision: the graph has it, and the settings have it for runtimes that need to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from runtimes import plugins

if TYPE_CHECKING:  # listing the names imports no ONNX
    import onnx_ir as ir

    from runtimes.bundles.manifest import Artifact, RuntimeSettings
    from runtimes.profile import QuantizationScheme
    from toolchain.engines.build_target import BuildTarget
    from toolchain.models.onnx_model import OnnxModel
    from toolchain.recipes.recipe import Recipe


class Builder(Protocol):
    """A module of this folder.

    Attributes:
        FLOAT_OPTIONS: by precision, the options that make the runtime compute float32 nodes in that precision.
        TYPED: precisions of `FLOAT_OPTIONS` that the runtime also takes from the graph, node by node.
        REFUSED: by precision, the reason why the runtime does not read such files.
        USES_THREADS: the runtime uses the number of threads.
        EACH_SHAPE: options under which the runtime compiles a model for each shape that comes, for models that it
            computes wrongly in a form for all shapes; empty if it has no such forms.
        FIT_INT8: makes static int8 of a graph fit the runtime, by keeping in float what it computes wrongly: from a
            prepared float graph, which stays unchanged, and the layout of its integers to a graph with marked nodes.
            None if the runtime takes the graphs that are made for ONNX Runtime.
    """

    FLOAT_OPTIONS: Mapping[str, Mapping[str, str]]
    TYPED: tuple[str, ...]
    REFUSED: Mapping[str, str]
    USES_THREADS: bool
    EACH_SHAPE: Mapping[str, str]
    FIT_INT8: Callable[[ir.Model, QuantizationScheme], ir.Model] | None

    def versions(self) -> Mapping[str, str]:
        """Name the packages that make the artifact, with their versions."""

    def build(
        self,
        model: OnnxModel,
        recipe: Recipe,
        settings: RuntimeSettings,
        out: Path,
        target: BuildTarget | None = None,
    ) -> Artifact:
        """Write the artifact into the folder `out`.

        Args:
            model: the variant to build.
            recipe: the variant's recipe, which the artifact records.
            settings: the runtime's settings.
            out: the folder.
            target: the device, for builders that compile for one.

        Raises:
            UnsupportedError: the device or the runtime cannot compute the model.
            BackendError: the runtime refuses the model; the message has its own text.
        """

    def tunings(self, threads: int) -> Iterator[Mapping[str, str]]:
        """Yield sets of options that make some models faster."""


def names() -> tuple[str, ...]:
    """List every runtime that can be built for."""
    return plugins.names(__name__)


def builder(runtime: str) -> Builder:
    """Load the builder of a runtime.

    Raises:
        UsageError: there is no such runtime; the message lists all.
        NotInstalledError: its package is missing; the message says how to install it.
    """
    return cast(Builder, plugins.load(__name__, runtime, "runtime"))
