"""Meters' files, as Linux shows them, in a folder of a test's own."""

from __future__ import annotations

from pathlib import Path

ORIN_NANO = [("VDD_IN", 5_064, 1_000), ("VDD_CPU_GPU_CV", 5_064, 160), ("VDD_SOC", 5_064, 288)]
AGX_ORIN = [
    [("VDD_GPU_SOC", 20_000, 200), ("VDD_CPU_CV", 20_000, 100), ("VIN_SYS_5V0", 5_000, 800)],
    [("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 5_000, 100), ("NC", 0, 0)],
]


def zone(sys: Path, number: str, name: str, energy_uj: int) -> Path:
    """One of RAPL's zones."""
    folder = sys / "class/powercap" / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    return folder


def chip(sys: Path, number: int, rails: list[tuple[str, int, int]], name: str = "ina3221") -> Path:
    """A power monitor: its rails' names, mV and mA, and the channel that every INA3221 has beside."""
    folder = sys / "class/hwmon" / f"hwmon{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    for channel, (label, mv, ma) in enumerate(rails, 1):
        (folder / f"in{channel}_label").write_text(f"{label}\n")
        (folder / f"in{channel}_input").write_text(f"{mv}\n")
        (folder / f"curr{channel}_input").write_text(f"{ma}\n")
    (folder / "in7_label").write_text("sum of shunt voltages\n")
    (folder / "in7_input").write_text("760\n")
    return folder
