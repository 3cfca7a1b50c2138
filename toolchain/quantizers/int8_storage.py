"""Weights and embedding tables stored as int8: a quarter of the file size with float32 arithmetic. No calibration."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from runtimes.errors import UsageError
from toolchain.graphs.edits import deduplicate
from toolchain.graphs.value_range import Range
from toolchain.quantizers._int8_weights import store_weights
from toolchain.quantizers._tables import store_tables
from toolchain.recipes.recipe import Recipe

COMPUTES_IN = "fp32"
NEEDS_RANGES = "no"
TAKES_SCHEME = True
GOLDEN_TOLERANCE = 1e-3


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Store large weights as int8, with a scale per output channel, and tables with a scale per row.

    Raises:
        UsageError: the runtime takes int8 constants only before a DequantizeLinear.
    """
    if recipe.scheme is not None and not recipe.scheme.integer_constants:
        raise UsageError("This runtime reads int8 constants only in integer products, so int8-storage does not apply.")
    return deduplicate(store_tables(store_weights(model, recipe.keep), recipe.keep))
