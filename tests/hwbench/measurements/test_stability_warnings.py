"""Warnings about figures that may be unstable."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.measurements.latency import Latency, Load
from hwbench.measurements.stability_warnings import stability_warnings
from runtimes.sampling.system_conditions import Conditions

S = 10**9


@pytest.fixture
def doubted(make_report):
    """The texts by kind; the machine has four processors."""

    def find(blocks, scenario="single_stream", threads=1):
        load = None if scenario == "single_stream" else Load(False, 4, 1e3)
        report = make_report(latency=Latency(scenario, 1, threads, tuple(blocks), load))
        return {doubt.kind: doubt.text for doubt in stability_warnings(report)}

    return find


@pytest.fixture
def seen(make_block):
    """As many blocks of a second as there are conditions."""

    def make(*conditions, cpu_ns=0):
        return [dataclasses.replace(make_block([1.0]), conditions=each, cpu_ns=cpu_ns) for each in conditions]

    return make


def waited(share):
    return Conditions(wall_ns=S, waited_ns=int(share * S))


def test_unsettled_blocks_and_a_wandering_median(doubted, make_block):
    assert doubted([make_block([1, 1]), make_block([1.2, 1.2])]) == {}
    assert doubted([make_block([1]), make_block([1], settled=False)]) == {
        "warm-up": "1 of 2 processes did not settle during warm-up; measure for longer"
    }
    wandering = doubted([make_block([1, 1, 9]), make_block([1.3, 1.3, 9])])
    assert "from 1 to 1.3 ms" in wandering["wandering"]


def test_random_arrivals_make_medians_differ_without_a_doubt(doubted, make_block):
    blocks = [dataclasses.replace(make_block([level] * 9), arrivals_ns=tuple(range(9))) for level in (1.0, 3.0)]
    assert set(doubted(blocks)) == {"wandering"}
    assert doubted(blocks, "server") == {}


def test_a_quota_below_the_threads_is_said(make_report, make_block):
    def told(quota, threads):
        report = make_report(latency=Latency("single_stream", 1, threads, (make_block([1.0]),), None))
        report = dataclasses.replace(report, machine=dataclasses.replace(report.machine, cpu_quota=quota))
        return {doubt.kind: doubt.text for doubt in stability_warnings(report)}

    assert told(None, 1) == told(1.0, 1) == told(4.0, 0) == {}
    assert told(0.5, 1)["quota"].startswith("the control group pauses 1 thread that may use 0.5 processors' time")
    assert set(told(2.0, 0)) == {"quota"}  # the runtime takes all four


def test_more_threads_than_processors_are_said_and_what_they_wait_is_their_own(doubted, seen):
    assert doubted(seen(waited(67.5)), threads=64) == {
        "threads": "64 threads on 4 processors wait for one another; give --threads 4 or fewer"
    }
    assert doubted(seen(waited(0.0)), threads=4) == {}


def test_more_than_half_of_the_blocks_have_to_be_disturbed(doubted, seen):
    busy, stolen = waited(0.02), Conditions(wall_ns=S, stolen_ns=S // 10)
    assert doubted(seen(busy, busy, waited(0.01), waited(0.0))) == {}
    assert doubted(seen(busy, busy, stolen, waited(0.0))) == {
        "disturbed": "3 of 4 processes were disturbed (2 waited for a processor, 1 lost the processor "
        "to the hypervisor); "
        "measure on a quieter machine"
    }


@pytest.mark.parametrize("scenario", ["server", "offline"])
def test_workers_that_wait_for_one_another_are_not_disturbed_but_by_other_programs(doubted, seen, scenario):
    own = dataclasses.replace(waited(0.9), busy_ns=4 * S)
    assert doubted(seen(own, own, cpu_ns=4 * S), scenario) == {}
    assert doubted(seen(own, own, cpu_ns=3 * S), scenario) == {
        "others": "other programs used 1.0 of 4 processors during the measurement; measure on a quieter machine"
    }
    assert doubted(seen(waited(0.9)), scenario) == {}  # nothing is known of others
    stolen = Conditions(wall_ns=S, waited_ns=S, stolen_ns=S)
    assert "1 lost the processor to the hypervisor" in doubted(seen(stolen), scenario)["disturbed"]


def test_what_was_not_measured_is_not_doubted(make_report):
    assert stability_warnings(make_report(latency=None)) == ()
