"""Peaks: what is kept, under which key, and what is absent."""

from __future__ import annotations

import dataclasses
import time

import pytest

from hwbench.machine import machine_facts
from hwbench.measurements import memory_bandwidth, peaks
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Peaks, PeakWorkload, UnbuiltWorkload, measure, recall
from runtimes.errors import BackendError

VERSIONS = {"onnxruntime": "1.31.1"}
MEMORY = (Bandwidth(1 << 20, 50e9), Bandwidth(1 << 27, 10e9))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "memory"))
    monkeypatch.setattr(memory_bandwidth, "measure", lambda machine, threads: MEMORY)  # which has tests of its own
    return tmp_path / "memory"


@pytest.fixture
def take(folder, machine, fake_target, tmp_path):
    """Measures workloads whose bundles all take 1 ms at best."""

    def run(*precisions: str, operations=10**9, threads=1, versions=VERSIONS, missing=(), machine=machine) -> Peaks:
        workloads = [
            PeakWorkload(name, name, tmp_path / name, tmp_path / "inputs.npz", operations) for name in precisions
        ]
        return measure(machine, threads, versions, workloads, dict(missing), fake_target, lambda said: None)

    return run


def test_a_rate_is_operations_by_the_fastest_inference(take, machine):
    found = take("fp32", "int8", operations=10**9)
    assert found.operations_per_s == {"fp32": 1e12, "int8": 1e12}
    assert found.memory == MEMORY
    assert recall(machine, 1, VERSIONS) == found


def test_the_higher_of_two_measurements_counts(take):
    take("fp32", operations=2 * 10**9)
    assert take("fp32", "int8").operations_per_s == {"fp32": 2e12, "int8": 1e12}
    assert take("fp32", operations=3 * 10**9).operations_per_s["fp32"] == 3e12


def test_more_threads_can_do_what_one_does(take):
    take("fp32", "bf16", operations=2 * 10**9)
    both = take("fp32", "int8", threads=2)
    assert both.operations_per_s == {"fp32": 2e12, "int8": 1e12}
    assert not both.tells_of("bf16")  # it may be higher than with one thread
    assert take("bf16", threads=2).operations_per_s == {"bf16": 2e12, "fp32": 2e12, "int8": 1e12}
    assert take("int8", threads=1).operations_per_s["int8"] == 1e12


def test_of_several_forms_of_one_precision_the_fastest_counts(take, fake_target, machine, tmp_path):
    workloads = [PeakWorkload(str(n), "fp32", tmp_path / str(n), tmp_path / "x.npz", n * 10**9) for n in (1, 3, 2)]
    found = measure(machine, 1, VERSIONS, workloads, {}, fake_target, lambda said: None)
    assert found.operations_per_s == {"fp32": 3e12}


def test_what_cannot_be_measured_is_absent_with_the_reason_and_never_zero(take, fake_target, tmp_path):
    fake_target.failures[tmp_path / "bf16"] = (1, BackendError("no such kernel"))
    found = take("fp32", "bf16", missing={"fp16": "no arithmetic"})
    assert found.operations_per_s == {"fp32": 1e12}
    assert found.missing == {"fp16": "no arithmetic", "bf16": "no such kernel"}


def test_what_could_not_be_made_costs_its_own_rate_alone(folder, machine, fake_target, tmp_path):
    made = PeakWorkload("b", "fp32", tmp_path / "b", tmp_path / "x.npz", 10**9)
    workloads = [UnbuiltWorkload("a", "int8", "no scales"), made, UnbuiltWorkload("c", "fp32", "another form of it")]
    said: list[str] = []
    found = measure(machine, 1, VERSIONS, workloads, {}, fake_target, said.append)
    assert found.operations_per_s == {"fp32": 1e12}
    assert found.missing == {"int8": "no scales"}
    assert len(said) == 4  # each a step of the bar's


@pytest.mark.parametrize(
    "changes",
    [{"threads": 2}, {"versions": {"onnxruntime": "1.32.0"}}, {"versions": {**VERSIONS, "openvino": "2026.4"}}],
)
def test_other_threads_and_other_tools_have_peaks_of_their_own(take, machine, changes):
    take("fp32")
    asked = {"threads": 1, "versions": VERSIONS, **changes}
    assert recall(machine, **asked) is None
    assert recall(machine, 1, VERSIONS) is not None


def test_another_machine_has_peaks_of_its_own(take, machine):
    take("fp32")
    others = {"memory_bytes": 32 << 30}, {"caches_bytes": {"L1d": 32768, "L3": 1 << 25}}, {"last_caches": 2}
    for change in ({"cpu": "Other CPU"}, {"cores": 8}, {"isa": ("avx2",)}, {"governor": "powersave"}, *others):
        assert recall(dataclasses.replace(machine, **change), 1, VERSIONS) is None
    assert recall(dataclasses.replace(machine, system="Linux 7.0"), 1, VERSIONS) is not None


def test_another_method_finds_nothing_of_the_old_one(take, machine, monkeypatch):
    take("fp32")
    monkeypatch.setattr(peaks, "_METHOD", peaks._METHOD + 1)
    assert recall(machine, 1, VERSIONS) is None


def test_a_month_later_they_are_forgotten_also_where_they_were_measured_again(take, machine, monkeypatch):
    first = time.time()
    take("fp32", operations=9 * 10**9)
    monkeypatch.setattr(machine_facts.time, "time", lambda: first + 29 * 86_400)
    assert take("fp32").operations_per_s["fp32"] == 9e12
    monkeypatch.setattr(machine_facts.time, "time", lambda: first + 31 * 86_400)
    assert recall(machine, 1, VERSIONS) is None
    assert take("fp32").operations_per_s["fp32"] == 1e12


def test_figures_of_one_thread_are_no_younger_where_more_threads_have_them(take, machine, monkeypatch):
    first = time.time()
    take("fp32", operations=9 * 10**9)
    monkeypatch.setattr(machine_facts.time, "time", lambda: first + 29 * 86_400)
    assert take("fp32", threads=2).operations_per_s["fp32"] == 9e12
    monkeypatch.setattr(machine_facts.time, "time", lambda: first + 31 * 86_400)
    assert recall(machine, 2, VERSIONS) is None


@pytest.mark.parametrize("text", ["", "[]", '{"threads": 1}'])
def test_a_damaged_file_is_none(take, folder, machine, text):
    take("fp32")
    (file,) = (folder / "machine").iterdir()
    file.write_text(text)
    assert recall(machine, 1, VERSIONS) is None


def test_the_probe_of_the_same_machine_is_another_file(take, folder, machine):
    machine_facts.note_probe(machine, 100.0)
    take("fp32")
    assert len(list((folder / "machine").iterdir())) == 2
    assert machine_facts.recall(machine).probe_ns == 100.0
