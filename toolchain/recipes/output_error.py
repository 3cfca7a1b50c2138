"""Error of a model's outputs in int8, as the graph is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from itertools import islice

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from hwbench.data.dataset import Dataset
from runtimes.errors import UsageError
from runtimes.tensors import Array
from toolchain.graphs.value_range import Range
from toolchain.models import ort_session
from toolchain.quantizers import range_quantizer
from toolchain.recipes.recipe import Recipe

_RUNS = 32  # inferences, each of which is slow: nothing is fused in exact arithmetic
_EXACT = 1e-12


class OutputError:
    """The noise that int8 adds to a model's outputs, on the last samples, which corrections fit least: they begin with
    the first ones.

    Args:
        reference: the prepared float model.
        recipe: the int8 recipe.
        data: the calibration samples.
    """

    def __init__(self, reference: ir.Model, recipe: Recipe, data: Dataset) -> None:
        self._reference, self._recipe, self._data = reference, recipe, data

    def of(self, model: ir.Model, ranges: Mapping[str, Range]) -> float:
        """Measure noise over signal at the float outputs, in dB: the mean over the inferences, as few may be far off.

        Args:
            model: the reference, or its corrected form; it stays unchanged.
            ranges: the calibrated ranges.

        Returns:
            The mean of 10 log10(sum (y - y_float)^2 / sum y_float^2); -120 is as good as exact, and stands for nothing
            to compare, such as outputs of integers or of sizes that depend on the data; infinity if int8 does not run.
        """
        made = range_quantizer(self._recipe.precision).quantize(model.clone(), self._recipe, ranges)
        try:
            runs = zip(self._expected, self._run(ort_session.exact_session(made)))
        except UsageError:  # ONNX Runtime does not run the graph, which is repaired when its file is made
            return math.inf
        decibels = [10 * math.log10(max(sum(map(_noise, expected, seen)), _EXACT)) for expected, seen in runs]
        return float(np.mean(decibels)) if decibels else 0.0

    @cached_property
    def _expected(self) -> list[list[Array]]:
        return self._run(ort_session.session(self._reference))

    def _run(self, session: ort.InferenceSession) -> list[list[Array]]:
        runs = self._data.n // self._data.batch_size
        feeds = islice(self._data.feeds(), max(0, runs - _RUNS), None)
        return [ort_session.run_sample(session, index, fed) for index, fed in enumerate(feeds)]


def _noise(expected: Array, seen: Array) -> float:
    """Compare one output: noise over signal."""
    if not np.issubdtype(expected.dtype, np.floating) or expected.shape != seen.shape or not expected.any():
        return 0.0
    y = expected.astype(np.float64)
    noise = float(((seen - y) ** 2).sum() / (y**2).sum())
    return noise if math.isfinite(noise) else math.inf
