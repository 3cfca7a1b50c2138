"""The benchmark of forecasts: what it takes from the table of another machine, and what it prints of what ships."""

from __future__ import annotations

from pathlib import Path

from benchmarks import forecast
from hwbench.forecasts import learnt_devices


def test_medians_of_the_quiet_machine_are_read_by_threads():
    assert list(forecast._recorded("efficientnet", "fp32 (onnxruntime)")) == [(1, 3.96), (2, 2.911)]
    assert list(forecast._recorded("silero", "fp32 (openvino)")) == []  # it failed there
    assert list(forecast._recorded("resnet18", "fp32 (onnxruntime)")) == []  # it was not measured there


def test_what_ships_has_both_machines():
    devices = {one.device for one in learnt_devices.shipped().observations}
    assert forecast._OTHER in devices
    assert len(devices) == 2


def test_the_committed_table_is_of_what_ships():
    text = Path(forecast.__file__).with_name("results").joinpath("forecast.txt").read_text("utf-8")
    for one in learnt_devices.shipped().fits:
        assert f"{one.error.models} models, {one.error.forecasts} forecasts: {one.error.within:.0%} within" in text
        assert f"nine of ten within {one.error.factor:.2f}; the worst {one.error.worst:.2f}" in text
