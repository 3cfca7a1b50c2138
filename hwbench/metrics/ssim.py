"""Structural similarity of the first output, images whose labels have its shape.

Wang, Bovik, Sheikh and Simoncelli (2004), Image Quality Assessment: From Error Visibility to Structural Similarity,
with their Gaussian window of 11 x 11 pixels and their constants.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

from hwbench.metrics._outputs import called, matching, one_by_one, per_sample, value_range
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (-1.0, 1.0)

_SIGMA, _REACH = 1.5, 5  # pixels: the window's standard deviation, and its 11 pixels without the middle one, halved
_K1, _K2 = 0.01, 0.03
_MOST_CHANNELS = 4


@one_by_one
def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Return each image's mean over pixels and channels.

    Images are [n, height, width], [n, channels, height, width] or [n, height, width, channels], with 4 channels at
    most. Their range is 255 for labels in uint8, else the largest less the smallest of all labels.

    Raises:
        ValueError: the output's shape is not that of the labels, or not that of images of 11 x 11 pixels at least.
    """
    own, wanted = matching(outputs, labels)
    if wanted.ndim == 4 and wanted.shape[1] > _MOST_CHANNELS >= wanted.shape[3]:
        own, wanted = (np.moveaxis(array, 3, 1) for array in (own, wanted))
    if wanted.ndim not in (3, 4) or (wanted.ndim == 4 and wanted.shape[1] > _MOST_CHANNELS):
        raise ValueError(f"{called(outputs)} is no image; the metric takes [n, height, width], or channels besides")
    if min(wanted.shape[-2:]) <= 2 * _REACH:
        raise ValueError(f"{called(outputs)} is too small; the metric takes {2 * _REACH + 1} x {2 * _REACH + 1} pixels")
    peak = value_range(wanted)

    def similarity(own: Array, wanted: Array) -> float:
        channels = zip(own, wanted) if own.ndim == 3 else [(own, wanted)]
        return float(np.mean([_of_channel(a, b, peak) for a, b in channels]))

    return per_sample(similarity, own, wanted)


def _of_channel(a: Array, b: Array, peak: float) -> float:
    mean_a, mean_b = _smooth(a), _smooth(b)
    variance_a, variance_b = _smooth(a * a) - mean_a**2, _smooth(b * b) - mean_b**2
    covariance = _smooth(a * b) - mean_a * mean_b
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean())


def _smooth(image: Array) -> Array:
    """Weigh each pixel's window; the outermost pixels have none."""
    smooth: Array = gaussian_filter(image, _SIGMA, truncate=_REACH / _SIGMA)[_REACH:-_REACH, _REACH:-_REACH]
    return smooth
