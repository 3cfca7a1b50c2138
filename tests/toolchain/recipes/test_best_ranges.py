"""Ranges by the method that brings int8's outputs closest to float's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from correction_models import Case

from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.graphs.value_range import Range
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_recipe import calibrate_graph
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
