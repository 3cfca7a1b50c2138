"""Latency forecasts for the candidates of a device that is not here, beside what was measured and apart from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwbench.forecasts.forecast import Forecaster
from hwbench.forecasts.learnt_devices import known_fits
from hwbench.results.profile_results import CandidateResult, ProfileResult
from runtimes.profile import HardwareProfile
from toolchain.devices.device_match import DeviceMatch


def with_forecasts(result: ProfileResult, profile: HardwareProfile, match: DeviceMatch) -> ProfileResult:
    """Add forecasts to a result, if its device is not this machine; statuses and verdicts stay as they are."""
    if match.is_here:
        return result
    forecaster = Forecaster(profile, known_fits())
    candidates = _forecast(result.candidates, forecaster)
    return dataclasses.replace(result, candidates=candidates, forecast_errors=forecaster.errors)


def _forecast(candidates: Sequence[CandidateResult], forecaster: Forecaster) -> tuple[CandidateResult, ...]:
    return tuple(
        dataclasses.replace(one, forecast=forecaster.forecast(one.report.artifact)) if one.report is not None else one
        for one in candidates
    )
