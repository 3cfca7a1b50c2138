"""A Jetson's power monitors, as their boards' hwmon folders show them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_sysfs import AGX_ORIN, ORIN_NANO, chip

from runtimes.meters import ina3221


def test_a_module_with_a_rail_at_its_input_is_metered_there(tmp_path: Path) -> None:
    chip(tmp_path, 0, [("VDD_IN", 1, 1)], name="nct1008")  # a label on another kind of chip
    chip(tmp_path, 1, ORIN_NANO)
    (meter,) = ina3221.open_meters(tmp_path)
    assert meter.name == "VDD_IN"
    assert meter._read_uw() == 5_064_000


def test_where_there_is_none_the_rails_are_added_up(tmp_path: Path) -> None:
    for number, rails in enumerate(AGX_ORIN):
        chip(tmp_path, number, rails)
    (meter,) = ina3221.open_meters(tmp_path)
    assert meter.name == "VDDQ_VDD2_1V8AO+VDD_CPU_CV+VDD_GPU_SOC+VIN_SYS_5V0"
    assert meter._read_uw() == (20 * 200 + 20 * 100 + 5 * 800 + 5 * 100) * 1_000


def test_why_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no power monitor"):
        ina3221.open_meters(tmp_path)
    (chip(tmp_path, 0, ORIN_NANO) / "in1_input").write_text("")
    with pytest.raises(LookupError, match="cannot be read"):
        ina3221.open_meters(tmp_path)
