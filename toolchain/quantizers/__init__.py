"""Quantizers, one precision per file: each turns a prepared float graph into one of its precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, cast

from runtimes import plugins

if TYPE_CHECKING:  # listing the names imports no ONNX
    import onnx_ir as ir

    from toolchain.graphs.value_range import Range
    from toolchain.recipes.recipe import Recipe

Needs = Literal["no", "optional", "yes"]


class Quantizer(Protocol):
    """A module of this folder.

    Attributes:
        COMPUTES_IN: the arithmetic that a device needs: "fp32", "fp16", "bf16" or "int8".
        NEEDS_RANGES: its need of calibrated ranges: "no", "optional" (without them, overflows go unnoticed) or "yes".
        TAKES_SCHEME: it uses the runtime's int8 scheme, which its recipes then have.
        GOLDEN_TOLERANCE: the largest relative error of a bundle's golden outputs on a device.
    """

    COMPUTES_IN: str
    NEEDS_RANGES: Needs
    TAKES_SCHEME: bool
    GOLDEN_TOLERANCE: float

    def quantize(self, model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
        """Change the graph, which is the quantizer's own copy, and return it.

        Raises:
            UsageError: the precision does not apply to this model.
        """


class RangeQuantizer(Quantizer, Protocol):
    """A quantizer that uses calibrated ranges."""

    def tensors(self, model: ir.Model, recipe: Recipe) -> tuple[str, ...]:
        """Name the tensors to observe."""


class HalfQuantizer(Quantizer, Protocol):
    """A quantizer that computes in a half precision.

    Attributes:
        HALF: the dtype of the half precision.
    """

    HALF: ir.DataType

    def half_nodes(self, model: ir.Model, ranges: Mapping[str, Range]) -> list[ir.Node]:
        """List the nodes that compute in the half precision."""


def precisions() -> tuple[str, ...]:
    """List every precision, the source's own (fp32) first."""
    return ("fp32", *(name for name in plugins.names(__name__) if name != "fp32"))


def quantizer(precision: str) -> Quantizer:
    """Load the quantizer of a precision.

    Raises:
        UsageError: there is no such precision; the message lists all.
    """
    return cast(Quantizer, plugins.load(__name__, precision, "precision"))


def range_quantizer(precision: str) -> RangeQuantizer:
    """Load a quantizer whose `NEEDS_RANGES` is not "no"."""
    return cast(RangeQuantizer, quantizer(precision))


def half_quantizer(precision: str) -> HalfQuantizer:
    """Load the quantizer of "fp16" or "bf16"."""
    return cast(HalfQuantizer, quantizer(precision))
