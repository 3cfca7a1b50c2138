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
        keep: nodes kept in the source's precision.
        corrections: what is done to recover accuracy, in order ("bias").
    """

    precision: str
    calibration: str | None = None
    scheme: QuantizationScheme | None = None
    keep: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
