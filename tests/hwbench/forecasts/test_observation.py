"""What one report teaches."""

from __future__ import annotations

import dataclasses

import pytest
from forecast_parts import KERNELS

from hwbench.forecasts.device_rates import NoForecastError
from hwbench.forecasts.observation import observe
from hwbench.machine import device_profiles
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Peaks
from runtimes.bundles.work import Work

PI, SERVER = device_profiles.load("rpi5"), device_profiles.load("x86-64-v4-vnni")
PEAKS = Peaks(2, {"fp32": 1e11, "int8": 4e11}, (Bandwidth(1 << 27, 1e10),), {})


@pytest.fixture
def report(make_report, make_latency):
    found = make_report(latency=make_latency(median_ms=10, runs=400))
    work = Work({"fp32": 1, "int8": 1}, {}, 0, (), KERNELS)
    return dataclasses.replace(found, artifact=dataclasses.replace(found.artifact, work=work))


def test_a_board_is_compared_with_its_profile_and_other_machines_with_their_peaks(report):
    board = observe(report, PI)
    assert (board.device, board.clock_ghz) == (PI.title, 2.4)
    assert board.latency_ms == pytest.approx(10, rel=0.05)
    assert board.bounds.products == 5
    server = observe(dataclasses.replace(report, peaks=PEAKS), SERVER)
    assert server.device == report.machine.cpu
    assert server.bounds.ms["elementwise"] == pytest.approx(4 * 0.05)


def test_what_a_report_lacks_is_told(report):
    with pytest.raises(NoForecastError, match="peaks were not measured"):
        observe(report, SERVER)
    with pytest.raises(NoForecastError, match="this machine does not fit"):
        observe(dataclasses.replace(report, latency=None, unmeasured={"latency": "this machine does not fit it"}), PI)
    bare = dataclasses.replace(report, artifact=dataclasses.replace(report.artifact, work=None))
    with pytest.raises(NoForecastError, match="operations were not counted"):
        observe(bare, PI)
    served = dataclasses.replace(report, latency=dataclasses.replace(report.latency, scenario="offline"))
    with pytest.raises(NoForecastError, match="single_stream, and it is of offline"):
        observe(served, PI)
