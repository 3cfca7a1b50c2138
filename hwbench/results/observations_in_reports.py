"""Observations in reports: what forecasts can learn from a report.json that a device wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwbench.forecasts.device_rates import NoForecastError
from hwbench.forecasts.observation import Observation, observe
from hwbench.machine import device_profiles
from hwbench.results import profile_results
from hwbench.results.profile_results import ProfileResult
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile


@dataclass(frozen=True)
class ReportedObservations:
    """The observations of a report.

    Attributes:
        reasons: why candidates of it teach nothing, one clause for each reason.
    """

    observations: tuple[Observation, ...]
    reasons: tuple[str, ...]


def read_observations(report: Path, profile: HardwareProfile | None = None) -> ReportedObservations:
    """Read the observations in a report.json.

    Args:
        report: the file, of a build, a measurement or a gate.
        profile: the device's profile; None to load those that the report names.

    Raises:
        UsageError: the file is no report, or names a profile that does not ship.
    """
    try:
        text = report.read_bytes()
    except OSError as error:
        raise UsageError(f"'{report}' cannot be read: {error.strerror}.") from None
    found: list[Observation] = []
    reasons: dict[str, None] = {}
    for result in profile_results.from_json(text, str(report)).profiles:
        device = profile or _named(result)
        for candidate in result.candidates:
            if candidate.report is None:
                continue
            try:
                found.append(observe(candidate.report, device))
            except NoForecastError as why:
                reasons[str(why).rstrip(".")] = None
    return ReportedObservations(tuple(found), tuple(reasons))


def _named(result: ProfileResult) -> HardwareProfile:
    if result.profile not in device_profiles.names():
        raise UsageError(f"'{result.profile}' is no profile that ships; give its file, as in --profile my-board.toml.")
    return device_profiles.load(result.profile)
