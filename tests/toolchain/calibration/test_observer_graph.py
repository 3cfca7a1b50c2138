"""The observer graph's extremes and elements, against NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import tiny_models
from sample_sets import in_memory

from runtimes.errors import UsageError
from runtimes.tensors import Array
from toolchain.calibration.calibrate import observe_ranges
from toolchain.calibration.observe import observe
from toolchain.calibration.observer_graph import build_observer_graph
from toolchain.graphs.value_range import Range
from toolchain.models import ort_session
from toolchain.models.onnx_model import load_ir, open_model
from toolchain.models.prepare import prepare

WEIGHTS = ", ".join(["1", "-2"] * 16)
CONV = f"w = Constant<value = float[16,2,1,1] {{{WEIGHTS}}}>() c = Conv(x, w) y = Relu(c)"


def watched(graph: ir.Model, tensors: list[str], x: Array, elements: int, dims: dict[str, int]) -> list[Array]:
    model = build_observer_graph(graph, tensors, np.ones((2, len(tensors)), bool), elements, dims, infinities=False)
    return ort_session.run_sample(ort_session.session(model), 0, {"x": x})


def maps(path: Path, height: int | str = "H") -> ir.Model:
    return prepare(open_model(tiny_models.double(path, inputs=f"float[N,2,{height},60] x", body=CONV)))


def test_extremes_are_of_everything_and_elements_evenly_spread(tmp_path: Path) -> None:
    x = np.random.default_rng(3).standard_normal((2, 2, 20, 60)).astype(np.float32)
    low, high, some = watched(maps(tmp_path / "m.onnx"), ["x"], x, 50, {"N": 2, "H": 20})
    assert (low, high) == (x.min(), x.max())
    np.testing.assert_array_equal(some, x.reshape(-1)[:: 2 * (x.size // 100) + 1])


def test_elements_are_the_same_whether_their_number_is_known_before_or_not(tmp_path: Path) -> None:
    x = np.random.default_rng(3).standard_normal((2, 2, 20, 60)).astype(np.float32)
    graph = maps(tmp_path / "m.onnx", 20)
    known = watched(graph, ["x", "y"], x, 50, {"N": 2})
    for one, other in zip(known, watched(graph, ["x", "y"], x, 50, {})):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("tensor", ["x", "y"])
def test_of_large_maps_every_third_row_and_column_is_looked_at(tmp_path: Path, tensor: str) -> None:
    x = np.random.default_rng(3).standard_normal((1, 2, 50, 60)).astype(np.float32)
    value = {"x": x, "y": np.maximum(np.tile(x[:, :1] - 2 * x[:, 1:], (1, 16, 1, 1)), 0)}[tensor]
    low, high, some = watched(maps(tmp_path / "m.onnx", 50), [tensor], x, 40, {"N": 1})
    thinned = value[:, :, ::3, ::3].reshape(-1)
    np.testing.assert_allclose([low, high], [value.min(), value.max()], rtol=1e-6)
    np.testing.assert_allclose(some, thinned[:: 2 * (thinned.size // 80) + 1], rtol=1e-5, atol=1e-6)


def test_a_nan_on_a_large_map_is_seen(tmp_path: Path) -> None:
    path = tiny_models.double(tmp_path / "m.onnx", inputs="float[N,2,50,60] x", body=f"{CONV} z = Sqrt(x)")
    x = np.ones((20, 2, 50, 60), np.float32)
    x[13, 1] = -1
    model = open_model(path)
    with pytest.raises(UsageError, match="sample 13 drives the tensor 'z' to NaN"):
        observe_ranges("percentile", load_ir(path), ["z"], in_memory(model.inputs, {"x": x}))


def test_a_model_all_of_whose_extremes_have_settled_is_watched_to_the_end(tmp_path: Path) -> None:
    body = "low = Constant<value = float {0.0}>() high = Constant<value = float {6.0}>() y = Clip(x, low, high)"
    model = open_model(tiny_models.double(tmp_path / "m.onnx", body=body))
    x = np.array([[-9, 9], [1, 2], [3, 4]], np.float32)
    seen = list(observe(prepare(model), ["y"], in_memory(model.inputs, {"x": x})))
    assert len(seen) == 3
    assert observe_ranges("minmax", prepare(model), ["y"], in_memory(model.inputs, {"x": x})).ranges["y"] == Range(0, 6)
