"""Forecast of a latency: a range for a device that is not here. It is no measurement, and meets no budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwbench.forecasts.device_rates import NoForecastError, rates_of
from hwbench.forecasts.held_out_error import HeldOutError
from hwbench.forecasts.kernel_bounds import kernel_bounds
from hwbench.forecasts.observation import Observation
from hwbench.forecasts.runtime_fit import RuntimeFit
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
        fits: what was learnt of each runtime, by its name.
    """

    def __init__(self, profile: HardwareProfile, fits: Mapping[str, RuntimeFit]) -> None:
        self._profile, self._fits = profile, fits
        self._used: dict[str, HeldOutError] = {}

    @property
    def errors(self) -> tuple[HeldOutError, ...]:
        """The errors of the runtimes that something was forecast for."""
        return tuple(self._used.values())

    def forecast(self, artifact: Artifact) -> Forecast:
        """Forecast the latency of an artifact at the shapes that its work was counted with."""
        try:
            low_ms, high_ms = self._range_ms(artifact)
        except NoForecastError as why:
            return Forecast(missing=str(why))
        return Forecast(low_ms, high_ms)

    def _range_ms(self, artifact: Artifact) -> tuple[float, float]:
        profile, runtime, work = self._profile, artifact.runtime, artifact.work
        fitted = self._fits.get(runtime)
        if fitted is None:
            raise NoForecastError(
                f"no device was measured with {runtime}; edgewright profiles learn REPORT learns from one"
            )
        rates = rates_of(profile, artifact.settings.threads)
        if work is None:
            raise NoForecastError("the model's operations were not counted")
        _check_precisions(work)
        bounds = kernel_bounds(work.kernels, rates)
        here = Observation(profile.title, "", "", runtime, rates.threads, rates.clock_ghz, 1.0, bounds)
        middle_ms, error = fitted.efficiencies.latency_ms(here), fitted.error
        self._used[runtime] = error
        if profile.title in error.devices:
            return middle_ms / error.factor, middle_ms * error.factor
        return middle_ms / error.both, middle_ms * error.both * _UNREACHED


def _check_precisions(work: Work) -> None:
    """Check that the kernels were counted in the precisions of the graph, as the runtime here has them.

    Raises:
        NoForecastError: some were not.
    """
    counted = {kernel.precision for kernel in work.kernels if kernel.operations}
    others = sorted(work.operations.keys() - counted)
    if others:
        raise NoForecastError(f"the kernels in {others[0]} cannot be counted on this machine")
