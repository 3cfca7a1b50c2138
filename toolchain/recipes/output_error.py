"""Error of a model's outputs in int8, as the graph is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
_FEWEST = 8  # inferences that may decide a comparison
_SURE = 4.0  # standard errors between two graphs; an eighth of the samples of one model rarely misleads by as much
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

    def of(self, model: ir.Model, ranges: Mapping[str, Range]) -> Noise:
        """Prepare to measure a graph in int8.

        Args:
            model: the reference, or its corrected form; neither changes while the result is in use.
            ranges: the calibrated ranges.
        """
        return Noise(lambda start, end: self._decibels(model, ranges, start, end), self._runs)

    @property
    def _runs(self) -> int:
        return min(_RUNS, self._data.n // self._data.batch_size)

    @cached_property
    def _expected(self) -> list[list[Array]]:
        return self._run(ort_session.session(self._reference), 0, self._runs)

    def _decibels(self, model: ir.Model, ranges: Mapping[str, Range], start: int, end: int) -> list[float]:
        made = range_quantizer(self._recipe.precision).quantize(model.clone(), self._recipe, ranges)
        try:
            outputs = self._run(ort_session.exact_session(made), start, end)
        except UsageError:  # ONNX Runtime does not run the graph, which is repaired when its file is made
            return [math.inf] * (end - start)
        runs = zip(self._expected[start:end], outputs)
        return [10 * math.log10(max(sum(map(_noise, expected, seen)), _EXACT)) for expected, seen in runs]

    def _run(self, session: ort.InferenceSession, start: int, end: int) -> list[list[Array]]:
        before = self._data.n // self._data.batch_size - self._runs
        feeds = islice(self._data.feeds(), before + start, before + end)
        return [ort_session.run_sample(session, index, fed) for index, fed in enumerate(feeds)]


class Noise:
    """Noise over signal at the float outputs of one graph, in dB, measured for as many inferences as are asked for.

    It is 10 log10(sum (y - y_float)^2 / sum y_float^2) of each inference. -120 is as good as exact, and stands for
    nothing to compare, such as outputs of integers or of sizes that depend on the data; infinity if int8 does not run.

    Args:
        measure: measures the inferences from one number to another.
        runs: the number of inferences that there are.
    """

    def __init__(self, measure: Callable[[int, int], list[float]], runs: int) -> None:
        self._measure, self.runs = measure, runs
        self._known: list[float] = []

    def first(self, n: int) -> list[float]:
        """Return the noise of the first n inferences, and measure those that were not yet."""
        if n > len(self._known):
            self._known += self._measure(len(self._known), n)
        return self._known[:n]

    def is_below(self, other: Noise) -> bool:
        """Tell whether this noise is lower, by its mean, as a few inferences may be far off.

        A quarter of the inferences is measured first, and the rest if their paired differences leave any doubt.
        """
        few = -(-self.runs // 4)
        if few >= _FEWEST:
            differences = np.subtract(self.first(few), other.first(few))
            if _is_sure(differences):
                return bool(differences.mean() < 0)
        return sum(self.first(self.runs)) < sum(other.first(self.runs))


def _is_sure(differences: Array) -> bool:
    """Tell whether more differences would hardly change the sign of their mean."""
    if not np.isfinite(differences).all():
        return False
    return bool(abs(differences.mean()) > _SURE * differences.std(ddof=1) / math.sqrt(len(differences)))


def _noise(expected: Array, seen: Array) -> float:
    """Compare one output: noise over signal."""
    if not np.issubdtype(expected.dtype, np.floating) or expected.shape != seen.shape or not expected.any():
        return 0.0
    y = expected.astype(np.float64)
    noise = float(((seen - y) ** 2).sum() / (y**2).sum())
    return noise if math.isfinite(noise) else math.inf
