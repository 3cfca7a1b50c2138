"""bf16 arithmetic: matrix products and what stands between them in bfloat16, the rest in float32.

onnxconverter-common has no bf16, so this is our own pass.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from toolchain.graphs.value_range import Range
from toolchain.models import opset
from toolchain.quantizers._half import compute_in, where_it_pays, with_writers
from toolchain.recipes.recipe import Recipe

COMPUTES_IN = "bf16"
NEEDS_RANGES = "no"
TAKES_SCHEME = False
GOLDEN_TOLERANCE = 3e-2

HALF = ir.DataType.BFLOAT16
_MIN_OPSET = 22  # Conv, pooling and others take bfloat16 from opset 22 on


def computed(model: ir.Model, ranges: Mapping[str, Range]) -> list[ir.Node]:
    """The nodes that compute in it, of the main graph; its range is that of float32."""
    return where_it_pays(model)


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Compute in bf16 where it pays. Inputs and outputs keep their dtype.

    Raises:
        UsageError: the model cannot be raised to opset 22.
    """
    keep = with_writers(model, recipe.keep)
    return compute_in(opset.at_least(model, _MIN_OPSET, "bf16 needs"), HALF, keep)
