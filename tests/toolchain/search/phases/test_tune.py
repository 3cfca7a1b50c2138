"""The settings that are tried."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.machine import device_profiles
from toolchain.candidates.candidate import list_candidates
from toolchain.search.phases.tune import other_settings


def test_fewer_threads_by_halves_and_each_option_by_itself():
    (candidate,) = list_candidates(device_profiles.load("rpi5"), ["fp32"], ["onnxruntime"])
    varied = list(other_settings(candidate))
    assert [(one.settings.threads, dict(one.settings.options)) for one in varied] == [
        (2, {}),
        (1, {}),
        (4, {"graph_optimization": "extended"}),
        (4, {"qdq_cleanup": "1"}),
        (4, {"spinning": "0"}),
    ]
    assert {one.recipe for one in varied} == {candidate.recipe}
    assert len({one.name for one in [candidate, *varied]}) == len({candidate, *varied}) == 6


def test_what_a_runtime_was_told_to_compute_in_stays():
    pytest.importorskip("openvino", reason="openvino is not installed")
    (candidate,) = list_candidates(device_profiles.load("x86-64-amx"), ["bf16"], ["openvino"], threads=2)
    assert [dict(one.settings.options) for one in other_settings(candidate)] == [
        {"inference_precision": "bf16"},
        {"inference_precision": "bf16", "cpu_pinning": "0"},
    ]


def test_engines_have_no_threads():
    (candidate,) = list_candidates(device_profiles.load("jetson-orin-nano"), ["fp16"], ["tensorrt"])
    assert candidate.settings.threads > 1
    assert list(other_settings(candidate)) == []


def test_a_runtime_without_settings_has_its_threads_alone(device):
    (candidate,) = list_candidates(device, ["fp32"], ["null"])
    assert list(other_settings(candidate)) == []
    assert (
        len(
            list(
                other_settings(dataclasses.replace(candidate, settings=list_candidates(device, threads=4)[0].settings))
            )
        )
        == 2
    )
