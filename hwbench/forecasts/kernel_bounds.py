"""Bounds of kernels: the least time that a device's rates allow, summed by the class of the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwbench.forecasts.device_rates import DeviceRates, NoForecastError
from runtimes.bundles.work import KernelWork


@dataclass(frozen=True)
class KernelBounds:
    """The bounds of one inference on one device.

    Attributes:
        ms: the sum of the kernels' rooflines in ms, by class, such as "convolution, int8".
        products: number of kernels that compute products.
        others: number of other kernels.
    """

    ms: Mapping[str, float]
    products: int
    others: int


def kernel_bounds(kernels: Sequence[KernelWork], rates: DeviceRates) -> KernelBounds:
    """Compute the roofline of each kernel (Williams, Waterman and Patterson, 2009), and sum them by class.

    Raises:
        NoForecastError: the kernels were not counted, or the device has no rate in a precision.
    """
    if not kernels:
        raise NoForecastError("the kernels of this model cannot be counted")
    found: dict[str, float] = {}
    for kernel in kernels:
        seconds = kernel.bytes / rates.bytes_per_s
        if kernel.operations:
            rate = rates.operations_per_s.get(kernel.precision)
            if rate is None:
                raise NoForecastError(f"the device has no peak in {kernel.precision}")
            seconds = max(seconds, kernel.operations / rate)
        name = class_of(kernel)
        found[name] = found.get(name, 0.0) + kernel.count * seconds * 1e3
    products = sum(kernel.count for kernel in kernels if kernel.operations)
    return KernelBounds(dict(sorted(found.items())), products, sum(kernel.count for kernel in kernels) - products)


def class_of(kernel: KernelWork) -> str:
    """Name the class whose kernels reach about the same share of their roofline."""
    return f"{kernel.kind}, {kernel.precision}" if kernel.operations else kernel.kind
