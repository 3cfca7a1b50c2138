"""Scale-invariant signal-to-distortion ratio of the first output, in dB, whose labels have its shape.

Le Roux, Wisdom, Erdogan and Hershey (2019), SDR - half-baked or well done?
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hwbench.metrics._outputs import matching, one_by_one, per_sample
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
MOST_DB = 100.0  # that of the signal itself would be infinite, and no mean could take it
BOUNDS = (-MOST_DB, MOST_DB)


@one_by_one
def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Return each sample's ratio between -100 and 100 dB, averaged over its channels; the last axis is time.

    Raises:
        ValueError: the output's shape is not that of the labels, or a label is silent, so that it has no scale.
    """
    return per_sample(_of_sample, *matching(outputs, labels))


def _of_sample(own: Array, wanted: Array) -> float:
    channels = zip(own.reshape(-1, own.shape[-1]), wanted.reshape(-1, wanted.shape[-1]))
    return float(np.mean([_of_channel(*pair) for pair in channels]))


def _of_channel(own: Array, wanted: Array) -> float:
    energy = float(wanted @ wanted)
    if energy == 0:
        raise ValueError("a label is silent")
    target = (own @ wanted) / energy * wanted
    signal, noise = float(target @ target), float(np.square(own - target).sum())
    if math.isnan(signal) or math.isnan(noise):
        return math.nan
    if signal == 0 or noise == 0:
        return -MOST_DB if signal == 0 else MOST_DB
    return float(np.clip(10 * math.log10(signal / noise), -MOST_DB, MOST_DB))
