"""Rates of a device: what it computes and moves per second at most, measured there or from its profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwbench.measurements.peaks import Peaks
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile


class NoForecastError(EdgewrightError):
    """A latency cannot be forecast; the message is the reason, in one clause."""


@dataclass(frozen=True)
class DeviceRates:
    """The most that a device does with a number of threads.

    Attributes:
        operations_per_s: operations of products by precision; a multiply-accumulate is two.
        bytes_per_s: bandwidth of the memory behind the caches.
        is_measured: the rates were measured on the device; otherwise they are its data sheet's.
    """

    threads: int
    operations_per_s: Mapping[str, float]
    bytes_per_s: float
    clock_ghz: float
    is_measured: bool


def rates_of(profile: HardwareProfile, threads: int) -> DeviceRates:
    """Take a device's rates from its profile.

    Args:
        profile: the device.
        threads: threads per inference; 0, the runtime's own choice, counts as the profile's.

    Raises:
        NoForecastError: the profile lacks a figure; says which.
    """
    cpu = profile.cpu
    if not cpu.peak_gop_per_s:
        raise NoForecastError(f"the profile {profile.name} has no cpu.peak_gop_per_s")
    threads = threads or profile.threads
    share = min(1.0, threads / profile.threads)
    rates: dict[str, float] = {precision: rate * 1e9 * share for precision, rate in cpu.peak_gop_per_s.items()}
    return DeviceRates(threads, rates, profile.memory.bandwidth_gb_per_s * 1e9, _clock(profile), is_measured=False)


def measured_rates(peaks: Peaks, profile: HardwareProfile) -> DeviceRates:
    """Take a device's rates from peaks that were measured on it, and its clock from its profile.

    Raises:
        NoForecastError: the profile has no clock, or the memory was not measured.
    """
    if not peaks.memory:
        raise NoForecastError("the bandwidth of the memory was not measured")
    rates, memory = peaks.operations_per_s, peaks.memory[-1].bytes_per_s
    return DeviceRates(peaks.threads, rates, memory, _clock(profile), is_measured=True)


def _clock(profile: HardwareProfile) -> float:
    if profile.cpu.clock_ghz is None:
        raise NoForecastError(f"the profile {profile.name} has no cpu.clock_ghz")
    return profile.cpu.clock_ghz
