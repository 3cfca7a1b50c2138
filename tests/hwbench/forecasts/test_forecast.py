"""The forecast of an artifact: a range, or what it lacks."""

from __future__ import annotations

import dataclasses

import pytest
from forecast_parts import KERNELS, models

from hwbench.forecasts.forecast import Forecaster
from hwbench.forecasts.learnt_devices import known_fits
from hwbench.forecasts.runtime_fit import fit_runtimes
from hwbench.machine import device_profiles
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.bundles.work import KernelWork, Work

PI = device_profiles.load("rpi5")
WORK = Work({"fp32": 3 * 10_000_000, "int8": 2 * 40_000_000}, {}, 0, (), KERNELS)


@pytest.fixture
def artifact_of(make_report):
    artifact = make_report().artifact
    return lambda work=WORK, **changes: dataclasses.replace(artifact, work=work, **changes)


def test_what_ships_gives_a_range_around_the_bound(artifact_of):
    forecaster = Forecaster(PI, known_fits())
    found = forecaster.forecast(artifact_of())
    assert found.missing == ""
    assert 0 < found.low_ms < found.high_ms
    assert [error.runtime for error in forecaster.errors] == ["onnxruntime"]
    more = dataclasses.replace(WORK, kernels=(*KERNELS, KernelWork("convolution", "fp32", 10**9, 10**5, 1)))
    assert forecaster.forecast(artifact_of(more)).low_ms > found.low_ms


def test_a_board_that_was_measured_has_a_narrower_range(artifact_of):
    work = Work({"fp32": 10**9}, {}, 0, (), (KernelWork("convolution", "fp32", 10**9, 10**5, 1),))
    artifact = artifact_of(work)
    known = [*models(), *models(device="another")]
    others, measured = (
        {one.error.runtime: one for one in fit_runtimes(some)} for some in (known, [*known, *models(device=PI.title)])
    )
    without, found = (Forecaster(PI, fits).forecast(artifact) for fits in (others, measured))
    assert found.high_ms / found.low_ms < without.high_ms / without.low_ms
    assert found.high_ms / found.low_ms == pytest.approx(1.5**2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runtime": "tensorrt"}, "no device was measured with tensorrt"),
        ({"work": None}, "were not counted"),
        ({"work": dataclasses.replace(WORK, kernels=())}, "the kernels in fp32 cannot be counted"),
        ({"work": dataclasses.replace(WORK, operations={"fp16": 10, "int8": 20})}, "the kernels in fp16"),
        ({"work": Work({}, {}, 0)}, "the kernels of this model cannot be counted"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_what_a_forecast_lacks_is_told(artifact_of, changes, words):
    found = Forecaster(PI, known_fits()).forecast(artifact_of(**changes))
    assert (found.low_ms, found.high_ms) == (None, None)
    assert words in found.missing


def test_a_profile_without_peaks_is_told(artifact_of):
    bare = dataclasses.replace(PI, cpu=dataclasses.replace(PI.cpu, peak_gop_per_s={}))
    assert Forecaster(bare, known_fits()).forecast(artifact_of()).missing == (
        "the profile rpi5 has no cpu.peak_gop_per_s"
    )


def test_more_threads_than_one_are_the_profile_s(artifact_of):
    forecaster = Forecaster(PI, known_fits())
    heavy = dataclasses.replace(WORK, kernels=(KernelWork("convolution", "int8", 10**10, 10**5, 1),))
    heavy = dataclasses.replace(heavy, operations={"int8": 10**10})
    one, all_four = (forecaster.forecast(artifact_of(heavy, settings=RuntimeSettings(threads))) for threads in (1, 4))
    assert all_four.low_ms < one.low_ms
