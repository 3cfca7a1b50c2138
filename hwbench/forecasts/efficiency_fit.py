"""Fit of efficiencies: the share of its roofline that each class of kernels reaches on a runtime.

A latency is the sum of the kernels' bounds, each over its class's efficiency, and of a time to start each kernel. The
parameters are found by a robust regression on the logarithm of the latency, so that each observation counts by its
relative error, with Huber's loss (Huber, 1964, Robust Estimation of a Location Parameter), which keeps an odd
measurement from deciding. A ridge (Hoerl and Kennard, 1970) holds classes that few models have near a common value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from hwbench.forecasts.device_rates import NoForecastError
from hwbench.forecasts.observation import Observation
from runtimes.tensors import Array

_COMMON_EFFICIENCY, _COMMON_CYCLES, _COMMON_LOSS = 0.5, 5e3, 0.3  # where the ridge draws the parameters to
_SPREAD = 1.0  # of the logarithm of efficiencies and cycles around these, about a factor of three
_DEVICE_SPREAD = 0.3  # of the logarithm of a device's own factor
_NOISE = 0.15  # relative error up to which Huber's loss is quadratic
_NEEDED_SHARE = 0.1  # a class that takes more of the bound than this has to be among the observations


@dataclass(frozen=True)
class Efficiencies:
    """What one runtime reaches.

    Attributes:
        shares: the share of the roofline that each class of kernels reaches with one thread.
        start_cycles: clock cycles that it takes to start a kernel.
        thread_loss: exponent of the number of threads by which the shares fall.
        device_factors: how much slower each measured device is than these say; empty with one device.
    """

    runtime: str
    shares: dict[str, float]
    start_cycles: float
    thread_loss: float
    device_factors: dict[str, float]

    def latency_ms(self, one: Observation) -> float:
        """Compute the latency of what an observation describes; its measured latency is not looked at.

        Raises:
            NoForecastError: no observation had one of its classes.
        """
        total = sum(one.bounds.ms.values())
        unknown = [name for name, ms in one.bounds.ms.items() if name not in self.shares and ms > _NEEDED_SHARE * total]
        if unknown:
            raise NoForecastError(f"no device was measured with {unknown[0]} on {self.runtime}")
        common = float(np.median(list(self.shares.values())))
        work = sum(ms / self.shares.get(name, common) for name, ms in one.bounds.ms.items())
        start = one.bounds.kernels * self.start_cycles / (one.clock_ghz * 1e6)
        factor = self.device_factors.get(one.device, 1.0)
        return float(factor * (work * one.threads**self.thread_loss + start))


def fit(observations: Sequence[Observation]) -> Efficiencies:
    """Fit the efficiencies of one runtime.

    Args:
        observations: at least one, all of the same runtime.
    """
    problem = _Problem(observations)
    found = least_squares(problem.residuals, problem.common, loss="huber", f_scale=_NOISE)
    return problem.efficiencies(found.x)


class _Problem:
    """The regression: parameters are logarithms, then the loss by threads, then the logarithms of devices' factors."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self._runtime = observations[0].runtime
        self._classes = sorted({name for one in observations for name in one.bounds.ms})
        self._devices = sorted({one.device for one in observations})
        if len(self._devices) == 1:
            self._devices = []  # a factor of the only device could not be told from the efficiencies
        self._bounds = np.array([[one.bounds.ms.get(name, 0.0) for name in self._classes] for one in observations])
        self._starts = np.array([one.bounds.kernels / (one.clock_ghz * 1e6) for one in observations])
        self._threads = np.array([float(one.threads) for one in observations])
        self._device = np.array([[float(one.device == name) for name in self._devices] for one in observations])
        self._measured = np.log([one.latency_ms for one in observations])
        n = len(self._classes)
        self.common = np.array(
            [-math.log(_COMMON_EFFICIENCY)] * n + [math.log(_COMMON_CYCLES), _COMMON_LOSS] + [0.0] * len(self._devices)
        )
        self._spread = np.array([_SPREAD] * (n + 2) + [_DEVICE_SPREAD] * len(self._devices))

    def residuals(self, x: Array) -> Array:
        n = len(self._classes)
        work = (self._bounds @ np.exp(x[:n])) * self._threads ** x[n + 1]
        forecast = np.log(work + self._starts * math.exp(x[n])) + self._device @ x[n + 2 :]
        return np.concatenate([forecast - self._measured, _NOISE * (x - self.common) / self._spread])

    def efficiencies(self, x: Array) -> Efficiencies:
        n = len(self._classes)
        shares = {name: math.exp(-value) for name, value in zip(self._classes, x[:n])}
        factors = {name: math.exp(value) for name, value in zip(self._devices, x[n + 2 :])}
        return Efficiencies(self._runtime, shares, math.exp(x[n]), float(x[n + 1]), factors)
