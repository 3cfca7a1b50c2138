"""This machine's peaks for real, and what has none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.measurements.peaks import UnbuiltWorkload
from hwbench.measurements.roofline import roofline
from hwbench.results.measure_bundles import measure_bundles
from hwbench.targets.local import LocalTarget
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.calibration.table import CalibrationTable
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate, list_candidates
from toolchain.graphs.value_range import Range
from toolchain.pipeline import machine_peaks
from toolchain.pipeline.machine_peaks import known_or_measured, with_peaks
from toolchain.pipeline.pack_model import pack_as_is
from toolchain.recipes.recipe import Recipe

PLAN = SamplingPlan(min_runs=60, duration_s=0.02, warmup_limit_s=0.1, time_limit_s=2.0)
TENSORS = ("x0", "x1", "x2")


@pytest.fixture(scope="module")
def machine():
    machine = this_machine()
    try:
        device_profiles.detect(machine)
    except UsageError as none:
        pytest.skip(str(none))
    return machine


def test_they_are_measured_once_and_known_from_then_on(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
    found = known_or_measured(machine, 1)
    assert found.operations_per_s["fp32"] > 1e8
    assert all(rate > 0 for rate in found.operations_per_s.values())
    assert all(found.missing.values())
    assert not set(found.missing) & set(found.operations_per_s)
    assert found.versions["onnxruntime"] == onnxruntime.__version__  # whichever of its packages is installed
    assert "any" not in found.missing
    monkeypatch.setattr(machine_peaks, "_workloads", None)  # which would be called to measure
    assert known_or_measured(machine, 1) == found


def test_only_what_is_asked_for_is_measured_and_the_rest_when_it_is(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
    built = []
    make = machine_peaks._workload
    monkeypatch.setattr(machine_peaks, "_workload", lambda name, *rest: (built.append(name), make(name, *rest))[1])
    first = known_or_measured(machine, 1, ["fp32"])
    assert set(first.operations_per_s) == {"fp32"}
    assert all("fp32" in name for name in built)
    built.clear()
    both = known_or_measured(machine, 1, ["fp32", "int8"])
    assert all("int8" in name for name in built)
    assert both.operations_per_s["fp32"] == first.operations_per_s["fp32"]
    assert both.tells_of("int8")
    assert both.memory == first.memory
    with pytest.raises(UsageError, match="profiles --peaks"):
        known_or_measured(machine, 1, recall_only=True)  # of all precisions


@pytest.fixture
def builder(tmp_path):
    model = machine_peaks._products("MatMul", (8, 8), (8, 8), tmp_path / "model.onnx")
    return CandidateBuilder(
        "small", model, None, tmp_path, CalibrationTable("given", 0, dict.fromkeys(TENSORS, Range(-4, 4)))
    )


@pytest.fixture
def peak_of(machine, builder, tmp_path):
    """Makes a candidate of two small products for ONNX Runtime."""

    def make(recipe, **changes):
        candidate = Candidate(dataclasses.replace(recipe, **changes), "onnxruntime", RuntimeSettings(1))
        feeds = {"x0": np.ones((8, 8), np.float32)}
        return machine_peaks._workload(
            "small", candidate, builder, device_profiles.detect(machine), feeds, tmp_path / "x.npz"
        )

    return make


def test_a_candidate_of_one_precision_is_a_peak_and_any_other_says_why_not(machine, builder, peak_of):
    (planned, *_) = list_candidates(
        device_profiles.detect(machine), ("int8",), ("onnxruntime",), threads=1, corrections=()
    )
    whole = peak_of(planned.recipe)
    assert (whole.precision, whole.operations) == ("int8", 2 * 2 * 8**3)
    mixed = peak_of(planned.recipe, keep=builder.layers()[:1])
    assert (type(mixed), mixed.precision) == (UnbuiltWorkload, "int8")
    assert "computes products in fp32, int8 for it" in mixed.reason
    assert "int3" in peak_of(planned.recipe, precision="int3").reason


def test_a_runtime_that_is_not_installed_is_no_precision():
    absent = Candidate(Recipe("any"), "openvino", RuntimeSettings(1), "openvino is not installed")
    assert machine_peaks._missing([absent]) == {}


def test_nothing_is_measured_where_it_is_not_to_be(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="profiles --peaks"):
        known_or_measured(machine, 1, recall_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_no_profile_fits_has_none(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="no profile fits"):
        known_or_measured(dataclasses.replace(machine, arch="s390x"), 1)


@pytest.fixture(scope="module")
def report(machine, tiny_onnx, tmp_path_factory):
    """A bare model, measured."""
    bundle, _ = pack_as_is(str(tiny_onnx), (), device_profiles.detect(machine), 1, tmp_path_factory.mktemp("bare"))
    return measure_bundles([bundle], LocalTarget(), PLAN, lambda said: None, blocks=1)[0]


def test_a_bare_models_work_is_packed_with_it(report):
    assert report.artifact.work.operations == {"fp32": 2 * (4 * 64 * 27 + 5 * 256)}


def test_its_latency_gets_its_roofline(report):
    bounded = with_peaks(report)
    found = roofline(bounded)
    assert found.share == pytest.approx(found.time_ms / np.median(report.latency.samples_ms))
    assert bounded.peaks.threads == report.artifact.settings.threads


@pytest.mark.parametrize(
    ("changes", "options"), [({"runtime": "tensorrt"}, {}), ({"runtime": "null"}, {}), ({}, {"provider": "cuda"})]
)
def test_what_does_not_compute_on_the_processor_has_none_and_says_so(report, changes, options):
    settings = dataclasses.replace(report.artifact.settings, options=options)
    artifact = dataclasses.replace(report.artifact, file=Path("model"), settings=settings, **changes)
    bounded = with_peaks(dataclasses.replace(report, artifact=artifact))
    assert bounded.peaks is None
    assert "the peaks are those of the processor" in bounded.unmeasured["peaks"]


def test_without_a_latency_nothing_is_asked_for(report):
    unmeasured = dataclasses.replace(report, latency=None)
    assert with_peaks(unmeasured) is unmeasured
