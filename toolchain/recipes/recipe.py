"""Recipe: the description of how a variant of a model is made."""

from __future__ import annotations

from dataclasses import dataclass

from runtimes.profile import QuantizationScheme

BEST = "best"
"""The calibration whose method is the one of `OFFERED` that leaves int8's outputs closest to float's."""

OFFERED = ("minmax", "mse")
"""On PP-OCR and an EfficientNet, percentile and entropy were behind one of these."""


@dataclass(frozen=True)
class Recipe:
    """A precision, with all that determines its variant.

    Attributes:
        precision: the quantizer's name ("int8", "fp16-storage").
        calibration: the calibration method ("minmax"), or `BEST`; None for quantizers that need no samples.
        scheme: the layout of int8 tensors; None for other precisions.
        keep: nodes that stay in float, and with them the products that would have read their integers.
        keep_in: the precision in which the runtime is told to compute the graph's float32 nodes ("bf16").
        corrections: the corrections to apply, in order ("bias").
        for_runtime: the runtime that a static int8 graph is made for, if it has to suit another one than ONNX Runtime.
    """

    precision: str
    calibration: str | None = None
    scheme: QuantizationScheme | None = None
    keep: tuple[str, ...] = ()
    keep_in: str = "fp32"
    corrections: tuple[str, ...] = ()
    for_runtime: str | None = None
