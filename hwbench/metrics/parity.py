"""Parity: closeness to the source model's outputs, for evaluations without labels.

A sample's score is that of its worst output, so that an output of boxes in hundreds of pixels cannot hide another of
scores below one. The score of a floating-point output is 1 - ||y - reference|| / ||reference||, at least 0; that of
integers and booleans is the share of equal elements. If an output's size differs from the reference's, as the number of
boxes that a detector finds may, the elements that both have are compared, and the score is multiplied by their share of
the larger one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.sample_arrays import Rows, stack
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Rows], labels: Rows) -> Array:
    """Score each sample.

    Args:
        outputs: the model's outputs, samples first.
        labels: the reference's outputs, as `as_labels` joins them. Infinity and NaN match only themselves.

    Returns:
        One score in [0, 1] per sample.
    """
    return np.array([_score(sample, reference) for sample, reference in zip(_samples(outputs), labels)])


def as_labels(outputs: Mapping[str, Rows]) -> Rows:
    """Join all outputs of each sample in one row: first the number of elements of each output, then all elements."""
    return stack([_joined(sample) for sample in _samples(outputs)])


def _samples(outputs: Mapping[str, Rows]) -> list[list[Array]]:
    return [[np.asarray(output).reshape(-1) for output in sample] for sample in zip(*outputs.values())]


def _joined(sample: list[Array]) -> Array:
    sizes = np.array([output.size for output in sample])
    # Sizes above 2048 and 2**24 are no numbers of float16 and float32.
    dtype = np.result_type(np.float32 if sizes.max() < 2**24 else np.float64, *sample)
    return np.concatenate([sizes, *sample], dtype=dtype)


def _score(sample: list[Array], reference: Array) -> float:
    sizes = reference[: len(sample)].astype(int)
    worst = 1.0
    for output, expected in zip(sample, np.split(reference[len(sample) :], np.cumsum(sizes)[:-1])):
        common, larger = min(output.size, expected.size), max(output.size, expected.size)
        if larger:
            compare = _share_equal if output.dtype.kind in "biu" else _closeness
            own, theirs = output[:common].astype(np.float64), expected[:common].astype(np.float64)
            worst = min(worst, common / larger * compare(own, theirs)) if common else 0.0
    return worst


def _share_equal(own: Array, reference: Array) -> float:
    return float((own == reference).mean())


def _closeness(own: Array, reference: Array) -> float:
    same = (own == reference) | (np.isnan(own) & np.isnan(reference))
    difference = np.subtract(own, reference, out=np.zeros_like(own), where=~same)
    scale = float(np.linalg.norm(np.where(np.isfinite(reference), reference, 0.0)))
    error = float(np.linalg.norm(difference)) / (scale if scale > 0 else 1.0)
    return max(0.0, 1.0 - error) if np.isfinite(error) else 0.0
