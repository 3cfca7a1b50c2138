"""Ranges by the method that brings int8's outputs closest to float's."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from correction_models import Case

from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.analysis.inspection import inspect_model
from toolchain.graphs.value_range import Range
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_recipe import calibrate_graph
from toolchain.recipes.output_error import Noise, OutputError
from toolchain.recipes.recipe import BEST, Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

RECIPE = Recipe("int8", BEST, QuantizationScheme("uint8"))


def case(folder: Path, weight: Array, n: int = 64) -> Case:
    """Numbers of which a few are large: Student's t with two degrees of freedom."""
    x = np.random.default_rng(0).standard_t(2, (n, 64)).astype(np.float32)
    return Case.of(folder, "dense (float[N,64] x) => (float[N,16] y) { y = MatMul(x, w) }", {"w": weight}, {"x": x})


def ranges(made: Case, recipe: Recipe = RECIPE) -> dict[str, Range]:
    return dict(calibrate_graph(prepare(made.model), recipe, made.samples).ranges)


def test_a_rare_value_is_clipped_where_that_helps(tmp_path: Path) -> None:
    made = case(tmp_path, np.random.default_rng(1).standard_normal((64, 16)))
    assert ranges(made) == ranges(made, replace(RECIPE, calibration="mse"))
    assert ranges(made) != ranges(made, replace(RECIPE, calibration="minmax"))


def test_and_is_not_where_the_outputs_need_it(tmp_path: Path) -> None:
    weight = np.full((64, 16), 1e-3)
    weight[7] = 10
    x = np.random.default_rng(0).uniform(-1, 1, (64, 64)).astype(np.float32)
    x[::2, 7] = 20
    made = Case.of(tmp_path, "dense (float[N,64] x) => (float[N,16] y) { y = MatMul(x, w) }", {"w": weight}, {"x": x})
    assert ranges(made)["x"].high == 20


def test_few_samples_give_their_extremes(tmp_path: Path) -> None:
    made = case(tmp_path, np.random.default_rng(1).standard_normal((64, 16)), n=8)
    assert ranges(made) == ranges(made, replace(RECIPE, calibration="minmax"))


def test_the_file_says_which_method_it_was(tmp_path: Path) -> None:
    made = case(tmp_path, np.random.default_rng(1).standard_normal((64, 16)))
    assert inspect_model(made.quantized(RECIPE).path).calibration == "mse"


def test_corrections_stay_where_there_is_nothing_to_compare(tmp_path: Path) -> None:
    """The output is a class, as of a model with its ArgMax inside."""
    text = "classes (float[N,64] x) => (int64[N] y) { s = MatMul(x, w)  y = ArgMax<axis=1, keepdims=0>(s) }"
    x = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    made = Case.of(tmp_path, text, {"w": np.random.default_rng(1).standard_normal((64, 16))}, {"x": x})
    corrected = replace(RECIPE, corrections=("rounding",))
    assert inspect_model(made.quantized(corrected).path).corrections == "rounding 1"


def test_a_graph_that_onnx_runtime_does_not_run_is_infinitely_wrong(tmp_path: Path) -> None:
    made = case(tmp_path, np.random.default_rng(1).standard_normal((64, 16)))
    graph = prepare(made.model)
    broken = graph.clone()
    next(node for node in broken.graph if node.op_type == "MatMul").outputs[0].name = ""
    error = OutputError(graph, RECIPE, made.samples)
    odd, sound = error.of(broken, {"x": Range(-1, 1)}), error.of(graph, {"x": Range(-1, 1)})
    assert set(odd.first(odd.runs)) == {math.inf}
    assert max(sound.first(sound.runs)) < math.inf
    assert sound.is_below(odd)
    assert not odd.is_below(sound)


def noise(*decibels: float) -> tuple[Noise, list[int]]:
    """Noise of known inferences, and the numbers of those that were measured."""
    seen: list[int] = []

    def measure(start: int, end: int) -> list[float]:
        seen.extend(range(start, end))
        return list(decibels[start:end])

    return Noise(measure, len(decibels)), seen


def test_a_quarter_of_the_inferences_decides_where_it_is_clear() -> None:
    (low, few), (high, _) = noise(*[-20.0, -21.0] * 16), noise(*[-10.0, -11.0] * 16)
    assert low.is_below(high)
    assert not high.is_below(low)
    assert few == list(range(8))


def test_all_inferences_decide_where_a_quarter_leaves_doubt() -> None:
    (one, seen), (other, _) = noise(*[-20.0, -10.0] * 4, *[-30.0] * 24), noise(*[-15.5] * 8, *[-20.0] * 24)
    assert one.is_below(other)
    assert seen == list(range(32))
    same, _ = noise(*[-15.0] * 12)
    assert not same.is_below(same)
