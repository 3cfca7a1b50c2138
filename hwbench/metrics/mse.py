"""Mean squared error of the first output, whose labels have its shape."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hwbench.metrics._outputs import mean_error, one_by_one
from runtimes.tensors import Array

HIGHER_IS_BETTER = False
BOUNDS = (0.0, math.inf)


@one_by_one
def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Return each sample's error, in the labels' unit squared.

    Raises:
        ValueError: the output's shape is not that of the labels.
    """
    return mean_error(np.square, outputs, labels)
