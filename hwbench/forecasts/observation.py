"""Observation: one artifact's measured latency on one device, beside the bounds of its kernels there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwbench.forecasts.device_rates import NoForecastError, measured_rates, rates_of
from hwbench.forecasts.kernel_bounds import KernelBounds, kernel_bounds
from hwbench.measurements.report import Report
from runtimes.profile import HardwareProfile


@dataclass(frozen=True)
class Observation:
    """A measurement that forecasts learn from.

    Attributes:
        device: the board's title, or the name of the processor.
        candidate: the candidate's name in its build.
        clock_ghz: clock of the device.
        latency_ms: the median latency of one inference at a time.
    """

    device: str
    model: str
    candidate: str
    runtime: str
    threads: int
    clock_ghz: float
    latency_ms: float
    bounds: KernelBounds

    @property
    def identity(self) -> tuple[object, ...]:
        """The parts that a newer observation of the same artifact and device shares, and is known by."""
        return self.device, self.model, self.candidate, self.runtime, self.threads


def observe(report: Report, profile: HardwareProfile) -> Observation:
    """Take an observation from a report of the device itself.

    Args:
        report: the report of one artifact.
        profile: the device's profile. A board is compared with the rates in its profile, as in forecasts for it; other
            profiles describe many processors, so that the report has to hold measured peaks.

    Raises:
        NoForecastError: the report or the profile lacks something; says what.
    """
    latency, work, machine = report.latency, report.artifact.work, report.machine
    if latency is None:
        raise NoForecastError(report.unmeasured.get("latency", "latency was not measured"))
    if latency.scenario != "single_stream":
        raise NoForecastError(f"forecasts are of single_stream, and it is of {latency.scenario}")
    if work is None:
        raise NoForecastError(report.unmeasured.get("work", "the model's operations were not counted"))
    threads = latency.threads or machine.cores
    if profile.board is not None and profile.cpu.peak_gop_per_s:
        rates = rates_of(profile, threads)
    elif report.peaks is not None:
        rates = measured_rates(report.peaks, profile)
    else:
        raise NoForecastError(report.unmeasured.get("peaks", "the machine's peaks were not measured"))
    return Observation(
        profile.title if profile.board is not None else machine.cpu,
        report.model,
        report.candidate,
        report.artifact.runtime,
        threads,
        rates.clock_ghz,
        float(np.median(latency.samples_ms)),
        kernel_bounds(work.kernels, rates),
    )
