"""Energy of a GPU from NVIDIA's driver: a counter of energy since Volta, and a gauge of power on older GPUs."""

from __future__ import annotations

import os
from typing import Any

import pynvml

from runtimes.meters._kinds import Counter, Gauge


def open_meters() -> list[Counter | Gauge]:
    """Open the meter of the GPU that CUDA uses.

    Raises:
        LookupError: there is no driver, the GPU has no meter, or there are several GPUs and CUDA_VISIBLE_DEVICES does
            not name one by its UUID. A number would not do, since CUDA and NVML number GPUs differently.
    """
    try:
        pynvml.nvmlInit()
        gpu = _gpu()
        return [_meter(gpu)]
    except pynvml.NVMLError as error:
        raise LookupError(f"the GPU does not report its energy (NVML: {error})") from None


def _gpu() -> Any:
    uuid = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0]
    if uuid.startswith("GPU-"):
        return pynvml.nvmlDeviceGetHandleByUUID(uuid)
    count = pynvml.nvmlDeviceGetCount()
    if count != 1:
        raise LookupError(f"there are {count} GPUs; name the one to use with CUDA_VISIBLE_DEVICES=GPU-...")
    return pynvml.nvmlDeviceGetHandleByIndex(0)


def _meter(gpu: Any) -> Counter | Gauge:
    try:
        return Counter("gpu", lambda: 1_000 * int(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)))  # mJ
    except pynvml.NVMLError:
        return Gauge("gpu", lambda: 1_000 * int(pynvml.nvmlDeviceGetPowerUsage(gpu)))  # mW
