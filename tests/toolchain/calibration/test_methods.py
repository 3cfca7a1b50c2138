"""Calibration on a real model: every method, against ranges computed in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.tensors import Array
from toolchain.calibration.table import CalibrationTable, Range, read, write
from toolchain.model import OnnxModel, open_model
from toolchain.prepare import prepare
from toolchain.quantize import CALIBRATORS
from toolchain.quantizers import int8
from toolchain.recipe import Recipe

METHODS = plugins.names(CALIBRATORS)


@pytest.fixture(scope="module")
def model(tiny_onnx: Path) -> OnnxModel:
    return open_model(tiny_onnx)


@pytest.fixture(scope="module")
def many() -> Array:
    return np.random.default_rng(2).standard_normal((40, 3, 8, 8)).astype(np.float32)


def calibrate(method: str, model: OnnxModel, images: Array) -> CalibrationTable:
    graph = prepare(model)
    module = plugins.load(CALIBRATORS, method, "method")
    table: CalibrationTable = module.calibrate(graph, names(graph), model.inputs, {"image": images})
    return table


def names(graph: ir.Model) -> tuple[str, ...]:
    return int8.tensors(graph, Recipe("int8"))


def test_the_methods_are_those_that_we_promise() -> None:
    assert METHODS == ("entropy", "minmax", "mse", "percentile")


def test_minmax_is_what_the_model_really_computes(model: OnnxModel, many: Array) -> None:
    table = calibrate("minmax", model, many)
    assert table.samples == 40
    assert table.ranges["image"] == Range(float(many.min()), float(many.max()))
    graph = ir.to_proto(prepare(model))
    graph.graph.output.append(next(v for v in graph.graph.value_info if v.name == "active"))
    session = ort.InferenceSession(graph.SerializeToString())
    active = session.run(["active"], {"image": many})[0]
    assert table.ranges["active"].high == pytest.approx(float(active.max()), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_ranges_do_not_depend_on_order(method: str, model: OnnxModel, many: Array) -> None:
    assert calibrate(method, model, many).ranges == calibrate(method, model, many[::-1].copy()).ranges


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_that_overflows_is_named(method: str, model: OnnxModel, many: Array) -> None:
    broken = many.copy()
    broken[17] = 3e38
    with pytest.raises(UsageError, match="sample 17"):
        calibrate(method, model, broken)


@pytest.mark.parametrize("method", METHODS)
def test_all_constant_data_gives_a_range(method: str, model: OnnxModel) -> None:
    table = calibrate(method, model, np.zeros((40, 3, 8, 8), np.float32))
    assert table.ranges["image"] == Range(0.0, 0.0)


def test_too_few_samples_for_a_histogram_are_counted(model: OnnxModel, many: Array) -> None:
    with pytest.raises(UsageError, match=r"takes 2,048 values of a tensor, and 2 samples gave 384 of 'image'"):
        calibrate("entropy", model, many[:2])


def test_a_table_survives_its_file(tmp_path: Path, model: OnnxModel, many: Array) -> None:
    table = calibrate("percentile", model, many)
    write(table, tmp_path / "table.json")
    assert read(tmp_path / "table.json") == table


def test_an_edited_table_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"method": "minmax", "samples": 1, "ranges": {"x": {"low": 2, "high": 1}}}')
    with pytest.raises(UsageError, match=r"table.json: 'ranges.x' is no range"):
        read(tmp_path / "table.json")
