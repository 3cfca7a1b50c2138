"""Forecast of a latency: a range for a device that is not here. It is no measurement, and meets no budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.forecasts.device_rates import NoForecastError, rates_of
from hwbench.forecasts.efficiency_fit import Efficiencies, fit
from hwbench.forecasts.held_out_error import HeldOutError, held_out_error
from hwbench.forecasts.kernel_bounds import kernel_bounds
from hwbench.forecasts.observation import Observation
from runtimes.bundles.manifest import Artifact
from runtimes.bundles.work import Work
from runtimes.profile import HardwareProfile

_UNREACHED = 1.6
"""Times that a latency may be longer because a data sheet's peak is not reached: Linpack reaches 0.8 of it with one
thread of a Raspberry Pi 5, and 0.5 with four (OpenBLAS#4581).
"""


@dataclass(frozen=True)
class Forecast:
    """The range that a median latency is expected in, with a probability of nine in ten.

    Attributes:
        low_ms: lower end of the range; None if there is no forecast.
        high_ms: upper end; None likewise.
        missing: what a forecast lacks; empty if there is one.
    """

    low_ms: float | None = None
    high_ms: float | None = None
    missing: str = ""


class Forecaster:
    """Forecasts for one device, from what was measured on others.

    Args:
        profile: the device.
        observations: all that was measured, on all runtimes.
    """

    def __init__(self, profile: HardwareProfile, observations: Sequence[Observation]) -> None:
        self._profile, self._observations = profile, observations
        self._fitted: dict[str, tuple[Efficiencies, HeldOutError]] = {}

    @property
    def errors(self) -> tuple[HeldOutError, ...]:
        """The errors of the runtimes that something was forecast for."""
        return tuple(error for _, error in self._fitted.values())

    def forecast(self, artifact: Artifact) -> Forecast:
        """Forecast the latency of an artifact at the shapes that its work was counted with."""
        try:
            low_ms, high_ms = self._range_ms(artifact)
        except NoForecastError as why:
            return Forecast(missing=str(why))
        return Forecast(low_ms, high_ms)

    def _range_ms(self, artifact: Artifact) -> tuple[float, float]:
        profile, threads, work = self._profile, artifact.settings.threads, artifact.work
        rates = rates_of(profile, threads)
        efficiencies, error = self._learnt(artifact.runtime)
        if work is None:
            raise NoForecastError("the model's operations were not counted")
        _check_precisions(work)
        bounds = kernel_bounds(work.kernels, rates)
        is_known = profile.title in efficiencies.device_factors
        here = Observation(profile.title, "", "", artifact.runtime, rates.threads, rates.clock_ghz, 1.0, bounds)
        middle_ms = efficiencies.latency_ms(here)
        factor = error.factor if is_known else max(error.factor, error.device_factor or 0.0)
        return middle_ms / factor, middle_ms * factor * (1.0 if is_known else _UNREACHED)

    def _learnt(self, runtime: str) -> tuple[Efficiencies, HeldOutError]:
        if runtime not in self._fitted:
            known = [one for one in self._observations if one.runtime == runtime]
            error = held_out_error(known)
            if error is None:
                raise NoForecastError(
                    f"no device was measured with {runtime}; edgewright profiles learn REPORT learns from one"
                )
            self._fitted[runtime] = fit(known), error
        return self._fitted[runtime]


def _check_precisions(work: Work) -> None:
    """Check that the kernels were counted in the precisions of the graph, as the runtime here has them.

    Raises:
        NoForecastError: some were not.
    """
    counted = {kernel.precision for kernel in work.kernels if kernel.operations}
    others = sorted(work.operations.keys() - counted)
    if others:
        raise NoForecastError(f"the kernels in {others[0]} cannot be counted on this machine")
