"""Error of a model's outputs in int8, as the graph is written."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import islice

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from hwbench.data.dataset import Dataset
from runtimes.tensors import Array
from toolchain.corrections import Corrected
from toolchain.models import ort_session
from toolchain.quantizers import range_quantizer
from toolchain.recipes.recipe import Recipe

_RUNS = 16  # inferences, each of which is slow: nothing is fused in exact arithmetic


class OutputError:
    """The noise that int8 adds to a model's outputs, on the first samples.

    Args:
        reference: the prepared float model.
        recipe: the int8 recipe.
        data: the calibration samples.
    """

    def __init__(self, reference: ir.Model, recipe: Recipe, data: Dataset) -> None:
        self._reference, self._recipe, self._data = reference, recipe, data

    def of(self, corrected: Corrected) -> float:
        """Measure noise over signal, summed over the float outputs: sum (y - y_float)^2 / sum y_float^2.

        Args:
            corrected: the reference, or its corrected form; it stays unchanged.

        Returns:
            0 if there is nothing to compare, such as outputs of integers, or of sizes that depend on the data.
        """
        quantizer = range_quantizer(self._recipe.precision)
        made = quantizer.quantize(corrected.model.clone(), self._recipe, corrected.ranges)
        outputs = self._run(ort_session.exact_session(made))
        total = 0.0
        for expected_runs, seen_runs in zip(zip(*self._expected), zip(*outputs)):
            noise = signal = 0.0
            for expected, seen in zip(expected_runs, seen_runs):
                if expected.dtype == np.float32 and expected.shape == seen.shape:
                    noise += float(((seen.astype(np.float64) - expected) ** 2).sum())
                    signal += float((expected.astype(np.float64) ** 2).sum())
            total += noise / signal if signal else 0.0
        return total if math.isfinite(total) else math.inf

    @cached_property
    def _expected(self) -> list[list[Array]]:
        return self._run(ort_session.session(self._reference))

    def _run(self, session: ort.InferenceSession) -> list[list[Array]]:
        return [outputs for _, outputs in islice(ort_session.over_samples(session, self._data), _RUNS)]
