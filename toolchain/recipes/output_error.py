"""Error of a model's outputs in int8, as the graph is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from hwbench.data.dataset import Dataset
from runtimes.tensors import Array
from toolchain.graphs.value_range import Range
from toolchain.models import ort_session
from toolchain.quantizers import quantizer
from toolchain.recipes.recipe import Recipe

_RUNS = 16  # inferences, each of which is slow: nothing is fused in exact arithmetic


class OutputError:
    """The noise that int8 adds to a model's outputs, on the first samples.

    Args:
        reference: the prepared float model.
        recipe: the int8 recipe.
        ranges: the calibrated ranges.
        data: the calibration samples.
    """

    def __init__(self, reference: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], data: Dataset) -> None:
        self._recipe, self._ranges, self._data = recipe, ranges, data
        self._expected = self._run(ort_session.session(reference))

    def of(self, model: ir.Model) -> float:
        """Measure noise over signal, summed over the float outputs: sum (y - y_float)^2 / sum y_float^2.

        Args:
            model: the reference, or its corrected form; it stays unchanged.

        Returns:
            0 if there is nothing to compare, such as outputs of integers, or of sizes that depend on the data.
        """
        made = self._run(
            ort_session.exact_session(
                quantizer(self._recipe.precision).quantize(model.clone(), self._recipe, self._ranges)
            )
        )
        total = 0.0
        for outputs in zip(*(zip(*runs) for runs in (self._expected, made))):
            noise = signal = 0.0
            for expected, seen in zip(*outputs):
                if expected.dtype == np.float32 and expected.shape == seen.shape:
                    noise += float(((seen.astype(np.float64) - expected) ** 2).sum())
                    signal += float((expected.astype(np.float64) ** 2).sum())
            total += noise / signal if signal else 0.0
        return total if math.isfinite(total) else math.inf

    def _run(self, session: ort.InferenceSession) -> list[list[Array]]:
        return [outputs for _, outputs in islice(ort_session.over_samples(session, self._data), _RUNS)]
