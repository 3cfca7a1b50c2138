"""How a model's precision is made."""

from __future__ import annotations

from dataclasses import dataclass

from runtimes.profile import QuantizationScheme


@dataclass(frozen=True)
class Recipe:
    """What a quantizer is asked for.

    Attributes:
        precision: the quantizer's name ("int8", "fp16-storage").
        calibration: how ranges are chosen ("minmax"); None for quantizers that need no samples.
        scheme: how int8 tensors are laid out; None for other precisions.
        keep: nodes kept in float, and with them the products whose integers they would have read.
        keep_in: what a runtime that is told so computes the graph's float32 nodes in ("bf16"): those that are kept, or
            all of a storage precision's.
        corrections: what is done to recover accuracy, in order ("bias").
    """

    precision: str
    calibration: str | None = None
    scheme: QuantizationScheme | None = None
    keep: tuple[str, ...] = ()
    keep_in: str = "fp32"
    corrections: tuple[str, ...] = ()
