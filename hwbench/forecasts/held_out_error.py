"""Error of forecasts for models and devices that they were not fitted on: each is left out in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwbench.forecasts.device_rates import NoForecastError
from hwbench.forecasts.efficiency_fit import fit
from hwbench.forecasts.observation import Observation

WITHIN = 1.5
"""Factor that forecasts aim at: nine of ten models that were not fitted on."""
_COVERED = 0.9


@dataclass(frozen=True)
class HeldOutForecast:
    """A forecast for an observation that it was not fitted on.

    Attributes:
        forecast_ms: the middle of the range.
    """

    observation: Observation
    forecast_ms: float

    @property
    def factor(self) -> float:
        """The ratio of the two, 1 at least."""
        ratio = self.forecast_ms / self.observation.latency_ms
        return max(ratio, 1 / ratio)


@dataclass(frozen=True)
class HeldOutError:
    """The error of one runtime's forecasts.

    Attributes:
        runtime: the runtime.
        models: number of models that were left out, one after another, with all that was measured of them.
        forecasts: number of latencies that were forecast so.
        within: share of these within a factor of 1.5.
        factor: the factor that nine of ten are within, 1.5 at least.
        worst: the factor of the worst.
        devices: the devices that were measured.
        device_factor: the factor that nine of ten are within where a whole device is left out, and the models were
            measured on others; None with one device.
    """

    runtime: str
    models: int
    forecasts: int
    within: float
    factor: float
    worst: float
    devices: tuple[str, ...]
    device_factor: float | None = None

    @property
    def both(self) -> float:
        """The factor for a model and a device that were not fitted on: both errors, as if they were independent."""
        return math.exp(math.hypot(math.log(self.factor), math.log(self.device_factor or 1.0)))


def held_out_error(observations: Sequence[Observation]) -> HeldOutError | None:
    """Compute the error of one runtime's forecasts; None if there are too few models to leave one out."""
    by_model = hold_out(observations, lambda one: one.model)
    if not by_model:
        return None
    by_device = [one.factor for one in hold_out_devices(observations)]
    factors = [one.factor for one in by_model]
    return HeldOutError(
        observations[0].runtime,
        len({one.observation.model for one in by_model}),
        len(factors),
        sum(factor <= WITHIN for factor in factors) / len(factors),
        max(WITHIN, _covering(factors)),
        max(factors),
        tuple(sorted({one.device for one in observations})),
        _covering(by_device) if by_device else None,
    )


def hold_out(observations: Sequence[Observation], part: Callable[[Observation], str]) -> list[HeldOutForecast]:
    """Forecast each observation by the others of another model or device; those that cannot be forecast are left out.

    Args:
        observations: all of one runtime.
        part: what is left out together with an observation: all of its model, or all of its device.
    """
    found = []
    for name in dict.fromkeys(map(part, observations)):
        others = [one for one in observations if part(one) != name]
        if not others:
            continue
        fitted = fit(others)
        for one in observations:
            if part(one) == name:
                try:
                    found.append(HeldOutForecast(one, fitted.latency_ms(one)))
                except NoForecastError:
                    continue
    return found


def hold_out_devices(observations: Sequence[Observation]) -> list[HeldOutForecast]:
    """Forecast each device by the others, for the models that others measured: the error of the device alone."""
    known = {(one.model, one.device) for one in observations}
    found = hold_out(observations, lambda one: one.device)
    return [
        each
        for each in found
        if any(model == each.observation.model and device != each.observation.device for model, device in known)
    ]


def _covering(factors: Sequence[float]) -> float:
    """Find the factor that covers nine of ten, and one more like them with that probability.

    It is the quantile of split conformal prediction (Vovk, Gammerman and Shafer, 2005, Algorithmic Learning in a
    Random World).
    """
    rank = min(math.ceil(_COVERED * (len(factors) + 1)), len(factors))
    return sorted(factors)[rank - 1]
