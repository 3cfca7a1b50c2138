"""The range that leaves out the rarest values on each side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from runtimes.tensors import Array, TensorSpec
from toolchain.calibration import histogram
from toolchain.calibration.histogram import Histogram
from toolchain.calibration.table import CalibrationTable, Range

PERCENT = 99.99
"""Of the values kept; half of the rest goes on each side. Wu et al. (2020), arXiv:2004.09602, found it to do best."""


def calibrate(
    model: ir.Model,
    tensors: Sequence[str],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Array],
    infinities: bool = False,
) -> CalibrationTable:
    """Observe tensors; see `minmax.calibrate` for the arguments and errors."""
    return histogram.calibrate("percentile", choose, model, tensors, specs, arrays, infinities)


def choose(distribution: Histogram) -> Range:
    """The smallest range of whole bins that holds `PERCENT`, never wider than the extremes."""
    tail = (100 - PERCENT) / 200 * distribution.counts.sum()
    below = np.cumsum(distribution.counts)
    above = np.cumsum(distribution.counts[::-1])[::-1]
    edges = distribution.edges
    low = edges[int(np.argmax(below > tail))]
    high = edges[len(above) - int(np.argmax(above[::-1] > tail))]
    return Range(max(float(low), distribution.low), min(float(high), distribution.high))
