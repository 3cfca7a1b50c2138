"""Kernels and observations for tests of forecasts."""

from __future__ import annotations

from hwbench.forecasts.device_rates import DeviceRates
from hwbench.forecasts.kernel_bounds import KernelBounds, kernel_bounds
from hwbench.forecasts.observation import Observation
from runtimes.bundles.work import KernelWork

KERNELS = (
    KernelWork("convolution", "fp32", 10_000_000, 100_000, 3),
    KernelWork("convolution", "int8", 40_000_000, 100_000, 2),
    KernelWork("elementwise", "fp32", 0, 500_000, 4),
)
RATES = DeviceRates(1, {"fp32": 1e11, "int8": 4e11}, 1e10, 2.0, is_measured=True)


def observation(
    latency_ms: float = 1.0,
    bounds: KernelBounds | None = None,
    *,
    model: str = "net",
    device: str = "a board",
    runtime: str = "onnxruntime",
    threads: int = 1,
) -> Observation:
    """An observation at 2 GHz."""
    bounds = bounds or kernel_bounds(KERNELS, RATES)
    return Observation(device, model, "fp32 (onnxruntime)", runtime, threads, 2.0, latency_ms, bounds)


def models(count: int = 12, *, device: str = "a board", slower: float = 1.0) -> list[Observation]:
    """Observations of models whose convolutions reach 0.8 of their bound, elementwise kernels 0.4, without starts."""
    found = []
    for number in range(1, count + 1):
        products, others = float(number), 3.0 / number
        bounds = KernelBounds({"convolution, fp32": products, "elementwise": others}, 1, 1)
        latency_ms = slower * (products / 0.8 + others / 0.4)
        found.append(observation(latency_ms, bounds, model=f"net{number}", device=device))
    return found
