"""Forecasts of latency in words: a section of its own, since nothing in it was measured."""

from __future__ import annotations

from hwbench.forecasts.forecast import Forecast
from hwbench.forecasts.held_out_error import WITHIN, HeldOutError
from hwbench.formats.sections.rows import label, show
from hwbench.results.profile_results import ProfileResult
from hwbench.wording import count, some

_NAMED = 3  # devices that a sentence names


def forecasts(result: ProfileResult) -> tuple[tuple[str, str], ...]:
    """Describe each candidate's forecast: "forecast 12.0 to 31.0 ms", or what it lacks."""
    return tuple(
        (label(candidate), _text(candidate.forecast))
        for candidate in result.candidates
        if candidate.forecast is not None
    )


def errors(result: ProfileResult) -> tuple[tuple[str, str], ...]:
    """Describe the error of each runtime's forecasts on what they were not fitted on."""
    return tuple((f"error, {error.runtime}", _error_text(error)) for error in result.forecast_errors)


def _text(forecast: Forecast) -> str:
    if forecast.low_ms is None or forecast.high_ms is None:
        return f"none: {forecast.missing.rstrip('.')}"
    return f"forecast {show('p50', forecast.low_ms)} to {show('p50', forecast.high_ms)} ms, not measured"


def _error_text(error: HeldOutError) -> str:
    share = f"{error.within:.0%} of {count(error.forecasts, 'forecast')} within a factor of {WITHIN:g}"
    models = (
        f"of {count(error.models, 'model')} that they were not fitted on: {share}, nine of ten within "
        f"{error.factor:.1f}, the worst {error.worst:.1f}"
    )
    devices = (
        f"; of a device that they were not fitted on, nine of ten within {error.device_factor:.1f}"
        if error.device_factor is not None
        else "; of another device, the error is not known"
    )
    return f"{models}{devices}; learnt on {some(error.devices, _NAMED, separator='; ')}"
