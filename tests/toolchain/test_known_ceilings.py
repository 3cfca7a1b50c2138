"""This machine's ceilings for real, and what has none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import toolchain.ceilings
from hwbench import devices
from hwbench.bundles import measure_bundles
from hwbench.machine import this_machine
from hwbench.roofline import roofline
from hwbench.targets.local import LocalTarget
from runtimes.errors import UsageError
from runtimes.sampling import SamplingPlan
from toolchain.ceilings import known_or_measured, with_ceilings
from toolchain.single import pack_as_is

PLAN = SamplingPlan(min_runs=60, duration_s=0.02, warmup_limit_s=0.1, time_limit_s=2.0)


@pytest.fixture(scope="module")
def machine():
    machine = this_machine()
    try:
        devices.detect(machine)
    except UsageError as none:
        pytest.skip(str(none))
    return machine


def test_they_are_measured_once_and_known_from_then_on(machine, monkeypatch):
    found = known_or_measured(machine, 1)
    assert found.operations_per_s["fp32"] > 1e8
    assert all(rate > 0 for rate in found.operations_per_s.values())
    assert all(found.missing.values())
    assert not set(found.missing) & set(found.operations_per_s)
    assert {"numpy", "onnxruntime"} <= set(found.versions)
    monkeypatch.setattr(toolchain.ceilings, "_peaks", None)  # which would be called to measure
    assert known_or_measured(machine, 1) == found


def test_nothing_is_measured_where_it_is_not_to_be(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="profiles --ceilings"):
        known_or_measured(machine, 1, recall_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_no_profile_fits_has_none(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="no profile fits"):
        known_or_measured(dataclasses.replace(machine, arch="s390x"), 1)


@pytest.fixture(scope="module")
def report(machine, tiny_onnx, tmp_path_factory):
    """A bare model, measured."""
    bundle, _ = pack_as_is(tiny_onnx, devices.detect(machine), 1, tmp_path_factory.mktemp("bare"))
    return measure_bundles([bundle], LocalTarget(), PLAN, lambda said: None, blocks=1)[0]


def test_a_bare_models_work_is_packed_with_it(report):
    assert report.artifact.work.operations == {"fp32": 2 * (4 * 64 * 27 + 5 * 256)}


def test_its_latency_gets_its_roofline(report):
    bounded = with_ceilings(report)
    found = roofline(bounded)
    assert found.share == pytest.approx(found.time_ms / np.median(report.latency.samples_ms))
    assert bounded.ceilings.threads == report.artifact.settings.threads


@pytest.mark.parametrize(
    ("changes", "options"), [({"runtime": "tensorrt"}, {}), ({"runtime": "null"}, {}), ({}, {"provider": "cuda"})]
)
def test_what_does_not_compute_on_the_processor_has_none_and_says_so(report, changes, options):
    settings = dataclasses.replace(report.artifact.settings, options=options)
    artifact = dataclasses.replace(report.artifact, file=Path("model"), settings=settings, **changes)
    bounded = with_ceilings(dataclasses.replace(report, artifact=artifact))
    assert bounded.ceilings is None
    assert "the ceilings are the processor's" in bounded.unmeasured["ceilings"]


def test_without_a_latency_nothing_is_asked_for(report):
    unmeasured = dataclasses.replace(report, latency=None)
    assert with_ceilings(unmeasured) is unmeasured
