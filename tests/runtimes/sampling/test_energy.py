"""Sums over energy meters, and reasons for a missing figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_sysfs import ORIN_NANO, chip, zone

from runtimes import plugins
from runtimes.meters._kinds import Counter
from runtimes.sampling.energy import Energy


class Nvml:
    """In the place of `runtimes.meters.nvml`."""

    @staticmethod
    def open_meters() -> list[Counter]:
        readings = iter([0, 250])
        return [Counter("gpu", lambda: next(readings))]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "load", lambda package, name, kind: Nvml)


def test_a_processor_counts_for_itself(tmp_path: Path) -> None:
    folder = zone(tmp_path, "0", "package-0", 100)
    energy = Energy(sys=tmp_path)
    (folder / "energy_uj").write_text("170")
    energy.tick()
    assert (energy.drawn_uj(), energy.missing) == ({"package-0": 70}, None)


@pytest.mark.usefixtures("gpu")
def test_a_model_on_a_gpu_draws_from_both(tmp_path: Path) -> None:
    zone(tmp_path, "0", "package-0", 100)
    assert Energy(on_gpu=True, sys=tmp_path).drawn_uj() == {"package-0": 0, "gpu": 250}


def test_without_the_gpus_meter_a_model_on_it_has_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "0", "package-0", 100)

    def no_meters() -> list[Counter]:
        raise LookupError("the GPU does not tell")

    monkeypatch.setattr(Nvml, "open_meters", no_meters)
    monkeypatch.setattr(plugins, "load", lambda package, name, kind: Nvml)
    energy = Energy(on_gpu=True, sys=tmp_path)
    assert (energy.drawn_uj(), energy.missing) == ({}, "the GPU does not tell")


def test_a_module_is_metered_at_its_input_whatever_runs(tmp_path: Path) -> None:
    chip(tmp_path, 0, ORIN_NANO)
    zone(tmp_path, "0", "package-0", 100)
    assert list(Energy(on_gpu=True, sys=tmp_path).drawn_uj()) == ["VDD_IN"]


def test_a_machine_without_meters_says_so(tmp_path: Path) -> None:
    energy = Energy(sys=tmp_path)
    energy.tick()
    assert energy.drawn_uj() == {}
    assert energy.missing == "no processor reports its energy (RAPL), and no power monitor (INA3221)"


def test_a_meter_that_fails_meanwhile_leaves_no_figure(tmp_path: Path) -> None:
    folder = zone(tmp_path, "0", "package-0", 100)
    energy = Energy(sys=tmp_path)
    (folder / "energy_uj").unlink()
    assert energy.drawn_uj() == {}
    assert energy.missing is not None
    assert energy.missing.startswith("a meter failed: ")
