"""RAPL's counters in a sysfs of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_sysfs import zone

from runtimes.meters import rapl


def test_packages_are_counted_each_and_what_is_part_of_them_is_not(tmp_path: Path) -> None:
    folders = [zone(tmp_path, str(n), f"package-{n}", 1_000) for n in range(12)]
    zone(tmp_path, "0:0", "core", 500)
    zone(tmp_path, "12", "psys", 9_000)
    meters = rapl.open_meters(tmp_path)
    assert sorted(meter.name for meter in meters) == sorted(f"package-{n}" for n in range(12))
    (folders[3] / "energy_uj").write_text("1700\n")
    assert {meter.name: meter.drawn_uj() for meter in meters}["package-3"] == 700


def test_a_counter_that_turned_over_goes_on(tmp_path: Path) -> None:
    folder = zone(tmp_path, "0", "package-0", 262_143_328_000)
    (meter,) = rapl.open_meters(tmp_path)
    (folder / "energy_uj").write_text("150\n")
    assert meter.drawn_uj() == 1_000


def test_why_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no processor reports its energy"):
        rapl.open_meters(tmp_path)
    folder = zone(tmp_path, "0", "package-0", 1)
    (folder / "energy_uj").write_text("soon\n")
    with pytest.raises(LookupError, match="cannot be read: invalid literal"):
        rapl.open_meters(tmp_path)


def test_counters_that_are_for_root_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "0", "package-0", 1)

    def denied(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(rapl, "number", denied)  # tests may run as root, who reads everything
    with pytest.raises(LookupError, match="only root"):
        rapl.open_meters(tmp_path)
