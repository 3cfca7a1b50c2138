"""Text for terminals and logs, laid out by Rich at real widths."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from formats_data import failed_result, many_result, measured_result, unmade_result

from hwbench.formats import text
from hwbench.formats.sections import rows
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult

WIDTHS = [60, 80, 100, 140]


def searched_field() -> ProfileResult:
    """The measured result after a search: nine more candidates without figures, for three reasons."""
    made = measured_result()
    slow = [
        CandidateResult(
            f"{name} (openvino)", name, "openvino", "rejected",
            f"{1.5 + number / 10:.1f}x slower than int8 (onnxruntime) in screening (p50 {20 + number} against 14.6 ms)",
        )
        for number, name in enumerate(("fp32", "fp16-storage", "bf16-storage", "int8", "int8-storage"))
    ]  # fmt: skip
    other = CandidateResult("int8 (null)", "int8", "null", "rejected", "size<=1MB: 3.62 MB exceeds 1 MB")
    missing = [
        CandidateResult(
            f"{name} (null)", name, "null", "not built", f"null has no {name} arithmetic on x86-avx512-vnni."
        )
        for name in ("fp16", "bf16", "int4")
    ]
    return dataclasses.replace(made, candidates=(*made.candidates, *slow, other, *missing))


def shown(result: ProfileResult, width: int = 140, **options: bool) -> str:
    return text.render(profile_results.of([result]), width=width, **options)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_asked(width, results, hostile):
    for made in (results, hostile, profile_results.of([many_result(), searched_field()])):
        assert max(map(len, text.render(made, width=width).splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", [measured_result, many_result, searched_field])
def test_names_and_figures_stay_whole_at_every_width(make, width):
    page = shown(make(), width, verbose=True)
    lines = [line.strip() for line in page.splitlines()]
    for entry in make().candidates:
        assert any(line.startswith(entry.name) for line in lines)
        if entry.report is not None and entry.report.latency is not None:
            size = rows.show("size", entry.report.estimate("size").value)
            assert any(size in line for line in lines)
    assert "\N{HORIZONTAL ELLIPSIS}" not in page


def test_without_a_terminal_it_is_80_wide(results, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert text.render(results) == text.render(results, width=80)


def test_intervals_show_where_there_is_room(results):
    assert "[14.6, 14.7]" not in text.render(results, width=80)
    assert "[14.6, 14.7]" in text.render(results, width=140)


def test_it_leads_with_what_matters():
    first, *lines = shown(searched_field()).splitlines()
    assert first == "mobilenet-v2 for x86-avx512-vnni: pass"
    led = dict(line.split(maxsplit=1) for line in lines[:5])
    assert list(led) == ["Selected", "Accuracy", "Budgets", "Bundle", "Caveat"]
    assert led["Selected"].startswith("int8 (onnxruntime): 2.1x faster than fp32")
    assert "97.9%" in led["Accuracy"] and "drop 0.1 points" in led["Accuracy"]
    assert "both budgets" in led["Budgets"]
    assert led["Bundle"].endswith("mobilenet-v2-x86-avx512-vnni.edge")
    assert "virtual" in led["Caveat"]


@pytest.mark.parametrize(
    ("make", "words"), [(failed_result, "each breaks at least one"), (unmade_result, "time limit")]
)
def test_where_none_was_selected_it_leads_with_the_reason(make, words):
    line = shown(make()).splitlines()[1]
    assert line.startswith("Selected  none.")
    assert words in line


def test_candidates_without_figures_are_grouped_by_reason_and_verbose_lists_them():
    short, full = shown(searched_field()), shown(searched_field(), verbose=True)
    assert short.count(" in screening (") == 1
    assert "likewise fp16-storage (openvino); bf16-storage (openvino); int8 (openvino) and 1 more" in " ".join(
        short.split()
    )
    assert "3.62 MB exceeds 1 MB" in short  # a reason of its own
    assert "--verbose lists 6 more candidates." in short
    assert full.count(" in screening (") == 5
    assert "--verbose" not in full
    assert len(short.splitlines()) < len(full.splitlines())


def test_of_many_measured_candidates_the_selected_one_leads_the_table():
    table = shown(many_result()).split("Candidates")[0]
    lines = table.splitlines()
    names = [
        f"{line.split()[0]} {below.split()[0]}"
        for line, below in itertools.pairwise(lines)
        if line.startswith(("fp32", "fp16", "bf16", "int8"))
    ]
    assert names[:2] == ["int8 (tensorrt)", "fp32 (tensorrt)"]  # the second is the reference
    assert len(names) < len(many_result().candidates)


def test_every_candidate_and_verdict_has_its_line(results):
    lines = [line.split() for line in text.render(results, width=140, verbose=True).splitlines()]
    assert ["fp16", "(onnxruntime)", "not", "built"] in [line[:4] for line in lines]
    assert ["int8", "(onnxruntime)", "selected", "pass"] in [line[:4] for line in lines]
    assert ["p90<=20ms", "pass", "p90", "15.1", "ms"] in [line[:5] for line in lines]
    assert ["p90<=20ms", "inconclusive"] in [line[:2] for line in lines]


def test_colour_only_when_asked(results):
    assert "\x1b[" not in text.render(results, width=80)
    assert "\x1b[32mpass" in text.render(results, width=80, color=True)


def test_markup_in_names_is_shown_not_obeyed(hostile):
    assert "[e](f)" in text.render(hostile, width=140)
    assert "\x1b[31m" not in text.render(hostile, width=140, color=True)


def test_candidates_that_lose_to_different_ones_are_not_grouped():
    made, names = measured_result(), ("fp32 (openvino)", "int8 (openvino)")
    parents = [CandidateResult(name, "int8", "openvino", "rejected", "slower") for name in names]
    lost = [
        CandidateResult(f"{name}, cpu_pinning=0", "int8", "openvino", "rejected", f"not clearly faster than {name}")
        for name in names
    ]
    page = " ".join(shown(dataclasses.replace(made, candidates=(*made.candidates, *parents, *lost))).split())
    assert "not clearly faster than fp32 (openvino)" in page
    assert "not clearly faster than int8 (openvino)" in page
