"""A GPU's energy, as NVIDIA's driver tells it: a counter since Volta, before that the power."""

from __future__ import annotations

import os
from typing import Any

import pynvml

from runtimes.meters._kinds import Counter, Gauge


def open_meters() -> list[Counter | Gauge]:
    """The meter of the GPU that runs.

    Raises:
        LookupError: there is no driver to ask, the GPU has no meter, or there are several and CUDA_VISIBLE_DEVICES does
            not name one by its UUID (numbers count otherwise in CUDA than here).
    """
    try:
        pynvml.nvmlInit()
        gpu = _gpu()
        return [_meter(gpu)]
    except pynvml.NVMLError as error:
        raise LookupError(f"the GPU does not tell its energy (NVML: {error})") from None


def _gpu() -> Any:
    uuid = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0]
    if uuid.startswith("GPU-"):
        return pynvml.nvmlDeviceGetHandleByUUID(uuid)
    count = pynvml.nvmlDeviceGetCount()
    if count != 1:
        raise LookupError(f"there are {count} GPUs; name the one that runs with CUDA_VISIBLE_DEVICES=GPU-...")
    return pynvml.nvmlDeviceGetHandleByIndex(0)


def _meter(gpu: Any) -> Counter | Gauge:
    try:
        return Counter("gpu", lambda: 1_000 * int(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)))  # mJ
    except pynvml.NVMLError:
        return Gauge("gpu", lambda: 1_000 * int(pynvml.nvmlDeviceGetPowerUsage(gpu)))  # mW
