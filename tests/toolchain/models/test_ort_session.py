"""ONNX Runtime on calibration samples: models of any size, and its errors."""

from __future__ import annotations

import gc

import numpy as np
import onnx
import pytest
import tiny_models
from sample_sets import in_memory

from hwbench.data import dataset
from runtimes.errors import UsageError
from toolchain.analysis.int8_errors import layer_errors
from toolchain.graphs.edits import Edits
from toolchain.models import ort_session
from toolchain.models.onnx_model import load_ir, open_model
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_recipe import calibrate_graph
from toolchain.recipes.find_ranges import calibrate
from toolchain.recipes.recipe import Recipe

RECIPE = Recipe("int8", "minmax", corrections=("bias",))


def test_a_model_too_large_for_one_protobuf_runs_from_a_file(tmp_path, monkeypatch, temp_folder):
    path = tiny_models.conv(tmp_path / "m.onnx")
    feeds = tiny_models.samples("conv", 2)
    expected = ort_session.session(load_ir(path)).run(None, feeds)[0]
    monkeypatch.setattr("toolchain.models.onnx_model.PROTOBUF_LIMIT_BYTES", 100)
    monkeypatch.delattr("onnx_ir.to_proto")
    np.testing.assert_array_equal(ort_session.session(load_ir(path)).run(None, feeds)[0], expected)


def test_a_session_outlives_the_graph_that_it_was_loaded_from(tmp_path):
    """ONNX Runtime 1.31.1 copies the weights as it loads. One that reads them where they are would fail this: a table
    that is looked up would be the first.
    """
    path = tiny_models.double(tmp_path / "m.onnx", inputs="int64[N] x", body="y = Gather(table, x)")
    table = np.arange(100_000, dtype=np.float32).reshape(-1, 2)
    proto = onnx.load(path)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(table, "table"))
    onnx.save(proto, path)
    graph = load_ir(path)
    before = {name: value.const_value for name, value in graph.graph.initializers.items()}
    session = ort_session.session(graph)
    assert {name: value.const_value for name, value in graph.graph.initializers.items()} == before
    del graph, before, proto
    gc.collect()
    overwritten = [np.full_like(table, np.nan) for _ in range(20)]  # what was freed
    np.testing.assert_array_equal(session.run(None, {"x": np.arange(50_000)})[0], table)
    assert len(overwritten) == 20


def test_a_weight_that_no_node_reads_does_not_keep_a_model_from_loading(tmp_path):
    path, feeds = tiny_models.conv(tmp_path / "m.onnx"), tiny_models.samples("conv", 2)
    graph = load_ir(path)
    Edits(graph.graph).constant("left.over", np.ones(1024, np.float32))
    expected = ort_session.session(path).run(None, feeds)[0]
    np.testing.assert_array_equal(ort_session.session(graph).run(None, feeds)[0], expected)


def test_calibration_takes_a_model_too_large_for_one_protobuf(tmp_path, monkeypatch, temp_folder):
    model, samples = case(tmp_path, "conv", tiny_models.samples("conv", 4))

    def errors():
        known = calibrate_graph(prepare(model), RECIPE, samples)
        return layer_errors(known, RECIPE, samples)

    expected = errors()
    monkeypatch.setattr("toolchain.models.onnx_model.PROTOBUF_LIMIT_BYTES", 100)
    assert errors() == expected


def test_a_sample_that_onnx_runtime_fails_on_is_named(tmp_path):
    arrays = tiny_models.samples("embedding", 6)
    arrays["tokens"][3, 2] = 1000
    model, samples = case(tmp_path, "embedding", arrays)
    with pytest.raises(UsageError, match=r"^Calibration sample 3: ONNX Runtime failed: .*Gather"):
        calibrate(prepare(model), RECIPE, samples)


def test_a_fixed_batch_is_named_by_its_first_sample(tmp_path):
    body = "table = Constant<value = float[3,2] {1, 2, 3, 4, 5, 6}>() y = Gather(table, x)"
    model = open_model(tiny_models.double(tmp_path / "m.onnx", inputs="int64[2] x", body=body))
    with pytest.raises(UsageError, match=r"^Calibration sample 2: "):
        list(
            ort_session.over_samples(
                ort_session.session(model.path), in_memory(model.inputs, {"x": np.array([0, 1, 2, 7])})
            )
        )


def case(folder, name, arrays):
    model = open_model(getattr(tiny_models, name)(folder / "m.onnx"))
    np.savez(folder / "x.npz", **arrays)
    return model, dataset.read(folder / "x.npz", model.inputs)
