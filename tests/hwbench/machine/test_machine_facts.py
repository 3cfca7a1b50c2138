"""Facts remembered of a machine, whose loss never costs a gate."""

from __future__ import annotations

import dataclasses
import time

import pytest

from hwbench.machine import machine_facts
from hwbench.machine.machine_facts import Remembered, note_probe, recall


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "memory"))
    return tmp_path / "memory"


def test_the_fastest_probe_is_kept(folder, machine):
    assert recall(machine) == Remembered()
    for value in (120.0, 100.0, 110.0):
        note_probe(machine, value)
    assert recall(machine).probe_ns == 100.0


def test_another_machine_has_a_memory_of_its_own(folder, machine):
    note_probe(machine, 100.0)
    assert recall(dataclasses.replace(machine, cpu="Other CPU")) == Remembered()
    assert recall(dataclasses.replace(machine, system="Linux 7.0", python="3.14")).probe_ns == 100.0


def test_a_month_later_the_probe_is_forgotten(folder, machine, monkeypatch):
    note_probe(machine, 100.0)
    later = time.time() + 31 * 86_400
    monkeypatch.setattr(machine_facts.time, "time", lambda: later)
    assert recall(machine).probe_ns is None


def test_a_probe_from_the_future_is_forgotten(folder, machine, monkeypatch):
    """The clock was set back since, so nobody knows how old it is."""
    note_probe(machine, 100.0)
    earlier = time.time() - 86_400
    monkeypatch.setattr(machine_facts.time, "time", lambda: earlier)
    assert recall(machine).probe_ns is None
    note_probe(machine, 200.0)
    assert recall(machine).probe_ns == 200.0


@pytest.mark.parametrize("text", ["", "[]", '{"probe_ns": "fast"}', '{"colour": 1}'])
def test_a_damaged_memory_is_none(folder, machine, text):
    note_probe(machine, 100.0)
    (file,) = (folder / "machine").iterdir()
    file.write_text(text)
    assert recall(machine) == Remembered()
    note_probe(machine, 90.0)
    assert recall(machine).probe_ns == 90.0


def test_a_folder_that_cannot_be_written_costs_no_more_than_the_memory(tmp_path, machine, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "file"))
    note_probe(machine, 100.0)
    assert recall(machine) == Remembered()
