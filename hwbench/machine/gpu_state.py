"""A GPU's clocks, power, temperature and memory, as its driver tells them through NVML."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pynvml

from hwbench.machine.gpu_timing import Condition


@contextlib.contextmanager
def probe(index: int = 0) -> Iterator[Callable[[], Condition | None]]:
    """A function that reads a GPU; it returns None where there is no driver to ask, or no such GPU.

    Args:
        index: NVML's, which counts by PCI address; CUDA may count otherwise, unless CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield lambda: None
        return
    try:
        handle = _ask(pynvml.nvmlDeviceGetHandleByIndex, index)
        yield lambda: None if handle is None else _read(handle)
    finally:
        pynvml.nvmlShutdown()


def _read(handle: Any) -> Condition:
    milliwatts = _ask(pynvml.nvmlDeviceGetPowerUsage, handle)
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    reasons = _ask(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    harmless = pynvml.nvmlClocksThrottleReasonGpuIdle | pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting
    return Condition(
        sm_clock_mhz=_ask(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
        memory_clock_mhz=_ask(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_MEM),
        power_w=None if milliwatts is None else milliwatts / 1000,
        temperature_c=_ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        memory_used_bytes=None if memory is None else int(memory.used),
        throttled=None if reasons is None else bool(reasons & ~harmless),
    )


def _ask(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except pynvml.NVMLError:  # not every board answers every question
        return None
