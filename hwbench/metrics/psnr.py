"""Peak signal-to-noise ratio of the first output, in dB, whose labels have its shape."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hwbench.metrics._outputs import matching, one_by_one, per_sample, value_range
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BEST_DB = 100.0  # that of an image without any error would be infinite, and no mean could take it
BOUNDS = (-math.inf, BEST_DB)


@one_by_one
def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Return each sample's 10 log10(range^2 / MSE), `BEST_DB` at most.

    The range is 255 for labels in uint8, else the largest less the smallest of all labels.

    Raises:
        ValueError: the output's shape is not that of the labels, or all labels are equal.
    """
    own, wanted = matching(outputs, labels)
    peak = value_range(wanted)

    def decibel(own: Array, wanted: Array) -> float:
        error = float(np.square(own - wanted).mean())
        return min(BEST_DB, 10 * math.log10(peak**2 / error)) if error > 0 else math.nan if error != 0 else BEST_DB

    return per_sample(decibel, own, wanted)
