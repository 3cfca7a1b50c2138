"""Cross-layer equalisation: channels of unlike ranges share a tensor's step badly, and layers can even them out.

Method: M. Nagel et al. (2019), Data-Free Quantization Through Weight Equalization and Bias Correction, section 4.1,
arXiv:1906.04721, with two changes: ranges of activations are observed rather than taken from weights, since weights
mostly have a scale per channel already; and chains may branch, where what joins them (Add, Concat, pooling, resizing)
gives every branch the same scales.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx_ir as ir

from runtimes.samples import Rows
from runtimes.tensors import TensorSpec
from toolchain.corrections._balance import balance
from toolchain.graphs.products import PRODUCTS
from toolchain.graphs.value_range import Range
from toolchain.recipes.recipe import Recipe

STAGE = "before"


def correct(
    model: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Rows],
) -> tuple[ir.Model, int]:
    """Even out channels that Conv, Gemm and MatMul write; see `bias.correct` for the arguments."""
    return balance(model, recipe, specs, arrays, lambda node: node.op_type in PRODUCTS)


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Return the graph as it is: scaled channels compute the same in float."""
    return model
