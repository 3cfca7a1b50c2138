"""Corrections: one method per file that recovers accuracy of int8.

A correction changes the float model so that its int8 form comes closer to what the float model computed. It keeps the
model's nodes and their names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, cast

from runtimes import plugins

if TYPE_CHECKING:  # listing the names imports no ONNX
    import onnx_ir as ir

    from runtimes.samples import Rows
    from runtimes.tensors import TensorSpec
    from toolchain.graphs.value_range import Range
    from toolchain.recipes.recipe import Recipe

Stage = Literal["before", "after"]


class Correction(Protocol):
    """A module of this folder.

    Attributes:
        STAGE: "before" calibration, where it changes what activations hold, or "after" it.
    """

    STAGE: Stage

    def correct(
        self,
        model: ir.Model,
        recipe: Recipe,
        ranges: Mapping[str, Range],
        specs: Sequence[TensorSpec],
        arrays: Mapping[str, Rows],
    ) -> tuple[ir.Model, int]:
        """Correct a graph, which is the correction's own copy.

        Args:
            model: the prepared float graph.
            recipe: what is to be made of it.
            ranges: what calibration gave; empty before it.
            specs: the model's inputs.
            arrays: the calibration samples by input, samples first.

        Returns:
            The graph, and how many operators changed.

        Raises:
            UsageError: the samples do not do; says why.
        """

    def undo(self, model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
        """Take back what would be wrong for nodes that stay in float after all.

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
        UsageError: there is no such correction; lists those there are.
    """
    return cast(Correction, plugins.load(__name__, name, "correction"))
