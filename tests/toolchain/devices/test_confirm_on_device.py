"""Confirmation of what would be selected: the device's outputs replace those of exact arithmetic."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import emulated_haswell
import numpy as np
import pytest

from hwbench.budgets.budget import parse_all
from hwbench.emulation.sysroot import Sysroot
from hwbench.machine import device_profiles
from hwbench.targets import CrashError
from hwbench.targets.emulated import EmulatedTarget
from hwbench.targets.local import LocalTarget
from runtimes import cpu, npz
from runtimes.bundles.bundle import Bundle
from runtimes.verification.self_test import self_test
from toolchain.devices import confirm_on_device
from toolchain.pipeline import build as pipeline
from toolchain.pipeline.build import build

pytestmark = pytest.mark.usefixtures("one_process")


class FakePi(EmulatedTarget):
    """This machine's kernels in the place of the Pi's, and outputs that are wrong for some precisions."""

    wrong: tuple[str, ...] = ()

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        LocalTarget().run(bundle, inputs, outputs)
        with Bundle(bundle) as opened:
            artifact = opened.manifest.artifact
        assert not artifact.settings.options  # the device runs the artifact, not a stand-in for it
        if artifact.precision in self.wrong:
            npz.write(outputs, {name: np.zeros_like(array) for name, array in npz.read(outputs).items()})


@pytest.fixture
def pi(monkeypatch):
    """An rpi5 that is set up."""
    device = FakePi(device_profiles.load("rpi5"), Sysroot(Path("nowhere")))
    monkeypatch.setattr(pipeline, "device_of", lambda profile, machine: device)
    return device


@pytest.fixture
def asked(digits_request, pi):
    """A build of three sizes of file for the Pi, of which the smallest would be selected."""
    changes = {"profiles": (pi.profile,), "runtimes": ("onnxruntime",), "precisions": ("fp32", "fp16", "int8")}
    return digits_request(**changes, budgets=parse_all(["accuracy_drop<=0.05"]))


def by_precision(results):
    return {one.precision: one for one in results.profiles[0].candidates}


def test_the_selected_candidate_s_accuracy_is_the_device_s_and_others_are_exact(asked):
    results = build(asked)
    found = by_precision(results)
    assert found["int8"].status == "selected"
    assert found["int8"].report.accuracy.computed_by == "an emulated cortex-a76"
    assert ", computed by an emulated cortex-a76" in found["int8"].verdicts[0].reason
    assert found["fp16"].report.accuracy.computed_by == "exact arithmetic"
    assert found["int8"].report.latency is None
    assert any("as on the device: an emulated cortex-a76" in caveat for caveat in results.profiles[0].caveats)


def test_what_is_wrong_on_the_device_is_rejected_and_the_next_is_confirmed(asked, pi, monkeypatch):
    monkeypatch.setattr(FakePi, "wrong", ("int8",))
    found = by_precision(build(asked))
    assert found["int8"].status == "rejected"
    assert ", computed by an emulated cortex-a76" in found["int8"].verdicts[0].reason
    assert found["fp16"].status == "selected"
    assert found["fp16"].report.accuracy.computed_by == "an emulated cortex-a76"


def test_golden_outputs_are_the_device_s(asked, pi):
    (result,) = build(asked).profiles
    with Bundle(result.bundle) as bundle:
        manifest = bundle.manifest
        inputs, outputs = (bundle.golden(kind, getattr(manifest.artifact, f"{kind}s")) for kind in ("input", "output"))
    npz.write(result.bundle.with_name("golden.npz"), inputs)
    pi.run(result.bundle, result.bundle.with_name("golden.npz"), result.bundle.with_name("outputs.npz"))
    for name, array in npz.read(result.bundle.with_name("outputs.npz")).items():
        np.testing.assert_array_equal(array, outputs[name])


def test_a_second_build_finds_what_the_device_computed(asked, monkeypatch, tmp_path):
    asked = dataclasses.replace(asked, precisions=("int8",), cache=tmp_path / "cache")
    first = by_precision(build(asked))["int8"].report.accuracy
    ran, run = [], FakePi.run
    monkeypatch.setattr(FakePi, "run", lambda *arguments: (ran.append(arguments), run(*arguments)))
    assert by_precision(build(asked))["int8"].report.accuracy == first
    assert len(ran) == 3  # two probes, and the golden samples


def test_what_the_device_cannot_run_keeps_its_score_and_says_so(asked, monkeypatch):
    def crash(self, bundle, inputs, outputs):
        raise CrashError("The process that runs the model died of signal 11.")

    monkeypatch.setattr(FakePi, "run", crash)
    found = by_precision(build(asked))["int8"]
    assert found.status == "selected"
    assert found.report.accuracy.computed_by == "exact arithmetic"
    assert "could not be computed as on the device: The process that runs the model died" in found.reason


def test_what_would_take_too_long_keeps_its_score_and_says_so(asked, monkeypatch):
    monkeypatch.setattr(confirm_on_device, "_seconds", lambda bundle, device, context, samples: 10.0 * samples)
    found = by_precision(build(asked))["int8"]
    assert found.report.accuracy.computed_by == "exact arithmetic"
    assert "as on the device would take longer than 900 s" in found.reason


def test_what_takes_too_long_in_spite_of_the_estimate_is_ended(asked, monkeypatch):
    def hang(self, bundle, inputs, outputs):
        raise CrashError(f"The process that runs the model hung: no answer in {self.run_limit_s:g} s.")

    monkeypatch.setattr(confirm_on_device, "_seconds", lambda bundle, device, context, samples: 0.1)
    monkeypatch.setattr(FakePi, "run", hang)
    found = by_precision(build(asked))["int8"]
    assert found.report.accuracy.computed_by == "exact arithmetic"
    assert "no answer in 900 s" in found.reason


def test_without_a_setup_golden_outputs_are_of_kernels_that_do_not_saturate(asked, monkeypatch):
    monkeypatch.setattr(pipeline, "device_of", lambda profile, machine: None)
    if not device_profiles.sums_in_int32(cpu.arch(), cpu.isa_flags()):
        pytest.skip("this processor has no VNNI, so golden outputs are exact")
    (result,) = build(dataclasses.replace(asked, precisions=("int8",))).profiles
    assert self_test(result.bundle, any_machine=True).results[0].error < 1e-6


def test_without_a_setup_accuracy_is_exact_and_the_setup_is_named(asked, monkeypatch):
    monkeypatch.setattr(pipeline, "device_of", lambda profile, machine: None)
    results = build(dataclasses.replace(asked, precisions=("int8",)))
    assert by_precision(results)["int8"].report.accuracy.computed_by == "exact arithmetic"
    (note,) = (caveat for caveat in results.profiles[0].caveats if caveat.startswith("Accuracy was computed"))
    assert "by exact arithmetic" in note
    assert "edgewright targets setup rpi5" in note


def test_a_device_is_found_where_it_is_set_up_and_this_machine_lacks_its_kernels(context_machine):
    device = emulated_haswell.device()
    vnni = dataclasses.replace(context_machine, arch="x86_64", isa=("avx2", "avx_vnni", "f16c", "fma"))
    assert confirm_on_device.device_of(device.profile, vnni) == device
    without = dataclasses.replace(vnni, isa=("avx2", "f16c", "fma"))
    assert confirm_on_device.device_of(device.profile, without) is None


@pytest.fixture
def context_machine():
    from hwbench.machine.identity import this_machine

    return this_machine()
