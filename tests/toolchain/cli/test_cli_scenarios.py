"""edgewright measure --scenario."""

from __future__ import annotations

import sys

import pytest

from hwbench.load import scenarios, server_max_rate
from hwbench.results import profile_results

QUICK = ("--duration", "0.05")

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture
def loadgen(monkeypatch):
    pytest.importorskip("mlperf_loadgen", reason="LoadGen is not installed (extra loadgen)")
    monkeypatch.setattr(scenarios, "BLOCKS", 2)
    monkeypatch.setattr(scenarios, "_CAPACITY_RUNS", 1)
    monkeypatch.setattr(server_max_rate, "PROCESSES", 1)
    monkeypatch.setattr(server_max_rate, "_PRECISION", 1.5)


@pytest.mark.usefixtures("loadgen")
def test_multi_stream_says_how_a_query_was_answered_and_that_it_is_no_mlperf_result(cli, built_bundle):
    ran = cli("measure", built_bundle, "--scenario", "multi_stream", "--batch", "4", *QUICK)
    assert ran.code == 0, ran.err
    assert "multi stream, 4 samples a query, as one inference" in ran.out
    assert "this is no MLPerf result" in ran.out


@pytest.mark.usefixtures("loadgen")
def test_server_shows_its_rates_and_writes_all_of_them(cli, built_bundle, tmp_path):
    arguments = ("--scenario", "server", "--bound", "p90<=1s", *QUICK, "--out", tmp_path / "served.json")
    ran = cli("measure", built_bundle, *arguments)
    assert ran.code == 0, ran.err
    assert "held (largest)" in ran.out and "the queue grew" in ran.out
    (written,) = profile_results.from_json((tmp_path / "served.json").read_text(), "served.json").profiles
    report = written.selected.report
    assert report.latency.scenario == "server" and report.rates
    assert [budget.text for budget in written.budgets] == ["p90<=1s"]
    assert written.outcome == "pass"


@pytest.mark.usefixtures("loadgen")
def test_a_bound_that_no_rate_held_is_exit_code_1(cli, built_bundle, monkeypatch):
    monkeypatch.setattr(server_max_rate, "holds", lambda latency, bound: False)
    monkeypatch.setattr(server_max_rate.interference, "load_interference", lambda blocks: None)
    ran = cli("measure", built_bundle, "--scenario", "server", "--bound", "p50<=1s", *QUICK, "--format", "markdown")
    assert ran.code == 1, ran.err
    assert "no rate holds the bound" in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("--scenario", "burst"), ("burst", "multi_stream"), id="unknown"),
        pytest.param(("--bound", "p99<=20ms"), ("--scenario server",), id="a bound of single stream"),
        pytest.param(("--batch", "4"), ("multi_stream",), id="a batch of single stream"),
        pytest.param(("--scenario", "offline", "--bound", "p99<=20ms"), ("offline takes no bound",), id="of offline"),
        pytest.param(("--scenario", "server"), ("--bound 'p99<=20ms'",), id="no bound"),
        pytest.param(("--scenario", "server", "--bound", "p42<=1ms"), ("p42",), id="no such percentile"),
        pytest.param(("--scenario", "server", "--bound", "accuracy>=0.9"), ("percentile",), id="no latency"),
        pytest.param(("--scenario", "server", "--bound", "p99<=+5%"), ("percentile",), id="a change"),
        pytest.param(("--scenario", "server", "--bound", "p99<=1s", "--batch", "2"), ("one sample",), id="a batch"),
        pytest.param(("--scenario", "offline", "--soak", "1"), ("single_stream",), id="a soak"),
        pytest.param(("--scenario", "offline", "--batch", "0"), ("0",), id="an empty batch"),
    ],
)
def test_what_does_not_go_together_is_refused(refuses, built_bundle, arguments, words):
    refuses("measure", built_bundle, *arguments, words=words)


@pytest.mark.usefixtures("loadgen")
@pytest.mark.parametrize("scenario", ["multi_stream", "offline"])
def test_a_batch_beyond_memory_is_refused(refuses, built_bundle, scenario):
    words = ("Error: 1,000,000,000,000 samples that arrive together take", "are free; give fewer with --batch.")
    refuses("measure", built_bundle, "--scenario", scenario, "--batch", 10**12, words=words)


@pytest.mark.usefixtures("loadgen")
@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_a_bound_that_one_query_at_a_time_misses_is_exit_code_1(cli, built_bundle, form):
    arguments = ("--scenario", "server", "--bound", "p50<=0.01us", *QUICK, "--format", form)
    ran = cli("measure", built_bundle, *arguments)
    assert ran.code == 1, ran.err
    assert "one query at a time takes p50 0." in " ".join(ran.out.split())


def test_without_loadgen_one_sentence_says_what_to_install(refuses, built_bundle, digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    refuses("measure", built_bundle, "--scenario", "offline", words=("pip install 'edgewright[loadgen]'",))
    monkeypatch.setattr("toolchain.pipeline.pack_model.pack_as_is", None)  # which would be called first
    refuses("measure", digits.onnx, "--scenario", "offline", words=("pip install 'edgewright[loadgen]'",))


def test_single_stream_needs_no_loadgen(cli, built_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    assert cli("measure", built_bundle, "--scenario", "single_stream", *QUICK).code == 0
