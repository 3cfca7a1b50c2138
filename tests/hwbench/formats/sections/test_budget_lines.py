"""Outcome of each budget, in the lines that people read."""

from __future__ import annotations

import dataclasses

import pytest
from formats_data import failed_result, measured_result

from hwbench.budgets import budget, verdicts
from hwbench.formats import github, html, markdown, text
from hwbench.formats.sections import budget_lines
from hwbench.results import profile_results
from hwbench.results.profile_results import ProfileResult

NO_METER = "energy was not recorded"  # as the blocks of these results have it


def with_energy(made: ProfileResult, *caveats: str) -> ProfileResult:
    """The same result, with a budget that none of its figures can judge."""
    limits = (*made.budgets, budget.parse("energy<=5mJ"))
    entries = tuple(
        dataclasses.replace(entry, verdicts=verdicts.judge(entry.report, limits)) if entry.report is not None else entry
        for entry in made.candidates
    )
    return dataclasses.replace(made, budgets=limits, candidates=entries, caveats=caveats)


def test_of_the_chosen_candidate_there_is_one_line_per_budget():
    lines = budget_lines.lines(measured_result())
    assert [(line.budget, line.outcome) for line in lines] == [("p90<=20ms", "pass"), ("accuracy_drop<=0.01", "pass")]
    assert "95% confidence) is within 20 ms" in lines[0].evidence


def test_where_none_was_chosen_candidates_of_one_outcome_share_a_line():
    lines = budget_lines.lines(failed_result())
    assert len({(line.budget, line.outcome) for line in lines}) == len(lines) <= 6
    slow = next(line for line in lines if (line.budget, line.outcome) == ("p90<=20ms", "fail"))
    assert slow.evidence.startswith("3 candidates, the nearest fp32 (onnxruntime): p90 32 ms (")
    wrong = next(line for line in lines if (line.budget, line.outcome) == ("accuracy_drop<=0.01", "fail"))
    assert wrong.evidence.startswith("int8-dynamic (onnxruntime): accuracy_drop 0.0300 (")


def test_what_is_wrong_with_all_is_said_once():
    (line,) = [line for line in budget_lines.lines(with_energy(failed_result())) if line.budget == "energy<=5mJ"]
    assert line.evidence == f"all 4 candidates: {NO_METER}"


@pytest.mark.parametrize("make", [failed_result, measured_result])
def test_a_reason_that_a_caveat_gives_is_not_given_again(make):
    made = with_energy(make(), f"Budget energy<=5mJ cannot be judged on this machine: {NO_METER}.")
    (line,) = [line for line in budget_lines.lines(made) if line.budget == "energy<=5mJ"]
    assert line.evidence.endswith("see the caveats")
    for module in (text, html, markdown):
        shown = " ".join(module.render(profile_results.of([made])).split())
        assert shown.count("cannot be judged on this machine") == 1


@pytest.mark.parametrize("module", [text, html, markdown, github])
def test_the_default_budget_is_called_so(module):
    made = measured_result()
    limits = (made.budgets[0], dataclasses.replace(made.budgets[1], is_default=True))
    entries = tuple(
        dataclasses.replace(entry, verdicts=verdicts.judge(entry.report, limits)) if entry.report is not None else entry
        for entry in made.candidates
    )
    shown = module.render(profile_results.of([dataclasses.replace(made, budgets=limits, candidates=entries)]))
    assert "accuracy_drop<=0.01 (default)" in shown.replace("&lt;", "<").replace("\\", "")
    assert "p90<=20ms (default)" not in shown.replace("&lt;", "<")
