from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from formats_data import (
    elsewhere_result,
    failed_result,
    few_samples_result,
    hostile_result,
    make_latency,
    make_report,
    many_result,
    measured_result,
    rendered,
    three_results,
    unmade_result,
)

from hwbench.formats import html
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult

VOID = {"meta", "br", "wbr"}


class Page(HTMLParser):
    """Checks that tags nest, and collects what a page may not have twice, or at all."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def text():
    return rendered("html", three_results)


def test_it_is_one_file(text):
    for page in (text, rendered("html", hostile_result)):
        assert not re.search(r"https?:|//\w|@import|url\((?!#)", page)
        parsed = Page(page)
        assert set(parsed.tags).isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form"})
        assert all(link.startswith("#") for link in parsed.links)
        assert {link[1:] for link in parsed.links} <= set(parsed.ids)
        assert len(set(parsed.ids)) == len(parsed.ids)


def test_it_is_small(text):
    assert len(text) < 150_000
    assert len(rendered("html", many_result)) < 300_000


def test_hostile_text_is_shown_as_text():
    page = rendered("html", hostile_result)
    assert "<script" not in page
    assert "[e](f) red" in Page(page).text
    assert page.count("&lt;script&gt;") > 20


def test_verdicts_show_by_word(text):
    assert text.count('<span class="word pass">pass</span>') >= 4
    assert '<span class="word inconclusive">inconclusive</span>' in text


@pytest.mark.parametrize(
    ("make", "titles"),
    [
        (measured_result, ["Accuracy against latency", "Latency distribution", "File size", "Peak memory"]),
        (elsewhere_result, ["File size"]),
        (few_samples_result, ["Latency distribution"]),
        (failed_result, ["Accuracy against latency", "Latency distribution", "File size", "Peak memory"]),
        (unmade_result, []),
    ],
)
def test_charts_are_those_there_are_figures_for(make, titles):
    page = rendered("html", make)
    assert re.findall(r"<figure>\s*<h2>(.*?)</h2>", page) == titles
    assert page.count("<svg ") == page.count('role="img"') == len(titles)


def test_charts_take_the_colours_of_the_page(text):
    drawn = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert "var(--accent)" in drawn
    assert not re.search(r"(?:fill|stroke): #(?!000000)", drawn)


def test_a_chart_of_a_wide_range_has_plain_numbers(text):
    page = rendered("html", many_result)
    assert "mathdefault" not in page
    assert "Names are shown for those on the line and the selected one." in page
    assert "No candidate beats one on the line on both axes." in page
    assert "Names are shown" not in text


def test_a_few_slow_runs_do_not_squeeze_the_chart_but_are_told_of(text):
    latency = make_latency(5.0, seed=1)
    slow = dataclasses.replace(latency.blocks[0], samples_ns=(*latency.blocks[0].samples_ns, 70_000_000))
    report = make_report("int8", dataclasses.replace(latency, blocks=(slow, *latency.blocks[1:])), 2, 3, 3.62)
    entry = CandidateResult("int8 (onnxruntime)", "int8", "onnxruntime", "measured", "", report)
    page = html.render(profile_results.of([ProfileResult("mobilenet-v2", "x86-64-v3", (), (entry,))]))
    assert "took longer than the axis shows, the slowest 70.0 ms." in page
    assert "longer than the axis" not in text


def test_a_metric_where_less_is_better_says_so():
    entries = []
    for entry in measured_result().candidates:
        if entry.report is not None and entry.report.accuracy is not None:
            accuracy = dataclasses.replace(entry.report.accuracy, higher_is_better=False, metric="error_rate")
            entries.append(dataclasses.replace(entry, report=dataclasses.replace(entry.report, accuracy=accuracy)))
    page = html.render(profile_results.of([dataclasses.replace(measured_result(), candidates=tuple(entries))]))
    assert "error_rate (lower is better)" in page


def test_where_none_was_chosen_everyones_verdicts_show():
    page = Page(rendered("html", failed_result)).text
    assert "No candidate meets the budgets: of 4 judged, each breaks at least one." in page
    assert "3 candidates, the nearest fp32 (onnxruntime): p90 32 ms" in page


def test_a_wide_table_breaks_names_at_their_joints_and_has_headings_for_narrow_pages():
    entry = measured_result().candidates[0]
    long = dataclasses.replace(entry, name="fp32 (onnxruntime), graph_optimization=extended")
    page = html.render(profile_results.of([dataclasses.replace(measured_result(), candidates=(entry, long))]))
    assert "fp32, graph_<wbr>optimization=<wbr>extended<" in page
    assert page.count('data-heading="p50, ms"') == 2


def test_it_says_how_to_get_the_figures_again(text):
    page = Page(text).text
    assert "edgewright verify out/mobilenet-v2-x86-avx512-vnni.edge" in page
    assert "--evaluation SAMPLES.npz --metric top1 --budget 'p90<=20ms' --budget 'accuracy_drop<=0.01'" in page
    assert "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" in page
    assert "onnxruntime 1.31.1" in page
