"""The line about what surrounded the samples, and the one about energy."""

from __future__ import annotations

import dataclasses

import pytest
from formats_data import BUDGETS, make_latency, make_report, measured_result

from hwbench.budgets.verdicts import judge
from hwbench.formats import html, markdown, text
from hwbench.formats.sections.conditions import conditions, energy
from hwbench.formats.sections.provenance import warnings
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult
from runtimes.sampling.system_conditions import Conditions

S = 10**9
QUIET = Conditions(
    wall_ns=S,
    waited_ns=0,
    stolen_ns=0,
    pressure_ns=S // 50,
    throttled=0,
    frequency_khz=2_700_000,
    temperature_mc=54_000,
    energy_uj={"package-0": 9_000_000},
)
BUSY = dataclasses.replace(QUIET, waited_ns=S // 20, temperature_mc=61_400, throttled=2)


def latency(*seen: Conditions | None):
    made = make_latency(10, seed=1, blocks=len(seen))
    blocks = tuple(dataclasses.replace(block, conditions=each) for block, each in zip(made.blocks, seen))
    return dataclasses.replace(made, blocks=blocks)


def test_shares_are_of_all_blocks_with_the_worst_behind():
    assert conditions(latency(QUIET, QUIET, QUIET, QUIET, BUSY), 4) == (
        "waited for a processor 1.0% (at most 5.0%), lost to the hypervisor 0.0%, "
        "some task of the system waited 2.0%, 2.70 GHz, 54 to 61 \N{DEGREE SIGN}C, throttled 2 times"
    )


def test_what_the_system_does_not_show_is_named():
    seen = Conditions(wall_ns=S, waited_ns=S // 100, throttled=0)
    assert conditions(latency(seen), 4) == (
        "waited for a processor 1.0%, never throttled; not shown by this system: steal, pressure, clock, heat"
    )


def test_nothing_recorded_is_nothing_said():
    assert (conditions(latency(None), 4), energy(latency(None))) == ("", "")


def test_what_several_threads_or_processors_lost_together_is_a_number_of_them():
    seen = dataclasses.replace(QUIET, waited_ns=68 * S, stolen_ns=int(1.3 * S))
    told = conditions(latency(QUIET, seen), 4)
    assert told.startswith("34 threads at a time (at most 68) waited for a processor, ")
    assert "0.65 processors at a time (at most 1.3) lost to the hypervisor, some task of the system waited 2.0%" in told


@pytest.mark.parametrize(("scenario", "threads"), [("server", 4), ("offline", 4), ("single_stream", 64)])
def test_threads_that_wait_for_one_another_are_told_from_what_others_took(scenario, threads):
    made = latency(dataclasses.replace(QUIET, waited_ns=S // 2, busy_ns=4 * S))
    own = tuple(dataclasses.replace(block, cpu_ns=3 * S + S // 2) for block in made.blocks)
    told = conditions(dataclasses.replace(made, scenario=scenario, threads=threads, blocks=own), 4)
    shares = "waited for a processor 50.0%, waits for one another included, taken by other programs 50.0%, "
    assert told.startswith(shares)
    assert "one another" not in conditions(made, 4)


def test_a_doubt_that_candidates_share_is_told_once_and_first_of_the_chosen():
    blocks = [make_latency(10, seed, settled=False) for seed in range(3)]
    entries = tuple(
        CandidateResult(name, name, "onnxruntime", status, "", make_report(name, made, 2, 3, 3.62))
        for name, status, made in zip(("fp32", "int8", "bf16"), ("eligible", "selected", "rejected"), blocks)
    )
    assert warnings(ProfileResult("m", "d", (), entries)) == (
        "int8 (onnxruntime): 6 of 6 processes did not settle during warm-up; measure for longer (2 more likewise)",
    )


def test_energy_is_by_inference_with_its_meters():
    assert energy(latency(QUIET)) == ("50.0 mJ an inference (50.0 to 50.0), counted by package-0, idle power included")
    both = dataclasses.replace(QUIET, energy_uj={"package-0": 9_000_000, "gpu": 9_000_000})
    assert "100 mJ an inference (100 to 100), counted by package-0 and gpu" in energy(latency(both))


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (Conditions(wall_ns=S, unmetered="no meters here"), "absent: no meters here"),
        (Conditions(wall_ns=S, energy_uj={"gpu": 0}), "absent: an energy meter did not move while a process measured"),
    ],
)
def test_no_energy_says_why(seen, reason):
    assert energy(latency(seen)).startswith(reason)


def shown(*seen: Conditions | None):
    report = make_report("int8", latency(*seen), 2, 3, 3.62)
    verdicts = tuple(dataclasses.replace(v, counted=12) for v in judge(report, BUDGETS))
    entry = CandidateResult("candidate", "int8", "onnxruntime", "measured", "", report, verdicts)
    return profile_results.of([ProfileResult("m", "d", BUDGETS, (entry,))])


@pytest.mark.parametrize("render", [text.render, markdown.render, html.render])
def test_people_see_it_in_every_format(render):
    page = " ".join(render(shown(QUIET, BUSY)).split())
    assert "throttled 2 times" in page
    assert "counted by package-0" in page
    assert "a verdict uses the median of the undisturbed processes" in page


def test_energy_has_a_column_only_where_it_is_known():
    assert "energy mJ" in markdown.render(shown(QUIET))
    assert "energy mJ" not in markdown.render(shown(Conditions(wall_ns=S, unmetered="no meters here")))
    assert "no meters here" in markdown.render(shown(Conditions(wall_ns=S, unmetered="no meters here")))
    assert "energy" not in markdown.render(profile_results.of([measured_result()]))
