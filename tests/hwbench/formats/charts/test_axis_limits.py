"""Charts in which something lies far off: a score that collapsed, numbers that would touch."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from formats_data import measured_result, rendered
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hwbench.formats import html
from hwbench.formats.charts import inline_svg
from hwbench.formats.charts.axis_limits import is_within, reach
from hwbench.results import profile_results
from hwbench.results.profile_results import ProfileResult


def collapsed(**scores: float) -> ProfileResult:
    """The measured result, with other scores for some."""
    made = measured_result()
    entries = []
    for entry in made.candidates:
        if entry.precision in scores and entry.report is not None and entry.report.accuracy is not None:
            right = round(scores[entry.precision] * 1000)
            accuracy = dataclasses.replace(
                entry.report.accuracy, value=right / 1000, scores=(1.0,) * right + (0.0,) * (1000 - right)
            )
            entry = dataclasses.replace(entry, report=dataclasses.replace(entry.report, accuracy=accuracy))
        entries.append(entry)
    return dataclasses.replace(made, candidates=tuple(entries))


def figure_of(page: str, title: str) -> str:
    figure = page[page.index(f"<h2>{title}") :]
    return figure[: figure.index("</figure>")]


def test_a_score_that_collapsed_lies_beyond_the_axis():
    assert reach([0.95, 0.945, 0.94, 0.1], 0.94, True) == 0.94
    assert reach([0.95, 0.945, 0.94, 0.1, 0.0], None, True) == 0.94


def test_scores_that_fall_step_by_step_are_all_shown():
    assert reach([0.95, 0.90, 0.85, 0.7, 0.6], 0.95, True) == 0.6
    assert reach([1.0, 0.927], 0.997, True) == 0.927


def test_what_most_are_like_is_no_collapse_however_good_the_chosen_one_is():
    assert reach([0.0, 0.001, 0.002], 0.0, False) == 0.002  # the source itself, by an edit distance
    assert reach([120.0, 40.0, 39.0, 38.0], 120.0, True) == 38.0  # decibels


def test_of_errors_more_is_worse():
    assert reach([0.05, 0.06, 0.08], 0.05, False) == 0.08
    assert reach([0.05, 0.06, 0.9], 0.05, False) == 0.06


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.booleans())
def test_the_best_one_and_the_chosen_one_are_always_shown(scores, higher_is_better):
    for selected in (None, *scores):
        worst = reach(scores, selected, higher_is_better)
        best = max(scores) if higher_is_better else min(scores)
        assert worst in scores
        assert is_within(best if selected is None else selected, worst, higher_is_better)
        assert is_within(best, worst, higher_is_better)


def test_the_chart_says_what_lies_beyond_it_and_does_not_name_it_twice():
    shown = figure_of(html.render(profile_results.of([collapsed(**{"int8-dynamic": 0.1})])), "Accuracy against latency")
    assert "Triangles mark 1 candidate beyond the axis: int8-dynamic (0.1000)." in shown
    assert ">int8-dynamic<" not in shown
    assert ">0.0<" not in shown and ">0.2<" not in shown  # the axis begins far above
    assert "beyond the axis" not in figure_of(rendered("html", measured_result), "Accuracy against latency")


def test_where_one_is_best_on_both_counts_there_is_no_line_to_speak_of():
    best = collapsed(**{"fp32": 0.9, "fp16-storage": 0.9, "bf16-storage": 0.9, "int8-dynamic": 0.9})
    shown = figure_of(html.render(profile_results.of([best])), "Accuracy against latency")
    assert "No candidate beats int8 on either axis." in shown
    assert "the line" not in shown


@pytest.mark.parametrize("width", [120, 250, 400])
@settings(max_examples=50, deadline=None)
@given(low=st.floats(1e-4, 1e3), times=st.floats(1.0001, 5_000))
def test_numbers_on_an_axis_stand_apart(width, low, times):
    axes = Figure(figsize=(width / 72, 1), dpi=72).add_axes((0, 0, 1, 1))
    inline_svg.scale_x(axes, low, low * times)
    left, right = axes.get_xlim()
    ticks = [tick for tick in axes.xaxis.get_majorticklocs() if left <= tick <= right]
    texts = axes.xaxis.get_major_formatter().format_ticks(ticks)
    places = [axes.transData.transform((tick, 0))[0] for tick in ticks]
    for (a, before), (b, after) in itertools.pairwise(zip(places, texts)):
        assert b - a > 6.5 * (len(before) + len(after)) / 2 or len(ticks) <= 2
