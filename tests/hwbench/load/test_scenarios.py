"""Every scenario on a real bundle, in processes of its own, and what is said where one cannot be measured."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

from hwbench.budgets import budget
from hwbench.load import scenarios, server_max_rate
from hwbench.load.scenarios import LoadRequest
from hwbench.results.measure_bundles import Evaluation
from hwbench.targets import CrashError, local
from runtimes.codec import decode, encode
from runtimes.errors import BackendError, NotInstalledError, UsageError
from runtimes.sampling.closed_loop import SamplingPlan

PLAN = SamplingPlan(min_runs=20, max_runs=400, duration_s=0.05, warmup_limit_s=0.1)


@pytest.fixture
def loadgen():
    pytest.importorskip("mlperf_loadgen", reason="LoadGen is not installed (extra loadgen)")


@pytest.fixture(autouse=True)
def few_processes(monkeypatch):
    monkeypatch.setattr(scenarios, "BLOCKS", 2)
    monkeypatch.setattr(scenarios, "_CAPACITY_RUNS", 1)
    monkeypatch.setattr(server_max_rate, "PROCESSES", 1)
    monkeypatch.setattr(server_max_rate, "_PRECISION", 1.5)


@pytest.fixture
def linear(pack_linear, tmp_path):
    return pack_linear(tmp_path / "linear.edge")


def ignore(_):
    return


def ask(scenario, bound=None, **changes):
    return LoadRequest(scenario, PLAN, bound=budget.parse(bound) if bound else None, **changes)


@pytest.mark.usefixtures("loadgen")
class TestMeasuring:
    def test_multi_stream_is_the_latency_of_queries_that_run_as_one_batch(self, linear):
        ticks = []
        report, verdicts = scenarios.measure(linear, ask("multi_stream"), ticks.append)
        latency = report.latency
        assert (latency.scenario, latency.batch, latency.threads) == ("multi_stream", 8, 1)
        assert latency.load.batched and latency.load.workers == 1 and latency.load.target_per_s is None
        assert len(ticks) == len(latency.blocks) == 2
        for block in latency.blocks:
            assert 20 <= len(block.samples_ns) <= 400 and not block.arrivals_ns
            assert block.conditions is not None and block.warmup_ns and block.load_ns > 0
            assert block.environment["mlcommons-loadgen"]
        assert latency.throughput_per_s.value == pytest.approx(8e3 / latency.samples_ms.mean())
        assert (verdicts, report.rates) == ((), ())

    def test_offline_is_a_rate_and_no_latency(self, linear):
        report, _ = scenarios.measure(linear, ask("offline", batch=4), ignore)
        latency = report.latency
        assert (latency.scenario, latency.batch, latency.load.batched) == ("offline", 4, True)
        block = latency.blocks[0]
        ended_s = max(block.samples_ns) / 1e9
        rates = [4 * len(b.samples_ns) / (max(b.samples_ns) / 1e9) for b in latency.blocks]
        assert set(block.arrivals_ns) == {0}
        assert ended_s < 5
        assert min(rates) <= latency.throughput_per_s.value <= max(rates)
        with pytest.raises(ValueError, match="all samples at once"):
            latency.percentile(50)
        assert latency.tail_ms(50) is None

    def test_server_finds_a_rate_and_keeps_every_other_that_it_looked_at(self, linear):
        report, (verdict,) = scenarios.measure(linear, ask("server", "p90<=1s"), ignore)
        assert verdict.outcome == "pass"
        assert report.latency.scenario == "server"
        rates = sorted((report.latency, *report.rates), key=lambda latency: latency.load.target_per_s)
        bound = verdict.budget
        assert report.latency is rates[server_max_rate.largest(rates, bound)]
        assert len(rates) >= 2
        assert all(len(block.arrivals_ns) == len(block.samples_ns) >= 64 for r in rates for block in r.blocks)
        assert decode(type(report), encode(report), "report") == report

    def test_accuracy_comes_with_it_as_with_any_measurement(self, linear, tmp_path):
        x = np.eye(4, dtype=np.float32)[[0, 1, 2]]
        np.savez(tmp_path / "e.npz", x=x, labels=np.array([0, 1, 2]))
        report, _ = scenarios.measure(linear, ask("offline"), ignore, Evaluation(tmp_path / "e.npz", ("top1",)))
        assert report.accuracy.value == 1

    @pytest.mark.parametrize("quantity", ["p90", "p99.9"])  # the latter takes more runs than the plan allows
    def test_a_bound_that_one_query_at_a_time_misses_fails_with_the_figure_and_no_search(self, linear, quantity):
        ticks = []
        report, (verdict,) = scenarios.measure(linear, ask("server", f"{quantity}<=0.01us"), ticks.append)
        assert verdict.outcome == "fail"
        assert verdict.reason.startswith(f"no rate holds the bound: one query at a time takes {quantity} ")
        assert verdict.measured == report.estimate(quantity)
        assert (report.latency.scenario, report.rates) == ("single_stream", ())
        assert len(report.latency.blocks) == len(ticks) == 2  # the second confirms the first

    def test_workers_are_as_many_as_the_measuring_process_had(self, linear, monkeypatch):
        run_under_load = scenarios.run_under_load
        monkeypatch.setattr(
            scenarios, "run_under_load", lambda *given: dataclasses.replace(run_under_load(*given), workers=7)
        )
        report, _ = scenarios.measure(linear, ask("offline"), ignore)
        assert report.latency.load.workers == 7

    def test_the_machine_is_not_looked_at_between_the_runs(self, linear, monkeypatch):
        looks, look = [], scenarios.this_machine
        monkeypatch.setattr(scenarios, "this_machine", lambda: looks.append(1) or look())
        scenarios.measure(linear, ask("offline"), ignore)
        assert looks == [1]

    def test_a_percentile_that_takes_longer_than_there_is_is_refused_with_the_time_it_takes(self, linear):
        short = dataclasses.replace(PLAN, time_limit_s=1e-4, max_runs=10)
        with pytest.raises(UsageError, match=r"p99 takes 662 queries.*give --duration \d+ or more"):
            scenarios.measure(linear, LoadRequest("server", short, bound=budget.parse("p99<=1s")), ignore)

    def test_a_bundle_of_another_machine_is_not_measured_here(self, pack_linear, local_profile, tmp_path):
        other = "aarch64" if local_profile.arch == "x86_64" else "x86_64"
        bundle = pack_linear(tmp_path / "other.edge", profile=dataclasses.replace(local_profile, arch=other))
        report, (verdict,) = scenarios.measure(bundle, ask("server", "p90<=1s"), ignore)
        assert report.latency is None and "does not fit the profile" in report.unmeasured["latency"]
        assert verdict.outcome == "inconclusive"

    def test_the_runtimes_own_text_is_passed_on(self, pack_linear, tmp_path):
        bundle = pack_linear(tmp_path / "broken.edge", model=b"these bytes are no model")
        with pytest.raises(BackendError, match=r"^ONNX Runtime cannot load 'artifact/broken.onnx': "):
            scenarios.measure(bundle, ask("offline"), ignore)

    def test_a_process_that_dies_is_told_with_its_last_words(self, linear, tmp_path, monkeypatch):
        interpreter(tmp_path, monkeypatch, "echo corrupted size vs. prev_size >&2; kill -SEGV $$")
        with pytest.raises(CrashError, match=r"died of signal 11\. It said: corrupted size"):
            scenarios.measure(linear, ask("multi_stream"), ignore)

    def test_a_process_that_hangs_is_killed_when_its_plan_is_long_over(self, linear, tmp_path, monkeypatch):
        interpreter(tmp_path, monkeypatch, "echo waiting for the license server >&2; exec sleep 60")
        monkeypatch.setattr(local, "_STARTUP_S", 0.1)
        plan = dataclasses.replace(PLAN, time_limit_s=0.1)
        with pytest.raises(CrashError, match=r"hung: no answer in 0\.4 s\. It said: waiting for the license server"):
            scenarios.measure(linear, LoadRequest("offline", plan), ignore)


def interpreter(folder, monkeypatch, script):
    """Puts a shell script in the place of Python."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(file))


def test_without_loadgen_it_says_what_to_install(linear, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(NotInstalledError, match=r"pip install 'edgewright\[loadgen\]'"):
        scenarios.measure(linear, ask("offline"), ignore)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"scenario": "server"}, "give one, as in --bound", id="a server without a bound"),
        pytest.param({"scenario": "offline", "bound": "p90<=1ms"}, "offline takes no bound", id="a bound elsewhere"),
        pytest.param({"scenario": "server", "bound": "p90<=1ms", "batch": 4}, "one sample each", id="a batch"),
        pytest.param({"scenario": "server", "bound": "load_time<=1s"}, "does not limit a percentile", id="other"),
        pytest.param({"scenario": "server", "bound": "p90<=+5%"}, "does not limit a percentile", id="a change"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        ask(**arguments)
