"""Server's rates in the formats: throughput against latency up to saturation."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest
from formats_data import make_report

from hwbench.budgets import budget
from hwbench.budgets.verdicts import Verdict
from hwbench.formats.sections import rate_rows
from hwbench.measurements.latency import Latency, Load
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult
from runtimes import plugins
from runtimes.sampling.closed_loop import Block
from runtimes.sampling.system_conditions import Conditions

BOUND = budget.parse("p90<=20ms")


def at(rate, median_ms, queries=800, behind_s=0.0):
    """Two processes; the answers end so long after the arrivals."""
    rng = np.random.default_rng(round(rate))
    blocks = []
    for _ in range(2):
        due = np.cumsum(rng.exponential(1e9 / rate, queries)).astype(int)
        due -= due[0]
        took = (median_ms * 1e6 * rng.lognormal(0, 0.2, queries) + np.linspace(0, behind_s * 1e9, queries)).astype(int)
        blocks.append(_block(tuple(took.tolist()), tuple(due.tolist())))
    return Latency("server", 1, 1, tuple(blocks), Load(False, 2, rate))


def _block(samples_ns, arrivals_ns, batch=1):
    return Block(samples_ns, (1,), True, 40_000_000, 1, 0, None, 10**8, batch, arrivals_ns=arrivals_ns)


@pytest.fixture(scope="module")
def served():
    rates = (
        at(100.0, 5.0, queries=150),
        at(200.0, 8.0),
        at(280.0, 15.0),
        at(300.0, 30.0),
        at(400.0, 200.0, behind_s=2),
    )
    report = dataclasses.replace(
        make_report("int8", rates[2], 2, 3, 3.62), rates=tuple(rate for rate in rates if rate is not rates[2])
    )
    verdict = Verdict(BOUND, "pass", None, "held at 280 per s, missed at 300 per s")
    entry = CandidateResult("int8 (onnxruntime)", "int8", "onnxruntime", "measured", "", report, (verdict,))
    return profile_results.of([ProfileResult("mobilenet-v2", "x86-avx512-vnni", (BOUND,), (entry,))])


def render(form, results, **options):
    return plugins.load("hwbench.formats", form, "format").render(results, **options)


def test_the_table_goes_from_the_lowest_rate_to_saturation_and_marks_the_largest_that_holds(served):
    table = rate_rows.table(served.profiles[0])
    assert [line[0] for line in table.lines] == ["100", "200", "280", "300", "400"]
    assert [line[-1] for line in table.lines] == ["held", "held", "held (largest)", "missed", "missed, the queue grew"]
    assert table.best == 2
    assert table.heads[-1] == "p90<=20ms" and "MLPerf p90 ms" in table.heads


def test_a_percentile_of_too_few_queries_is_refused_with_the_number_it_takes(served):
    table = rate_rows.table(served.profiles[0])
    assert table.lines[0][table.heads.index("p99 ms")] == "n/a"
    assert "p99 takes 368" in table.note


def test_rates_of_more_processes_are_explained_and_one_that_a_higher_one_contradicts_is_marked(served):
    assert "left the machine alone" not in rate_rows.table(served.profiles[0]).note
    entry = served.profiles[0].candidates[0]
    low = at(100.0, 30.0)
    busy = dataclasses.replace(low.blocks[0], conditions=Conditions(wall_ns=10**9, busy_ns=10**9))
    missed = dataclasses.replace(low, blocks=(*low.blocks, busy))
    report = dataclasses.replace(entry.report, rates=(missed, *entry.report.rates[1:]))
    table = rate_rows.table(
        dataclasses.replace(served.profiles[0], candidates=(dataclasses.replace(entry, report=report),))
    )
    assert [line[-1] for line in table.lines[:2]] == ["missed, though a higher rate held", "held"]
    assert table.best is None
    assert "during which other programs left the machine alone" in table.note


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_people_see_every_rate_and_the_largest(served, form):
    text = " ".join(render(form, served).split())
    for word in ("held (largest)", "missed, the queue grew", "by early stopping", "held at 280 per s"):
        assert word in text
    assert "server 2" in text  # the headline's rate
    assert "2 workers" in text


def test_the_page_draws_latency_against_throughput(served):
    page = render("html", served)
    assert "Latency against throughput" in page
    assert "p90&lt;=20ms" in page


def test_csv_has_a_line_per_rate_with_a_verdict_of_its_own(served):
    lines = list(csv.DictReader(io.StringIO(render("csv", served))))
    assert [float(line["target_per_s"]) for line in lines] == [100, 200, 280, 300, 400]
    assert [line["outcome"] for line in lines] == ["pass", "pass", "pass", "fail", "fail"]
    assert {line["scenario"] for line in lines} == {"server"}
    assert len({line["p90_ms"] for line in lines}) == 5


def test_json_reads_back(served):
    assert profile_results.from_json(render("json", served), "report.json") == served


def test_offline_shows_a_rate_and_no_latency(served):
    entry = served.profiles[0].candidates[0]
    offline = Latency(
        "offline", 8, 1, tuple(_block((5_000_000, 9_000_000), (0, 0), 8) for _ in range(6)), Load(True, 2)
    )
    report = dataclasses.replace(entry.report, latency=offline, rates=())
    results = profile_results.of(
        [ProfileResult("m", "p", (), (dataclasses.replace(entry, report=report, verdicts=()),))]
    )
    text = " ".join(render("text", results, width=160).split())
    assert "offline 1,778 per s" in text  # 16 samples in 9 ms
    assert "offline, batch 8, 2 workers" in text
    assert "Latency distribution" not in render("html", results)


def test_what_is_no_server_has_no_rates(results):
    assert all(rate_rows.table(each) is None for each in results.profiles)
