"""Clipping of activations: the ranges that are narrowed, and those that stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from correction_models import Case

from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.calibration.table import CalibrationTable
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import CORRECTIONS_KEY
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_recipe import CalibratedGraph, calibrate_graph
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

PLAIN = Recipe("int8", "minmax", QuantizationScheme("uint8"))
CLIPPED = replace(PLAIN, corrections=("clipping",))


def samples(largest: float, *, signed: bool = True) -> Array:
    """64 rows of 32 numbers, of which one is large."""
    x = np.random.default_rng(0).uniform(-1 if signed else 0, 1, (64, 32)).astype(np.float32)
    x[5, 7] = largest
    return x


def case(folder: Path, x: Array, nodes: str = "y = MatMul(x, w)") -> Case:
    weight = np.random.default_rng(1).standard_normal((32, 32))
    text = f"layers (float[N,32] x) => (float[N,32] y) {{ {nodes} }}"
    return Case.of(folder, text, {"w": weight}, {"x": x})


def calibrated(made: Case, recipe: Recipe = CLIPPED) -> CalibratedGraph:
    return calibrate_graph(prepare(made.model), recipe, made.samples)


@pytest.mark.parametrize("signed", [True, False])
def test_a_rare_large_value_is_clipped(tmp_path: Path, signed: bool) -> None:
    made = case(tmp_path, samples(8, signed=signed))
    found = calibrated(made).ranges["x"]
    assert 1 <= found.high < 8
    assert found.low <= 0 if signed else found.low >= 0
    assert made.decibels(CLIPPED) > made.decibels(PLAIN) + 1


def test_evenly_spread_values_keep_their_range(tmp_path: Path) -> None:
    made = case(tmp_path, samples(1))
    assert calibrated(made).ranges == calibrated(made, PLAIN).ranges


def test_a_value_that_the_weights_make_important_is_not_clipped(tmp_path: Path) -> None:
    weight = np.full((32, 32), 0.01)
    weight[7] = 10  # the channel of the large value
    text = "layers (float[N,32] x) => (float[N,32] y) { y = MatMul(x, w) }"
    made = Case.of(tmp_path, text, {"w": weight}, {"x": samples(8)})
    assert calibrated(made).ranges["x"].high == 8


def test_a_tensor_that_other_integers_read_too_keeps_its_range(tmp_path: Path) -> None:
    nodes = "a = MatMul(x, w) b = Relu(a) c = Add(x, b) y = MatMul(c, w)"
    made = case(tmp_path, samples(8), nodes)
    assert calibrated(made).ranges["x"].high == 8


def test_a_table_that_was_given_keeps_its_ranges(tmp_path: Path) -> None:
    made = case(tmp_path, samples(8))
    table = CalibrationTable("minmax", 64, {"x": Range(-8, 8)})
    given = calibrate_graph(prepare(made.model), CLIPPED, made.samples, table)
    assert given.ranges == table.ranges


def test_the_file_says_how_many_ranges_were_narrowed(tmp_path: Path) -> None:
    made = case(tmp_path, samples(8))
    assert calibrated(made).model.metadata_props[CORRECTIONS_KEY] == "clipping 1"
