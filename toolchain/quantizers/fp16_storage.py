"""Weights stored in fp16 (IEEE half): half the file size, for processors without fp16 arithmetic."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from toolchain.graphs.value_range import Range
from toolchain.quantizers._half_weights import store_weights
from toolchain.recipes.recipe import Recipe

COMPUTES_IN = "fp32"
NEEDS_RANGES = "no"
TAKES_SCHEME = False
GOLDEN_TOLERANCE = 1e-3


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Store large weights in fp16."""
    return store_weights(model, ir.DataType.FLOAT16)
