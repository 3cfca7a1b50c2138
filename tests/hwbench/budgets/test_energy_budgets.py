"""Energy budgets that no meter can judge. What Energy finds on a machine is its own tests'; here one is or is not."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.budgets import energy_budgets
from hwbench.budgets.budget import parse_all
from runtimes.sampling.energy import Energy

LIMITS = parse_all(["p90<=1ms", "energy<=5mJ"])


@pytest.fixture
def machine_with(machine, monkeypatch, tmp_path):
    """A machine's description, with sysfs as these tests leave it, and with or without a GPU."""
    monkeypatch.setattr(energy_budgets, "Energy", lambda on_gpu: Energy(on_gpu=on_gpu, sys=tmp_path))

    def make(*gpus):
        monkeypatch.setattr(energy_budgets, "this_machine", lambda: made)
        return (made := dataclasses.replace(machine, gpus=gpus))

    return make


def test_of_another_machine_there_is_nothing_to_say(machine_with):
    here = machine_with()
    assert energy_budgets.unmetered_budgets(LIMITS, dataclasses.replace(here, cpu="another")) == ()


def test_without_a_meter_it_says_so_once_with_the_reason(machine_with):
    (said,) = energy_budgets.unmetered_budgets(LIMITS, machine_with())
    assert said.startswith("Budget energy<=5mJ cannot be judged on this machine: no processor reports its energy")


def test_a_meter_judges(machine_with, tmp_path):
    zone = tmp_path / "class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("energy_uj", "5"), ("max_energy_range_uj", "100")):
        (zone / name).write_text(text)
    assert energy_budgets.unmetered_budgets(LIMITS, machine_with()) == ()


def test_where_no_budget_is_on_energy_there_is_nothing_to_say(machine_with):
    assert energy_budgets.unmetered_budgets(LIMITS[:1], machine_with()) == ()
