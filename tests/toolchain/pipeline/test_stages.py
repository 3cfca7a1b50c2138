"""The stages that a build's progress is shown by."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from hwbench.budgets.budget import parse_all
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from toolchain.candidates import candidate
from toolchain.pipeline.build import build
from toolchain.pipeline.stages import PEAKS, stages


@pytest.mark.parametrize("exhaustive", [False, True])
def test_every_phase_that_a_build_goes_through_is_a_stage_and_in_their_order(
    digits_request, device, one_process, tmp_path, monkeypatch, exhaustive
):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "cache"))  # holds no peaks, so that they are measured
    monkeypatch.setattr("toolchain.pipeline.machine_peaks._workloads", lambda *_: ())
    began: list[str] = []
    for module in ("toolchain.pipeline.build", "toolchain.search.search", "toolchain.pipeline.machine_peaks"):
        monkeypatch.setattr(f"{module}.begin_stage", began.append)
    asked = {"precisions": ("fp32", "int8"), "budgets": parse_all(["accuracy_drop<=0.05"]), "exhaustive": exhaustive}
    request = digits_request(profiles=(device,), runtimes=("onnxruntime",), **asked)
    build(request)
    listed = candidate.list_candidates(device, ("fp32", "int8"), ("onnxruntime",))
    names = [s.name for s in stages(request.source, [(device, listed)], this_machine(), exhaustive=exhaustive)]
    assert PEAKS in began
    once = [name for name, _ in itertools.groupby(began)]  # peaks are measured as precisions need them
    assert [name for name in names if name in began] == once


def test_of_several_devices_each_stage_says_which(device):
    listed = candidate.list_candidates(device, ("fp32",), ("onnxruntime",))
    other = dataclasses.replace(device, name="other")
    one = stages("m.onnx", [(device, listed)], this_machine(), exhaustive=False)
    two = stages("m.onnx", [(device, listed), (other, listed)], this_machine(), exhaustive=False)
    assert [stage.title for stage in one][:3] == ["opening the model", "running the source", "make candidates"]
    assert f"{device.name}, make candidates" in [stage.title for stage in two]
    assert len({stage.name for stage in two}) == len(two) - 1  # peaks are the machine's


def test_what_is_not_timed_takes_no_steps_of_timing():
    device = device_profiles.load("rpi4" if this_machine().arch != "aarch64" else "x86-64-v4-vnni")
    listed = candidate.list_candidates(device, ("fp32",))
    titles = {stage.title for stage in stages("m.onnx", [(device, listed)], this_machine(), exhaustive=False)}
    assert "rank" in titles
    assert titles.isdisjoint({"screen", "time", "explain"})
