"""One bundle on several processors, of which one saturates."""

from __future__ import annotations

import dataclasses

import emulated_haswell
import numpy as np
import pytest

from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.results.measure_bundles import Evaluation
from hwbench.targets.local import LocalTarget
from runtimes import npz
from runtimes.errors import BackendError, UnsupportedError
from toolchain.devices.accuracy_matrix import AS_WRITTEN, matrix
from toolchain.packaging.pack import pack

MACHINE = dataclasses.replace(this_machine(), arch="x86_64", isa=("avx2", "avx512_vnni", "f16c", "fma"))
WITHOUT_VNNI = dataclasses.replace(MACHINE, isa=("avx2", "f16c", "fma"))
METRIC = """
import numpy as np
def right(outputs, labels):
    return outputs["y"][:, 0] == labels

def mean(outputs, labels):
    return outputs["y"][:, 0] / 64770
"""


def rows_of(bundle, *names, evaluation=None, machine=MACHINE):
    profiles = [device_profiles.load(name) for name in names]
    return {row.profile: row for row in matrix(bundle, profiles, machine, lambda done: None, evaluation)}


@pytest.fixture
def product(tmp_path):
    return emulated_haswell.saturating_bundle(tmp_path / "product", device_profiles.load("x86-64-v4-vnni"))


def test_a_file_that_saturates_elsewhere_is_seen(product, tmp_path):
    emulated_haswell.device()
    (tmp_path / "metric.py").write_text(METRIC)
    np.savez(tmp_path / "e.npz", x=np.array([[255, 255], [9, 0]], np.uint8), labels=np.array([64770, 1143]))
    metrics = tuple(f"{tmp_path / 'metric.py'}:{name}" for name in ("right", "mean"))
    evaluation = Evaluation(tmp_path / "e.npz", metrics)
    found = rows_of(product, "x86-64-v3-avx2", "x86-64-amx", evaluation=evaluation)
    assert (found[AS_WRITTEN].way, found[AS_WRITTEN].error) == ("exact arithmetic", 0.0)
    assert found[AS_WRITTEN].scores == {"right": 1.0, "mean": pytest.approx((1 + 1143 / 64770) / 2)}
    saturated = found["x86-64-v3-avx2"]
    assert (saturated.way, saturated.samples) == ("emulated", 2)
    assert saturated.scores == {"right": 0.5, "mean": pytest.approx((32767 + 1143) / 64770 / 2)}
    assert saturated.error == pytest.approx(1 - 32767 / 64770, rel=1e-3)
    assert (found["x86-64-amx"].way, found["x86-64-amx"].scores["right"]) == ("exact arithmetic", 1.0)


def test_golden_samples_serve_without_others_and_what_is_missing_is_said(product, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "empty"))
    found = rows_of(product, "rpi5")
    assert (found[AS_WRITTEN].samples, found[AS_WRITTEN].scores) == (3, {})
    assert found["rpi5"].error is None
    assert found["rpi5"].note.startswith("not computed: ")


def test_kernels_of_this_machine_that_cannot_run_the_file_cost_one_row(product, monkeypatch):
    def fail(self, bundle, inputs, outputs):
        if bundle == product:
            raise BackendError("TensorRT is not installed.")
        run(self, bundle, inputs, outputs)

    run = LocalTarget.run
    monkeypatch.setattr(LocalTarget, "run", fail)
    found = rows_of(product, "x86-64-v3-avx2", "x86-64-amx", machine=WITHOUT_VNNI)
    assert (found["x86-64-v3-avx2"].way, found["x86-64-v3-avx2"].error) == ("native", None)
    assert found["x86-64-v3-avx2"].note == "not computed: TensorRT is not installed."
    assert found["x86-64-amx"].error == 0.0


def test_an_output_that_is_no_number_is_not_hidden_by_another(product, monkeypatch):
    """The second of two outputs is NaN on this machine's kernels."""
    outputs = [{"y": np.ones((3, 1)), "z": np.ones((3, 1))}, {"y": np.ones((3, 1)), "z": np.full((3, 1), np.nan)}]
    monkeypatch.setattr(LocalTarget, "run", lambda self, bundle, inputs, file: npz.write(file, outputs.pop(0)))
    assert np.isnan(rows_of(product, "x86-64-v3-avx2", machine=WITHOUT_VNNI)["x86-64-v3-avx2"].error)


def test_a_file_that_is_no_graph_is_refused(contents, tmp_path):
    renamed = contents.artifact.file.with_suffix(".xml")
    renamed.write_bytes(contents.artifact.file.read_bytes())
    artifact = dataclasses.replace(contents.artifact, file=renamed, runtime="openvino")
    pack(dataclasses.replace(contents, artifact=artifact, report=None), tmp_path / "other.edge")
    with pytest.raises(UnsupportedError, match="is for openvino; exact arithmetic takes a bundle that holds an ONNX"):
        rows_of(tmp_path / "other.edge")
