"""State of a GPU as its driver reports it through NVML: clocks, power, temperature and memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pynvml

from hwbench.machine.gpu_timing import GpuState


@contextlib.contextmanager
def state_reader(index: int = 0) -> Iterator[Callable[[], GpuState | None]]:
    """Open a GPU for reading its state.

    Args:
        index: NVML's number of the GPU, which follows PCI addresses; CUDA's may differ unless
            CUDA_DEVICE_ORDER=PCI_BUS_ID.

    Yields:
        A function that reads the state; it returns None without a driver or such a GPU.
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


def _read(handle: Any) -> GpuState:
    milliwatts = _ask(pynvml.nvmlDeviceGetPowerUsage, handle)
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    reasons = _ask(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    harmless = pynvml.nvmlClocksThrottleReasonGpuIdle | pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting
    return GpuState(
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
    except pynvml.NVMLError:  # some boards leave some questions unanswered
        return None
