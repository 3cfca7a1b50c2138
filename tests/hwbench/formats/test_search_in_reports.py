"""The search, and the chosen candidate's precision, in the formats that people read."""

from __future__ import annotations

import dataclasses
import functools

import pytest
from formats_data import measured_result, rendered

from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, Screening, Search


@functools.cache
def searched() -> profile_results.Results:
    """The measured result, as a search would leave it."""
    made = measured_result()
    changes = {
        "layers": {"int8": 50, "fp32": 5},
        "recipe": {"keep": ["stem", "head/conv", "a", "b"], "keep_in": "fp32"},
        "screening": Screening("parity", 0.97, 128, 14.5),
    }
    entries = [
        dataclasses.replace(entry, **changes) if entry.status == "selected" else entry for entry in made.candidates
    ]
    return profile_results.of([dataclasses.replace(made, candidates=tuple(entries), search=Search(looks=5, tried=21))])


@pytest.mark.parametrize("form", ["text", "html"])
def test_says_how_many_were_scored_on_the_evaluation_samples_and_the_layers_by_precision(form):
    shown = " ".join(rendered(form, searched).split())
    assert (
        "21 candidates tried and ordered on the calibration samples; 5 candidates scored on the evaluation samples"
        in shown
    )
    assert "50 in int8, 5 in fp32; 4 kept in fp32: stem, head/conv, a and 1 more" in shown


@pytest.mark.parametrize("form", ["text", "html"])
def test_says_nothing_where_nothing_was_searched(form):
    assert "scored on the evaluation samples" not in rendered(form, measured_result)


def test_survives_its_json():
    assert profile_results.from_json(profile_results.to_json(searched()), "report.json") == searched()


@functools.cache
def screened() -> profile_results.Results:
    """The measured result, and the rejected ones: by its speed, by both figures, or without a score."""
    made = measured_result()
    went_on = [
        dataclasses.replace(entry, screening=Screening("parity", 0.99, 128, 20.0 + number))
        for number, entry in enumerate(made.candidates)
        if entry.report is not None
    ]
    let_go = [
        CandidateResult(
            f"{name} (openvino)", name, "openvino", "rejected", "slower", screening=Screening("parity", 0.9, 128, ms)
        )
        for name, ms in (("int8-dynamic", 90.0), ("fp16-storage", 40.0))
    ]
    unranked = CandidateResult("fp32 (null)", "fp32", "null", "rejected", "slower", screening=Screening(p50_ms=300.0))
    return profile_results.of([dataclasses.replace(made, candidates=(*went_on, *let_go, unranked))])


def test_all_that_was_ranked_and_timed_is_drawn():
    page = rendered("html", screened)
    figure = page[page.index("<h2>Screened candidates") :]
    figure = figure[: figure.index("</figure>")]
    assert figure.count("var(--surface)") >= 2  # hollow
    assert "Screened candidates of" in figure
    assert "int8-dynamic (openvino)" in figure
    assert "fp32 (null)" not in figure
    assert "hollow ones were rejected." in figure


def test_where_all_went_on_one_chart_is_enough():
    assert "Screened candidates" not in rendered("html", searched)
