"""Choice of the blocks that count, judged by everything but the model's own latency."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.measurements.interference import (
    BlockInterference,
    block_interference,
    disturbances,
    interruption,
    load_interference,
    other_programs_ns,
    undisturbed_probe_ns,
)
from runtimes.sampling.system_conditions import Conditions

QUIET = BlockInterference(100.0)


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
    assert block_interference(block) == BlockInterference(2.0, told)


def test_the_models_own_latency_is_not_looked_at(make_block):
    fast, slow = make_block([1.0] * 9), make_block([1.0, 500.0, 900.0])
    assert block_interference(fast) == block_interference(slow) == BlockInterference(None)


def test_a_probe_slower_than_in_the_fastest_tenth_of_blocks_is_a_disturbance():
    blocks = [*[QUIET] * 20, BlockInterference(105.0), BlockInterference(106.0), BlockInterference(50_000.0, "waited")]
    assert disturbances(blocks) == (*[None] * 21, "had a slow probe", "waited")
    assert undisturbed_probe_ns(blocks) == 100


def test_a_machine_that_is_slow_throughout_is_known_by_its_memory():
    blocks = [QUIET] * 10
    assert set(disturbances(blocks)) == {None}
    assert set(disturbances(blocks, reference_ns=80.0)) == {"had a slow probe"}
    assert set(disturbances(blocks, reference_ns=200.0)) == {None}


def test_without_probes_nothing_is_slow():
    assert disturbances([BlockInterference(None)] * 3) == (None, None, None)
    assert disturbances([]) == ()
    assert undisturbed_probe_ns([BlockInterference(None)]) is None


def test_threads_that_wait_for_one_another_are_interrupted_by_what_else_there_was(make_block):
    waited = Conditions(wall_ns=1_000, waited_ns=900, stolen_ns=0)
    stolen = dataclasses.replace(waited, stolen_ns=11)
    told = [
        interruption(dataclasses.replace(make_block([1.0]), conditions=seen), waiting=False)
        for seen in (waited, stolen)
    ]
    assert told == [None, "lost the processor to the hypervisor"]


@pytest.mark.parametrize(("busy_ns", "other_processors"), [(None, None), (1_500, 1_100), (300, 0)])
def test_others_have_what_was_used_and_not_by_the_block(make_block, busy_ns, other_processors):
    seen = Conditions(wall_ns=1_000, busy_ns=busy_ns)
    assert other_programs_ns(dataclasses.replace(make_block([1.0]), cpu_ns=400, conditions=seen)) == other_processors
    assert other_programs_ns(make_block([1.0])) is None


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        (Conditions(wall_ns=1_000, waited_ns=900), None),
        (Conditions(wall_ns=1_000, waited_ns=900, busy_ns=400 + 100), None),
        (Conditions(wall_ns=1_000, busy_ns=400 + 1_500), "other programs used 1.5 processors"),
        (Conditions(wall_ns=1_000, stolen_ns=50), "most processes lost the processor to the hypervisor"),
    ],
)
def test_a_load_is_crowded_by_what_is_not_its_own(make_block, conditions, told):
    block = dataclasses.replace(make_block([1.0]), cpu_ns=400, conditions=conditions)
    assert load_interference([block] * 3) == told
