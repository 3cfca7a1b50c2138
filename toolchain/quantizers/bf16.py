"""bf16 arithmetic: matrix products and the operators between them in bfloat16, the rest in float32.

onnxconverter-common does not support bf16, so `_half` is a pass of our own. bfloat16 has float32's range and 8 bits of
mantissa: D. Kalamkar et al. (2019), A Study of BFLOAT16 for Deep Learning Training, arXiv:1905.12322.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from toolchain.graphs.value_range import Range
from toolchain.models import opset
from toolchain.quantizers._half import compute_in, nodes_in_half, with_writers
from toolchain.recipes.recipe import Recipe

COMPUTES_IN = "bf16"
NEEDS_RANGES = "no"
TAKES_SCHEME = False
GOLDEN_TOLERANCE = 3e-2

HALF = ir.DataType.BFLOAT16
_MIN_OPSET = 22  # the first in which Conv, pooling and others take bfloat16


def half_nodes(model: ir.Model, ranges: Mapping[str, Range]) -> list[ir.Node]:
    """List the main graph's nodes that compute in bf16; the ranges do not matter, since bf16 has float32's range."""
    return nodes_in_half(model)


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Compute in bf16 where little accuracy is lost. Inputs and outputs keep their dtype.

    Raises:
        UsageError: the model cannot be raised to opset 22.
    """
    keep = with_writers(model, recipe.keep)
    return compute_in(opset.at_least(model, _MIN_OPSET, "bf16 needs"), HALF, keep)
