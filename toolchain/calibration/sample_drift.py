"""Drift of evaluation samples from calibration samples: tensors of the float model whose values differ in the two.

Calibration data of another kind than what the device sees is a frequent cause of a collapse in int8, and nothing about
the ranges shows it. The words and the formula are those of a session's statistics (`runtimes/inference/drift.py`).
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from hwbench.wording import some
from runtimes.tensors import Array
from toolchain.calibration.distributions import distributions
from toolchain.calibration.exchangeability import exceedance_probability, shift
from toolchain.calibration.observer_graph import build_observer_graph
from toolchain.models import ort_session

_MOST = 32, 16  # calibration and evaluation samples, taken at random
_VALUES = 256  # of one tensor in one inference, or up to twice as many
_FALSE_ALARMS = 0.01  # the probability that samples of one population draw a warning, for each of the two criteria
_MAJOR_SHIFT = 0.25  # an index above it is another population (Siddiqi, Credit Risk Scorecards, 2006)
# Ten times what the lowest percentile that is in use as a method, 99.9, clips on purpose (Wu et al. 2020, arXiv
# 2004.09602).
_MANY = 0.01
_NAMED = 2

_Seen: TypeAlias = Sequence[Sequence[Array]]
"""Some values of each tensor, one array for each inference; empty if it was not computed."""


@dataclass(frozen=True)
class SampleDrift:
    """The drift of one tensor between calibration and evaluation samples.

    Attributes:
        saturated: the fraction of the values in evaluation samples outside calibration's extremes, which int8 clips.
        psi: population stability index, by the deciles of the values in calibration.
        leaves_range: at least 1% of the values are outside, in more samples than chance explains.
        is_shifted: the index is above 0.25, and larger than chance explains.
    """

    tensor: str
    saturated: float
    psi: float
    leaves_range: bool
    is_shifted: bool


def sample_drift(
    graph: ir.Model, tensors: Sequence[str], calibration: Dataset, evaluation: Dataset, longest_s: float = math.inf
) -> tuple[SampleDrift, ...]:
    """Compare the values of tensors in some calibration samples with those in some evaluation samples.

    Args:
        graph: the prepared float model; it stays unchanged.
        tensors: names of float32 tensors.
        calibration: the calibration samples.
        evaluation: the samples that accuracy is computed on; labels are not needed.
        longest_s: the time in seconds after which no further sample of a set is run, so that a slow model is compared
            on fewer.

    Returns:
        The drift of each tensor, in their order, but for those that have no values in either set.

    Raises:
        UsageError: a tensor is inside an operator that hides it, or ONNX Runtime fails on a sample.
    """
    calibrated, evaluated = (
        _observed(graph, tensors, _some(data, most), longest_s) for data, most in zip((calibration, evaluation), _MOST)
    )
    reached = [i for i in range(len(tensors)) if all(any(map(len, seen[i])) for seen in (calibrated, evaluated))]
    if not reached:
        return ()
    deciles = {i: distributions({"": np.concatenate(calibrated[i])})[""].edges for i in reached}
    indices, chances = shift(*(_counts(seen, deciles) for seen in (calibrated, evaluated)))
    found = []
    for i, index, chance in zip(reached, indices.tolist(), chances.tolist()):
        saturated = _saturated(calibrated[i], evaluated[i])
        leaving = _leaving_chance(calibrated[i], evaluated[i]) * len(reached)  # Bonferroni's bound
        leaves_range = saturated >= _MANY and leaving <= _FALSE_ALARMS
        is_shifted = index > _MAJOR_SHIFT and chance <= _FALSE_ALARMS
        found.append(SampleDrift(tensors[i], saturated, index, leaves_range, is_shifted))
    return tuple(found)


def drift_warning(found: Sequence[SampleDrift], inputs: Collection[str]) -> tuple[str, ...]:
    """Write a warning that names the worst tensors, the model's inputs first; none if no tensor has drifted.

    Args:
        found: the drift of each tensor.
        inputs: names of the model's inputs.
    """
    leaving = _worst([one for one in found if one.leaves_range], "saturated", inputs)
    shifted = _worst([one for one in found if one.is_shifted], "psi", inputs)
    parts = []
    if leaving:
        first, *others = [f"{one.saturated:.0%}" for one in leaving]
        parts.append(f"leave the calibrated range of {_named(leaving, [f'{first} of its values', *others])}")
    if shifted:
        first, *others = [f"{one.psi:.2g}" for one in shifted]
        first = f"population stability index {first}; more than {_MAJOR_SHIFT:g} is a major shift"
        parts.append(f"are distributed otherwise in {_named(shifted, [first, *others])}")
    if not parts:
        return ()
    return (f"The evaluation samples {', and '.join(parts)}: is the calibration data of the same kind?",)


def _some(data: Dataset, most: int) -> Dataset:
    """Take about so many samples at random, in random order and in whole batches."""
    rng, batch = np.random.default_rng(0), data.batch_size
    count = min(math.ceil(most / batch) * batch, data.n)
    rows = np.sort(rng.permutation(data.n)[:count]).tolist()  # files are read forwards
    order = rng.permutation(count).tolist()
    arrays = {name: array[rows][order] for name, array in data.arrays.items()}
    return dataclasses.replace(data, arrays=arrays, n=count, labels=None, labels_of={}, digests={})


def _observed(graph: ir.Model, tensors: Sequence[str], data: Dataset, longest_s: float) -> _Seen:
    """Take some values of each tensor from each inference."""
    dims = {letter: sizes[0] for letter, sizes in data.sizes.items() if len(sizes) == 1}
    # Exact extremes would take longer than all else, and evenly spaced values nearly reach them.
    no_extremes = np.zeros((2, len(tensors)), bool)
    observer = build_observer_graph(graph, tensors, no_extremes, _VALUES, dims, infinities=False)
    session, end, seen = ort_session.session(observer), time.monotonic() + longest_s, []
    for _, outputs in ort_session.over_samples(session, data):
        seen.append([values[np.isfinite(values)] for values in outputs])
        if time.monotonic() > end:
            break
    return list(zip(*seen))


def _counts(seen: _Seen, deciles: Mapping[int, Sequence[float]]) -> Array:
    """Count values between deciles: int64 [inferences, tensors, bins]; tensors with fewer bins have empty ones."""
    counts = np.zeros((len(seen[0]), len(deciles), 1 + max(map(len, deciles.values()))), np.int64)
    for place, (i, edges) in enumerate(deciles.items()):
        for inference, values in enumerate(seen[i]):
            bins = np.searchsorted(np.array(edges, np.float32), values, side="right")
            counts[inference, place] = np.bincount(bins, minlength=counts.shape[2])
    return counts


def _saturated(calibrated: Sequence[Array], evaluated: Sequence[Array]) -> float:
    known, values = np.concatenate(calibrated), np.concatenate(evaluated)
    return float(((values < known.min()) | (values > known.max())).mean())


def _leaving_chance(calibrated: Sequence[Array], evaluated: Sequence[Array]) -> float:
    """Compute the probability that chance alone takes so many samples beyond the calibrated range on either side."""
    known, seen = ([values for values in each if len(values)] for each in (calibrated, evaluated))
    low, high = min(map(np.min, known)), max(map(np.max, known))
    below, above = sum(values.min() < low for values in seen), sum(values.max() > high for values in seen)
    return min(1.0, 2 * exceedance_probability(int(max(below, above)), len(seen), len(known)))


def _worst(found: Sequence[SampleDrift], by: str, inputs: Collection[str]) -> list[SampleDrift]:
    return sorted(found, key=lambda one: (one.tensor not in inputs, -getattr(one, by)))


def _named(found: Sequence[SampleDrift], figures: Sequence[str]) -> str:
    return some([f"'{one.tensor}' ({figure})" for one, figure in zip(found, figures)], _NAMED)
