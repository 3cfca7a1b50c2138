"""A GPU's meter, on a driver that is not there and on one that answers as we say."""

from __future__ import annotations

import pytest

pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
nvml = pytest.importorskip("runtimes.meters.nvml")


def without_driver() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return True
    return False


@pytest.mark.skipif(not without_driver(), reason="there is a driver")
def test_without_a_driver_there_is_no_meter() -> None:
    with pytest.raises(LookupError, match="does not report its energy"):
        nvml.open_meters()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A driver of `gpus` GPUs whose counter is at `mj`, or raises where that is negative."""
    state = {"gpus": 1, "mj": 5_000, "mw": 70_000}

    def energy(gpu: object) -> int:
        if state["mj"] < 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return state["mj"]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: state["gpus"])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: f"handle {index}")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: f"handle {uuid}")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", energy)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerUsage", lambda gpu: state["mw"])
    return state


def test_its_counter_is_in_millijoules(driver: dict[str, int]) -> None:
    (meter,) = nvml.open_meters()
    driver["mj"] += 3
    assert (meter.name, meter.drawn_uj()) == ("gpu", 3_000)


def test_one_without_a_counter_tells_its_power(driver: dict[str, int]) -> None:
    driver["mj"] = -1
    (meter,) = nvml.open_meters()
    assert meter._read_uw() == 70_000_000


def test_of_several_the_one_that_runs_must_be_named(driver: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    driver["gpus"] = 4
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(LookupError, match="there are 4 GPUs; name the one to use"):
        nvml.open_meters()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937")
    assert len(nvml.open_meters()) == 1
