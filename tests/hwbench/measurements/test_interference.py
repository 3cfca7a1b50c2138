"""Which blocks count, judged by everything but the model's own latency."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.measurements.interference import (
    Surroundings,
    crowded,
    disturbances,
    interruption,
    others_ns,
    reference,
    surroundings,
)
from runtimes.sampling.system_conditions import Conditions

QUIET = Surroundings(100.0)


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        (Conditions(wall_ns=1_000), None),
        (Conditions(wall_ns=1_000, waited_ns=10, stolen_ns=10, throttled=0), None),
        (Conditions(wall_ns=1_000, waited_ns=11), "waited for a processor"),
        (Conditions(wall_ns=1_000, stolen_ns=11), "lost the processor to the hypervisor"),
        (Conditions(wall_ns=1_000, throttled=1), "ran on a processor that throttled"),
        (None, None),
    ],
)
def test_what_took_the_processor_away_interrupts_a_block(make_block, conditions, told):
    block = dataclasses.replace(make_block([1.0, 2.0]), conditions=conditions, probe_ns=(3, 1, 2))
    assert surroundings(block) == Surroundings(2.0, told)


def test_the_models_own_latency_is_not_looked_at(make_block):
    fast, slow = make_block([1.0] * 9), make_block([1.0, 500.0, 900.0])
    assert surroundings(fast) == surroundings(slow) == Surroundings(None)


def test_a_probe_slower_than_in_the_fastest_tenth_of_blocks_is_a_disturbance():
    met = [*[QUIET] * 20, Surroundings(105.0), Surroundings(106.0), Surroundings(50_000.0, "waited")]
    assert disturbances(met) == (*[None] * 21, "had a slow probe", "waited")
    assert reference(met) == 100


def test_a_machine_that_is_slow_throughout_is_known_by_its_memory():
    met = [QUIET] * 10
    assert set(disturbances(met)) == {None}
    assert set(disturbances(met, reference_ns=80.0)) == {"had a slow probe"}
    assert set(disturbances(met, reference_ns=200.0)) == {None}


def test_without_probes_nothing_is_slow():
    assert disturbances([Surroundings(None)] * 3) == (None, None, None)
    assert disturbances([]) == ()
    assert reference([Surroundings(None)]) is None


def test_threads_that_wait_for_one_another_are_interrupted_by_what_else_there_was(make_block):
    waited = Conditions(wall_ns=1_000, waited_ns=900, stolen_ns=0)
    stolen = dataclasses.replace(waited, stolen_ns=11)
    told = [
        interruption(dataclasses.replace(make_block([1.0]), conditions=seen), waiting=False)
        for seen in (waited, stolen)
    ]
    assert told == [None, "lost the processor to the hypervisor"]


@pytest.mark.parametrize(("busy_ns", "others"), [(None, None), (1_500, 1_100), (300, 0)])
def test_others_have_what_was_used_and_not_by_the_block(make_block, busy_ns, others):
    seen = Conditions(wall_ns=1_000, busy_ns=busy_ns)
    assert others_ns(dataclasses.replace(make_block([1.0]), cpu_ns=400, conditions=seen)) == others
    assert others_ns(make_block([1.0])) is None


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        (Conditions(wall_ns=1_000, waited_ns=900), None),
        (Conditions(wall_ns=1_000, waited_ns=900, busy_ns=400 + 100), None),
        (Conditions(wall_ns=1_000, busy_ns=400 + 1_500), "other programs took 1.5 processors"),
        (Conditions(wall_ns=1_000, stolen_ns=50), "most processes lost the processor to the hypervisor"),
    ],
)
def test_a_load_is_crowded_by_what_is_not_its_own(make_block, conditions, told):
    block = dataclasses.replace(make_block([1.0]), cpu_ns=400, conditions=conditions)
    assert crowded([block] * 3) == told
