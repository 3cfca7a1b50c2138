"""Scales that go with a weight whose integers a correction has chosen already.

Such a weight is a multiple of its scales, and only a quantizer that uses the same scales finds the same integers.
"""

from __future__ import annotations

import onnx_ir as ir

from runtimes.tensors import Array

_KEY = "edgewright.scales"


def set_scales(weight: ir.Value, scales: Array) -> None:
    """Note the scales of a constant: float32, one per output channel, or a scalar."""
    weight.meta[_KEY] = scales


def scales_of(weight: ir.Value) -> Array | None:
    """Return the scales that a correction noted; None if there are none."""
    scales: Array | None = weight.meta.get(_KEY)
    return scales
