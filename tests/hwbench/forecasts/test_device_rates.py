"""The rates of a device: from its profile, or from its peaks."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.forecasts.device_rates import NoForecastError, measured_rates, rates_of
from hwbench.machine import device_profiles
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Peaks

PI = device_profiles.load("rpi5")


def test_a_profile_s_rates_are_of_all_its_threads_and_fewer_reach_a_part():
    rates = rates_of(PI, 0)
    assert (rates.threads, rates.operations_per_s["fp32"]) == (4, 153.6e9)
    assert rates.bytes_per_s == pytest.approx(17.1e9)
    assert (rates.clock_ghz, rates.is_measured) == (2.4, False)
    assert rates_of(PI, 1).operations_per_s["int8"] == pytest.approx(614.4e9 / 4)
    assert rates_of(PI, 8).operations_per_s["fp32"] == 153.6e9


@pytest.mark.parametrize(
    ("changes", "words"), [({"peak_gop_per_s": {}}, "no cpu.peak_gop_per_s"), ({"clock_ghz": None}, "no cpu.clock_ghz")]
)
def test_what_a_profile_lacks_is_named(changes, words):
    with pytest.raises(NoForecastError, match=words):
        rates_of(dataclasses.replace(PI, cpu=dataclasses.replace(PI.cpu, **changes)), 4)


def test_measured_peaks_count_with_the_memory_behind_the_caches():
    peaks = Peaks(2, {"fp32": 5e10}, (Bandwidth(1 << 20, 9e10), Bandwidth(1 << 27, 1e10)), {})
    rates = measured_rates(peaks, PI)
    assert (rates.threads, rates.operations_per_s, rates.bytes_per_s) == (2, {"fp32": 5e10}, 1e10)
    assert rates.is_measured
    with pytest.raises(NoForecastError, match="bandwidth"):
        measured_rates(dataclasses.replace(peaks, memory=()), PI)
