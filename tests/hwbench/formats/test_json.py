"""report.json, read back by the decoder that reads it anywhere."""

from __future__ import annotations

import dataclasses

from formats_data import failed_result, make_latency, make_report, unmade_result

from hwbench.formats import json as json_format
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult
from runtimes.sampling.system_conditions import Conditions


def test_everything_comes_back_as_it_was(results, hostile):
    for shown in (results, hostile, profile_results.of([failed_result(), unmade_result()]), profile_results.of([])):
        assert profile_results.from_json(json_format.render(shown), "text") == shown


def test_conditions_and_energy_come_back():
    made = make_latency(10, seed=1, blocks=2)
    drawn = Conditions(wall_ns=1, waited_ns=0, energy_uj={"package-0": 5, "gpu": 7})
    silent = Conditions(wall_ns=1, unmetered="nothing here")
    blocks = tuple(dataclasses.replace(b, conditions=c) for b, c in zip(made.blocks, (drawn, silent)))
    report = make_report("int8", dataclasses.replace(made, blocks=blocks), 2, 3, 3.62)
    shown = profile_results.of(
        [ProfileResult("m", "d", (), (CandidateResult("c", "int8", "onnxruntime", "measured", "", report),))]
    )
    assert profile_results.from_json(json_format.render(shown), "text") == shown
