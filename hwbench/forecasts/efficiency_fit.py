"""Fit of efficiencies: the share of its roofline that each class of kernels reaches on a runtime.

A latency is the sum of the kernels' bounds, each over its class's efficiency, and of a time to start each kernel. The
parameters are found by a robust regression on the logarithm of the latency, so that each observation counts by its
relative error, with Huber's loss (Huber, 1964, Robust Estimation of a Location Parameter), which keeps an odd
measurement from deciding. A ridge (Hoerl and Kennard, 1970) draws the precisions of one kind of kernel to each other,
and all kinds to a common value, so that what few models tell about stays near what others do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from hwbench.forecasts.device_rates import NoForecastError
from hwbench.forecasts.observation import Observation
from runtimes.tensors import Array

_NOISE = 0.15  # relative error up to which Huber's loss is quadratic
# Where the ridge draws the parameters to, and the spread of their logarithms around it.
_EFFICIENCY, _EFFICIENCY_SPREAD, _PRECISION_SPREAD = 0.5, 1.5, 0.4
_CYCLES, _CYCLES_SPREAD = 5e3, 1.5
_THREAD_LOSS, _THREAD_LOSS_SPREAD = 0.3, 1.0
_DEVICE_SPREAD = 0.3
_NEEDED_SHARE = 0.1  # a class that takes more of the bound than this has to be among the observations


@dataclass(frozen=True)
class Efficiencies:
    """The shares of its rooflines that one runtime reaches.

    Attributes:
        shares: the share of the roofline that each class of kernels reaches with one thread.
        product_cycles: clock cycles that it takes to start a kernel that computes products.
        thread_cycles: further cycles for each further thread.
        other_cycles: clock cycles that it takes to start another kernel.
        thread_loss: exponent of the number of threads by which the shares fall.
        device_factors: how much slower each measured device is than these say; empty with one device.
    """

    shares: Mapping[str, float]
    product_cycles: float
    thread_cycles: float
    other_cycles: float
    thread_loss: float
    device_factors: Mapping[str, float]

    def latency_ms(self, one: Observation) -> float:
        """Compute the latency of what an observation describes; its measured latency is not looked at.

        Raises:
            NoForecastError: no observation had one of its classes.
        """
        bounds, total = one.bounds, sum(one.bounds.ms.values())
        unknown = [name for name, ms in bounds.ms.items() if name not in self.shares and ms > _NEEDED_SHARE * total]
        if unknown:
            raise NoForecastError(f"no device was measured with {unknown[0]} on {one.runtime}")
        common = float(np.median(list(self.shares.values())))
        work = sum(ms / self.shares.get(name, common) for name, ms in bounds.ms.items())
        cycles = bounds.products * (self.product_cycles + self.thread_cycles * (one.threads - 1))
        cycles += bounds.others * self.other_cycles
        ms = work * one.threads**self.thread_loss + cycles / (one.clock_ghz * 1e6)
        return float(ms * self.device_factors.get(one.device, 1.0))


def fit(observations: Sequence[Observation]) -> Efficiencies:
    """Fit the efficiencies of one runtime.

    Args:
        observations: at least one, all of the same runtime.
    """
    problem = _Problem(observations)
    found = least_squares(problem.residuals, problem.common, loss="huber", f_scale=_NOISE)
    return problem.efficiencies(found.x)


class _Problem:
    """The regression. Its parameters are logarithms of slowness by class, of three numbers of cycles, and of devices'
    factors, and between the last two the loss by threads.
    """

    def __init__(self, observations: Sequence[Observation]) -> None:
        self._classes = sorted({name for one in observations for name in one.bounds.ms})
        devices = sorted({one.device for one in observations})
        # The factor of an only device could not be told from the efficiencies.
        self._devices = devices if len(devices) > 1 else []
        self._bounds = np.array([[one.bounds.ms.get(name, 0.0) for name in self._classes] for one in observations])
        starts = [
            (one.bounds.products, one.bounds.products * (one.threads - 1), one.bounds.others) for one in observations
        ]
        self._starts = np.array(starts) / np.array([[one.clock_ghz * 1e6] for one in observations])
        self._threads = np.array([float(one.threads) for one in observations])
        self._device = np.array([[float(one.device == name) for name in self._devices] for one in observations])
        self._measured = np.log([one.latency_ms for one in observations])
        kinds = [name.partition(",")[0] for name in self._classes]
        # Each row takes the mean of a class's kind from the class.
        same = np.array([[float(one == other) for other in kinds] for one in kinds])
        self._apart = np.eye(len(kinds)) - same / same.sum(axis=1, keepdims=True)
        n = len(self._classes)
        self.common = np.array(
            [-math.log(_EFFICIENCY)] * n + [math.log(_CYCLES)] * 3 + [_THREAD_LOSS] + [0.0] * len(self._devices)
        )
        spreads = [_EFFICIENCY_SPREAD] * n + [_CYCLES_SPREAD] * 3 + [_THREAD_LOSS_SPREAD]
        self._spread = np.array(spreads + [_DEVICE_SPREAD] * len(self._devices))

    def residuals(self, x: Array) -> Array:
        n = len(self._classes)
        work = (self._bounds @ np.exp(x[:n])) * self._threads ** x[n + 3]
        starts = self._starts @ np.exp(x[n : n + 3])
        forecast = np.log(work + starts) + self._device @ x[n + 4 :]
        ridge = _NOISE * (x - self.common) / self._spread
        return np.concatenate([forecast - self._measured, ridge, _NOISE / _PRECISION_SPREAD * (self._apart @ x[:n])])

    def efficiencies(self, x: Array) -> Efficiencies:
        n = len(self._classes)
        shares = {name: math.exp(-value) for name, value in zip(self._classes, x[:n])}
        factors = {name: math.exp(value) for name, value in zip(self._devices, x[n + 4 :])}
        product, thread, other = (math.exp(value) for value in x[n : n + 3])
        return Efficiencies(shares, product, thread, other, float(x[n + 3]), factors)
