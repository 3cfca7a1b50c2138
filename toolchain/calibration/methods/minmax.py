"""The smallest and the largest value that each tensor took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from runtimes.tensors import Array, TensorSpec
from toolchain.calibration.observe import observe
from toolchain.calibration.table import CalibrationTable, Range


def calibrate(
    model: ir.Model,
    tensors: Sequence[str],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Array],
    infinities: bool = False,
) -> CalibrationTable:
    """Observe tensors.

    Args:
        model: the prepared float model; left as it is.
        tensors: names of float32 tensors to observe.
        specs: the model's inputs.
        arrays: the samples, one array per input, samples first.
        infinities: whether the tensors may hold infinity and NaN, which then count as zeros.

    Raises:
        UsageError: a tensor holds NaN or infinity for some sample where it may not, or ONNX Runtime fails on one;
            says which.
    """
    low, high, n = np.full(len(tensors), np.inf), np.full(len(tensors), -np.inf), 0
    for observation in observe(model, tensors, specs, arrays, infinities=infinities):
        low, high, n = np.minimum(low, observation.low), np.maximum(high, observation.high), n + 1
    ranges = {name: Range(float(a), float(b)) for name, a, b in zip(tensors, low, high) if a <= b}
    return CalibrationTable("minmax", n, ranges)
