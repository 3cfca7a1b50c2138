"""Cross-layer equalization: scale channels so that one int8 step suits all channels of a tensor.

Channels with unlike ranges share a tensor's step badly. Dividing a channel by s in the layer that writes it, and
multiplying by s in the layer that reads it, leaves the float model's outputs unchanged.

Method: M. Nagel et al. (2019), Data-Free Quantization Through Weight Equalization and Bias Correction, section 4.1,
arXiv:1906.04721. Ours differs in two points: the ranges of activations are observed instead of derived from weights,
since weights mostly have a scale per channel already; and the layers need not form a chain, since operators that join
branches (Add, Concat, pooling, resizing) tie the scales of their branches. `_scale_search` chooses the scales.

It is off by default: it raised the score of an ESRGAN generator (PSNR by 0.06 dB, 95% interval 0.02 to 0.11) and
lowered that of PP-OCR's recognizer (exact words by 3 points, 1 to 6); see benchmarks/results/corrections.txt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from toolchain.corrections._scale_search import scale_channels
from toolchain.graphs.products import PRODUCTS
from toolchain.graphs.value_range import Range
from toolchain.recipes.recipe import Recipe

STAGE = "before"
IS_FITTED = False


def correct(
    model: ir.Model,
    reference: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    data: Dataset,
) -> tuple[ir.Model, int]:
    """Scale the channels that Conv, Gemm and MatMul write; see `Correction` for the arguments."""
    model, changed = scale_channels(model, recipe, data, lambda node: node.op_type in PRODUCTS)
    return model, changed


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Return the graph unchanged: scaled channels compute the same in float."""
    return model
