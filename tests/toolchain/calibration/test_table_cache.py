"""A table is found again where nothing has changed, and only there: every cause is changed once."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import tiny_models
from onnx import numpy_helper

from hwbench.data import dataset
from runtimes import samples
from runtimes.cache import Cache
from runtimes.codec import decode
from toolchain.calibration import table_cache
from toolchain.calibration.table import CalibrationTable
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import open_model
from toolchain.models.prepare import prepare
from toolchain.recipes.find_ranges import calibrate
from toolchain.recipes.recipe import Recipe


class Case:
    """A model with external data, and samples, as files that a test changes."""

    def __init__(self, folder: Path) -> None:
        self.model = tiny_models.external(folder / "m.onnx")
        self.weights = folder / "weights.data"
        self.arrays = tiny_models.samples("external", 4)
        self.file = folder / "samples.npz"
        self.method, self.tensors, self.infinities = "minmax", ["image", "r"], False

    def key(self) -> object:
        np.savez(self.file, **self.arrays)
        model = open_model(self.model)
        data = dataset.read(self.file, model.inputs)
        return table_cache.dependencies(prepare(model), self.method, self.tensors, data, self.infinities)


def change_external_data(case: Case, patch: pytest.MonkeyPatch) -> None:
    data = bytearray(case.weights.read_bytes())
    data[1] ^= 1  # the least bits of a weight
    case.weights.write_bytes(data)


def change_weights(case: Case, patch: pytest.MonkeyPatch) -> None:
    model = onnx.load(case.model)
    array = numpy_helper.to_array(model.graph.initializer[-1]) + 1
    model.graph.initializer[-1].CopyFrom(numpy_helper.from_array(array, model.graph.initializer[-1].name))
    onnx.save(model, case.model)


def change_graph(case: Case, patch: pytest.MonkeyPatch) -> None:
    model = onnx.load(case.model)
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Sigmoid"
    onnx.save(model, case.model)


def change_attribute(case: Case, patch: pytest.MonkeyPatch) -> None:
    model = onnx.load(case.model)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.attribute[0].ints[:] = [1, 1, 0, 0]
    onnx.save(model, case.model)


def change_a_sample(case: Case, patch: pytest.MonkeyPatch) -> None:
    case.arrays["image"][-1, -1, -1, -1] += 1e-6


def change_the_number_of_samples(case: Case, patch: pytest.MonkeyPatch) -> None:
    case.arrays["image"] = case.arrays["image"][:-1]


def change_the_shape_of_samples(case: Case, patch: pytest.MonkeyPatch) -> None:
    case.arrays["image"] = case.arrays["image"][:, None]


def change_method(case: Case, patch: pytest.MonkeyPatch) -> None:
    case.method = "percentile"


def change_tensors(case: Case, patch: pytest.MonkeyPatch) -> None:
    case.tensors = ["image"]


def change_infinities(case: Case, patch: pytest.MonkeyPatch) -> None:
    case.infinities = True


def change_code(file: str, old: str, new: str):
    def change(case: Case, patch: pytest.MonkeyPatch) -> None:
        copy = case.file.parent / "code"
        shutil.copytree(table_cache.CODE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        text = (copy / file).read_text()
        assert old in text
        (copy / file).write_text(text.replace(old, new))
        patch.setattr(table_cache, "CODE", copy)

    return change


def change_how_feeds_are_cut(case: Case, patch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copy(samples.__file__, case.file.parent / "samples.py"))
    copy.write_text(copy.read_text() + "\n_LAST = True\n")
    patch.setattr(samples, "__file__", str(copy))


def change_version(name: str):
    def change(case: Case, patch: pytest.MonkeyPatch) -> None:
        real = table_cache.version
        patch.setattr(table_cache, "version", lambda library: "0" if library == name else real(library))

    return change


def change_our_version(case: Case, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("runtimes.__version__", "0")


def change_processor(case: Case, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("runtimes.cpu.isa_flags", lambda: frozenset({"another"}))


CHANGES = {
    "external data": change_external_data,
    "weights": change_weights,
    "graph": change_graph,
    "attribute": change_attribute,
    "sample": change_a_sample,
    "number of samples": change_the_number_of_samples,
    "shape of samples": change_the_shape_of_samples,
    "method": change_method,
    "tensors": change_tensors,
    "infinities": change_infinities,
    "a method's constant": change_code("calibration/methods/percentile.py", "PERCENT = 99.99", "PERCENT = 99.9"),
    "the bins": change_code("calibration/histogram.py", "HALF_BINS = 2048", "HALF_BINS = 1024"),
    "how feeds are cut": change_how_feeds_are_cut,
    "edgewright": change_our_version,
    **{name: change_version(name) for name in ("onnxruntime", "numpy", "onnx", "onnx-ir", "scipy")},
    "processor": change_processor,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_cause_gives_another_key(change, tmp_path, monkeypatch):
    case = Case(tmp_path)
    before = case.key()
    assert case.key() == before
    change(case, monkeypatch)
    assert case.key() != before


def test_the_place_of_model_and_samples_is_no_cause(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    assert Case(tmp_path / "one").key() == Case(tmp_path / "other").key()


def test_the_prepared_graph_is_what_counts(tmp_path):
    """A correction may change the float graph before it is calibrated."""
    model = open_model(tiny_models.conv(tmp_path / "m.onnx"))
    graph, other = prepare(model), prepare(model)
    assert table_cache.graph_sha256(graph) == table_cache.graph_sha256(other)
    next(node for node in other.graph if node.op_type == "Relu").op_type = "Sigmoid"
    assert table_cache.graph_sha256(graph) != table_cache.graph_sha256(other)


def test_strings_count(tmp_path):
    keys = set()
    for words in (["a", "b"], ["a", "c"]):
        proto = onnx.load(tiny_models.conv(tmp_path / "m.onnx"))
        proto.graph.initializer.append(onnx.helper.make_tensor("words", onnx.TensorProto.STRING, [2], words))
        keys.add(table_cache.graph_sha256(ir.from_proto(proto)))
    assert len(keys) == 2


@pytest.fixture
def calibrated(tmp_path):
    model = open_model(tiny_models.conv(tmp_path / "m.onnx"))
    np.savez(tmp_path / "x.npz", **tiny_models.samples("conv", 4))

    def run(folder: Path, **recipe: object) -> CalibrationTable:
        made = Recipe("int8", "minmax", **recipe)  # type: ignore[arg-type]
        return calibrate(prepare(model), made, dataset.read(tmp_path / "x.npz", model.inputs), Cache(folder))

    return run


def test_a_kept_table_is_found_and_used(tmp_path, calibrated, capfd):
    folder = tmp_path / "new" / "cache"
    table = calibrated(folder)
    (file,) = folder.iterdir()
    assert "Calibrating by" in capfd.readouterr().err
    assert calibrated(folder) == table
    (said,) = capfd.readouterr().err.splitlines()
    assert {"minmax", "4", "cache."} <= set(said.split())
    key = json.loads(file.read_bytes().partition(b"\n")[0])["key"]
    Cache(folder).put_value(key, dataclasses.replace(table, samples=5))
    assert calibrated(folder).samples == 5  # so the cached table was read


def test_variants_that_keep_nodes_in_float_share_the_table(tmp_path, calibrated):
    whole = calibrated(tmp_path / "cache")
    graph = prepare(open_model(tmp_path / "m.onnx"))
    conv = next(str(node.name) for node in graph.graph if node.op_type == "Conv")
    part = calibrated(tmp_path / "cache", keep=(conv,))
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert part.ranges.items() < whole.ranges.items()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"method": "minmax"}'])
def test_a_damaged_table_is_made_again(tmp_path, calibrated, content):
    table = calibrated(tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(content)
    assert calibrated(tmp_path / "cache") == table
    assert file.read_text() != content


def test_a_table_in_the_cache_is_json_below_its_causes(tmp_path, calibrated):
    table = calibrated(tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    causes, _, text = file.read_text().partition("\n")
    assert json.loads(causes)["key"]["method"] == "minmax"
    assert decode(CalibrationTable, json.loads(text), "table") == table


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, calibrated):
    (tmp_path / "file").write_text("")
    assert isinstance(calibrated(tmp_path / "file" / "cache").ranges["image"], Range)
