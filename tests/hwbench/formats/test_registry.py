"""Contract of every format."""

from __future__ import annotations

import re

import pytest
from formats_data import failed_result, hostile_result, many_result, rendered, three_results, unmade_result

from hwbench.results import profile_results
from runtimes import plugins

OF_FIGURES = ("bencher", "github-benchmark", "gitlab", "openmetrics")  # with no word of what has no figure
FORMATS = ("csv", "github", "html", "json", "junit", "markdown", "text")
FOR_PEOPLE = ("html", "markdown", "text")


def test_the_folder_is_the_list():
    assert set(plugins.names("hwbench.formats")) - {"charts", "sections"} == {
        *FORMATS,
        *OF_FIGURES,
    }  # shared folders, no formats


@pytest.mark.parametrize("form", [*FORMATS, *OF_FIGURES])
def test_rendering_is_deterministic_and_ends_the_line(form, results):
    text = rendered(form, three_results)
    assert text == str(plugins.load("hwbench.formats", form, "format").render(results))
    assert text.endswith("\n")


@pytest.mark.parametrize("form", [*FORMATS, *OF_FIGURES])
def test_hostile_text_becomes_printable_utf8(form):
    text = rendered(form, hostile_result)
    text.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("make", [failed_result, unmade_result, many_result])
def test_fields_without_a_choice_or_with_many_candidates_render(form, make):
    assert "mobilenet-v2" in rendered(form, make)


@pytest.mark.parametrize("form", FOR_PEOPLE)
def test_people_are_told_what_was_chosen_why_and_what_to_doubt(form):
    text = " ".join(rendered(form, three_results).split())
    assert "int8 (onnxruntime): 2.1x faster than fp32 at p50" in text
    assert "97.9% (drop 0.1 points)" in text
    assert "passes both budgets" in text
    assert "no fp16 kernels on x86" in text.replace("&#39;", "'")
    assert "6 of 6 processes did not settle during warm-up" in text
    assert "its neighbours are part of what was measured" in text
    assert "Xeon(R) Platinum 8481C" in text
    assert "out/mobilenet-v2-x86-avx512-vnni.edge" in text


@pytest.mark.parametrize("form", FOR_PEOPLE)
def test_a_figure_that_is_missing_has_a_note_that_says_why(form):
    text = rendered(form, three_results)
    assert "n/a" in text
    assert "takes 368 samples, and there are 24" in " ".join(text.split())


def test_json_reads_back(results):
    assert profile_results.from_json(rendered("json", three_results), "report.json") == results
