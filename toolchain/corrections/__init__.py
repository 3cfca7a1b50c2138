"""Corrections: methods that recover int8's accuracy, one per file.

A correction changes the float graph so that its int8 form comes closer to the float model's outputs. It keeps the
graph's nodes and their names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal, Protocol, cast

from runtimes import plugins

if TYPE_CHECKING:  # listing the names imports no ONNX
    import onnx_ir as ir

    from hwbench.data.dataset import Dataset
    from toolchain.graphs.value_range import Range
    from toolchain.recipes.recipe import Recipe

Stage = Literal["before", "after"]


class Correction(Protocol):
    """A module of this folder.

    Attributes:
        STAGE: "before" calibration, for a correction that changes activations, or "after" it.
        IS_FITTED: its constants are fitted to each layer's own error, so that it may be left out where the error at the
            outputs grows.
    """

    STAGE: Stage
    IS_FITTED: bool

    def correct(
        self,
        model: ir.Model,
        reference: ir.Model,
        recipe: Recipe,
        ranges: Mapping[str, Range],
        data: Dataset,
    ) -> tuple[ir.Model, int]:
        """Correct a graph, which is the correction's own copy.

        Args:
            model: the prepared float graph.
            reference: the graph before the corrections that follow calibration; before calibration, the same graph.
            recipe: the int8 recipe.
            ranges: the calibrated ranges; empty before calibration.
            data: the calibration samples.

        Returns:
            The graph, and the number of operators that changed.

        Raises:
            UsageError: the samples cannot be used.
        """

    def undo(self, model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
        """Undo the correction of nodes that stay in float after all.

        Args:
            model: the corrected graph.
            reference: the graph before the corrections that follow calibration.
            nodes: names of the nodes that stay in float.
        """


def names() -> tuple[str, ...]:
    """List every correction."""
    return plugins.names(__name__)


def correction(name: str) -> Correction:
    """Load a correction.

    Raises:
        UsageError: there is no such correction; the message lists all.
    """
    return cast(Correction, plugins.load(__name__, name, "correction"))
