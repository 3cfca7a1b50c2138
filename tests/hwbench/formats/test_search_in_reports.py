"""The search, and the chosen candidate's precision, in the formats that people read."""

from __future__ import annotations

import dataclasses
import functools
import html

import pytest
from formats_data import measured_result, rendered

from hwbench.budgets.samples_needed import SamplesNeeded
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, Screening, Search
from hwbench.results.unsettled import Unsettled


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
def unsettled() -> profile_results.Results:
    """The measured result, where more samples might have selected int8-dynamic."""
    found = Unsettled(
        "int8-dynamic (onnxruntime)",
        "1.3x faster",
        "accuracy_drop<=0.01",
        0.936,
        0.95,
        SamplesNeeded(320),
        0.93,
    )
    return profile_results.of([dataclasses.replace(measured_result(), unsettled=found)])


@pytest.mark.parametrize("form", ["text", "html", "markdown"])
def test_says_what_more_samples_might_have_selected(form):
    shown = " ".join(html.unescape(rendered(form, unsettled)).replace("\\", "").split())
    assert "int8-dynamic (onnxruntime) is 1.3x faster than what was selected, and probably within" in shown
    assert "(0.93, 0.95 is asked); about 320 more samples would settle it; --confidence 0.93 selects it now" in shown


def test_marks_it_in_the_chart_of_accuracy():
    page, without = rendered("html", unsettled), rendered("html", measured_result)
    figures = [each[each.index("<h2>Accuracy against") :].partition("</figure>")[0] for each in (page, without)]
    hollow, filled = (figure.count("var(--surface)") for figure in figures)
    assert hollow == filled + 1
    assert "The hollow point, int8-dynamic, is unsettled." in figures[0]
    assert "unsettled" not in figures[1]


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
