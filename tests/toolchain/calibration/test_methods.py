"""Calibration on real models: every method, against ranges computed in NumPy."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import tiny_models
from sample_sets import in_memory

from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.tensors import Array
from toolchain.calibration.calibrate import CalibrationInterrupted, observe_by_methods, observe_ranges
from toolchain.calibration.table import CalibrationTable, read, write
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import OnnxModel, open_model
from toolchain.models.prepare import prepare
from toolchain.quantizers import int8
from toolchain.recipes.recipe import Recipe

METHODS = plugins.names("toolchain.calibration.methods")


@pytest.fixture(scope="module")
def model(tiny_onnx: Path) -> OnnxModel:
    return open_model(tiny_onnx)


@pytest.fixture(scope="module")
def many() -> Array:
    return np.random.default_rng(2).standard_normal((40, 3, 8, 8)).astype(np.float32)


@pytest.fixture
def clipped(tmp_path: Path) -> OnnxModel:
    """x -> Clip to 0..6 -> Conv-like MatMul -> Relu: tensors that reach their bounds, and some that have none."""
    body = "low = Constant<value = float {0.0}>() high = Constant<value = float {6.0}>() c = Clip(x, low, high)"
    body += " w = Constant<value = float[2,2] {1, -1, 0.5, 2}>() m = MatMul(c, w) y = Relu(m)"
    return open_model(tiny_models.double(tmp_path / "clipped.onnx", body=body))


def calibrate(method: str, model: OnnxModel, images: Array) -> CalibrationTable:
    graph = prepare(model)
    return observe_ranges(method, graph, names(graph), in_memory(model.inputs, {"image": images}))


def names(graph: ir.Model) -> tuple[str, ...]:
    return int8.tensors(graph, Recipe("int8"))


def test_the_methods_are_those_that_we_promise() -> None:
    assert METHODS == ("entropy", "minmax", "mse", "percentile")


def test_minmax_is_what_the_model_really_computes(model: OnnxModel, many: Array) -> None:
    table = calibrate("minmax", model, many)
    assert (table.samples, table.complete) == (40, True)
    assert table.ranges["image"] == Range(float(many.min()), float(many.max()))
    graph = ir.to_proto(prepare(model))
    graph.graph.output.append(next(v for v in graph.graph.value_info if v.name == "active"))
    session = ort.InferenceSession(graph.SerializeToString())
    active = session.run(["active"], {"image": many})[0]
    assert table.ranges["active"].high == pytest.approx(float(active.max()), rel=1e-5)


@pytest.mark.parametrize("late", [3, 20, 70])
def test_what_has_reached_its_bounds_is_not_missed_elsewhere(clipped: OnnxModel, late: int) -> None:
    rng = np.random.default_rng(4)
    x = rng.uniform(1, 5, (80, 5, 2)).astype(np.float32)
    x[0] = [[-9, 9]] * 5  # the clip's two bounds at once
    x[late] = 7 * rng.standard_normal((5, 2))
    table = observe_ranges("minmax", prepare(clipped), ["x", "c", "m", "y"], in_memory(clipped.inputs, {"x": x}))
    c = np.clip(x, 0, 6)
    m = c @ np.array([[1, -1], [0.5, 2]], np.float32)
    for name, array in {"x": x, "c": c, "m": m, "y": np.maximum(m, 0)}.items():
        assert table.ranges[name] == Range(float(array.min()), float(array.max())), name


@pytest.mark.parametrize("method", METHODS)
def test_ranges_do_not_depend_on_order(method: str, model: OnnxModel, many: Array) -> None:
    assert calibrate(method, model, many).ranges == calibrate(method, model, many[::-1].copy()).ranges


@pytest.mark.parametrize("method", METHODS)
def test_ranges_do_not_depend_on_the_batch(method: str, clipped: OnnxModel) -> None:
    x = 4 * np.random.default_rng(5).standard_normal((1200, 2)).astype(np.float32)
    one, other = (
        observe_ranges(method, prepare(clipped), ["c", "m", "y"], in_memory(clipped.inputs, {"x": batched}))
        for batched in (x, x.reshape(40, 30, 2))
    )
    assert one.ranges == other.ranges


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_that_overflows_is_named(method: str, model: OnnxModel, many: Array) -> None:
    broken = many.copy()
    broken[17] = 3e38
    with pytest.raises(UsageError, match="sample 17"):
        calibrate(method, model, broken)


def test_a_nan_in_the_middle_of_a_tensor_is_seen_where_elements_are(tmp_path: Path) -> None:
    model = open_model(tiny_models.double(tmp_path / "m.onnx", inputs="float[N,9] x", body="y = Sqrt(x)"))
    x = np.ones((300, 9), np.float32)
    x[41, 5] = -1
    with pytest.raises(UsageError, match="sample 41 drives the tensor 'y' to NaN"):
        observe_ranges("percentile", prepare(model), ["y"], in_memory(model.inputs, {"x": x}))


@pytest.mark.parametrize("method", METHODS)
def test_all_constant_data_gives_a_range(method: str, model: OnnxModel) -> None:
    table = calibrate(method, model, np.zeros((40, 3, 8, 8), np.float32))
    assert table.ranges["image"] == Range(0.0, 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_constants_other_than_zero_give_a_range_that_holds_them(method: str, model: OnnxModel) -> None:
    table = calibrate(method, model, np.full((40, 3, 8, 8), 0.37, np.float32))
    assert table.ranges["image"] == Range(float(np.float32(0.37)), float(np.float32(0.37)))


def test_too_few_samples_for_a_histogram_are_counted(model: OnnxModel, many: Array) -> None:
    with pytest.raises(UsageError, match=r"takes 2,048 values of a tensor, and 2 samples gave 384 of 'image'"):
        calibrate("entropy", model, many[:2])


def test_samples_of_a_fixed_batch_are_counted_as_samples(tmp_path: Path) -> None:
    model = open_model(tiny_models.fixed_batch(tmp_path / "m.onnx"))
    table = observe_ranges(
        "minmax", prepare(model), ["x", "y"], in_memory(model.inputs, tiny_models.samples("fixed_batch", 8))
    )
    assert (table.samples, table.complete) == (8, True)


class Pressing:
    """Samples at whose last one Ctrl-C is pressed."""

    def __init__(self, array: Array) -> None:
        self.array, self.shape, self.dtype, self.ndim, self.size = array, array.shape, array.dtype, 4, array.size

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Array]:
        return iter(self.array)

    def __getitem__(self, rows: slice) -> Array:
        if rows.stop == len(self):
            signal.raise_signal(signal.SIGINT)
        return np.asarray(self.array[rows])


def test_an_interrupt_at_the_last_sample_is_not_lost(model: OnnxModel, many: Array) -> None:
    graph = prepare(model)
    with pytest.raises(CalibrationInterrupted) as interrupt:
        observe_ranges("percentile", graph, names(graph), in_memory(model.inputs, {"image": Pressing(many)}))
    assert interrupt.value.table == calibrate("percentile", model, many)


def selecting(path: Path) -> OnnxModel:
    """x float32[N] -> those above 1, which may be none: y float32[some]."""
    body = "one = Constant<value = float {1.0}>() more = Greater(x, one) y = Compress(x, more)"
    return open_model(tiny_models.double(path, inputs="float[N] x", body=body))


def test_a_tensor_that_no_sample_fills_is_named_and_one_that_some_fill_is_not(tmp_path: Path) -> None:
    model = selecting(tmp_path / "m.onnx")
    x = np.array([[0, 0.5], [2, 0], [0.1, 0.2], [3, 4]], np.float32)
    table = observe_ranges("minmax", prepare(model), ["x", "y"], in_memory(model.inputs, {"x": x}))
    assert (table.ranges["y"], table.unobserved) == (Range(2, 4), ())
    table = observe_ranges("minmax", prepare(model), ["x", "y"], in_memory(model.inputs, {"x": x[::2]}))
    assert (sorted(table.ranges), table.unobserved) == (["x"], ("y",))


def test_a_tensor_that_the_graph_does_not_have_is_named(model: OnnxModel, many: Array) -> None:
    with pytest.raises(UsageError, match="tensor 'inner' is inside an operator"):
        observe_ranges("minmax", prepare(model), ["image", "inner"], in_memory(model.inputs, {"image": many}))


def test_a_table_survives_its_file(tmp_path: Path, model: OnnxModel, many: Array) -> None:
    table = calibrate("percentile", model, many)
    write(table, tmp_path / "table.json")
    assert read(tmp_path / "table.json") == table


def test_an_edited_table_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"method": "minmax", "samples": 1, "ranges": {"x": {"low": 2, "high": 1}}}')
    with pytest.raises(UsageError, match=r"table.json: 'ranges.x' is no range"):
        read(tmp_path / "table.json")


def test_several_methods_in_one_pass_give_what_each_gives_alone(clipped: OnnxModel) -> None:
    x = 4 * np.random.default_rng(6).standard_normal((60, 40, 2)).astype(np.float32)
    graph, data = prepare(clipped), in_memory(clipped.inputs, {"x": x})
    together = observe_by_methods(METHODS, graph, ["x", "c", "m", "y"], data)
    assert together == {method: observe_ranges(method, graph, ["x", "c", "m", "y"], data) for method in METHODS}


def test_a_method_that_takes_more_samples_is_left_out_where_another_does_not(model: OnnxModel, many: Array) -> None:
    data = in_memory(model.inputs, {"image": many[:2]})
    graph = prepare(model)
    assert list(observe_by_methods(["mse", "minmax"], graph, names(graph), data)) == ["minmax"]
    with pytest.raises(UsageError, match="Method mse takes"):
        observe_by_methods(["mse", "entropy"], graph, names(graph), data)
