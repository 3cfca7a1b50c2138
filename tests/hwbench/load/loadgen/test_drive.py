"""LoadGen itself, driving sessions whose every call is known."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hwbench.load.loadgen.load_plan import LoadPlan
from hwbench.load.loadgen.sample_library import Library
from runtimes.errors import BackendError
from runtimes.inference.session import Session
from runtimes.sampling.closed_loop import SamplingPlan
from runtimes.sampling.system_conditions import SystemMonitor

pytest.importorskip("mlperf_loadgen", reason="LoadGen is not installed (extra loadgen)")
from hwbench.load.loadgen.drive import drive, read

PLAN = SamplingPlan()
PAUSE_S = 0.002


class Sleeper(Session):
    """Takes two milliseconds, and notes what it was fed and by which thread."""

    fails_at = -1

    def _infer(self, feeds):
        self.calls = getattr(self, "calls", [])
        self.calls.append((float(feeds["image"].flat[0]), threading.get_ident()))
        if len(self.calls) - 1 == self.fails_at:
            raise BackendError("the accelerator is gone")
        time.sleep(PAUSE_S)
        return {"scores": np.zeros((len(feeds["image"]), 5), np.float32)}


@pytest.fixture
def session(contents):
    return Sleeper(contents.artifact)


def library(count, each=1, batched=False):
    return Library(tuple({"image": np.full((each, 3, 8, 8), k, np.float32)} for k in range(count)), each, batched)


def run(session, library, plan, queries):
    with tempfile.TemporaryDirectory() as logs:
        drive(session, library, plan, queries, Path(logs), SystemMonitor())
        return read(Path(logs), plan, library, queries)


class NotingMonitor(SystemMonitor):
    """Notes how often it ticked, and which threads there were at the end."""

    ticks = 0

    def tick(self):
        self.ticks += 1
        super().tick()

    def conditions(self):
        self.threads = {thread.ident for thread in threading.enumerate()}
        return super().conditions()


def test_a_query_of_several_samples_takes_as_long_as_all_of_its_inferences(session):
    seen = run(session, library(3), LoadPlan("multi_stream", PLAN, samples=4), 10)
    assert len(seen.latencies_ns) == 10
    assert len(session.calls) == 40
    assert min(seen.latencies_ns) >= 4 * PAUSE_S * 1e9
    assert {thread for _, thread in session.calls} == {threading.get_ident()}
    assert {value for value, _ in session.calls} == {0, 1, 2}


def test_a_query_that_runs_as_one_batch_takes_one_inference(session):
    seen = run(session, library(2, each=4, batched=True), LoadPlan("multi_stream", PLAN, samples=4), 10)
    assert (len(seen.latencies_ns), len(session.calls)) == (10, 10)
    assert min(seen.latencies_ns) >= PAUSE_S * 1e9


def test_the_next_query_waits_for_the_last_one(session):
    seen = run(session, library(1), LoadPlan("multi_stream", PLAN, samples=2), 10)
    gaps = np.diff(seen.arrivals_ns)
    assert (gaps >= np.asarray(seen.latencies_ns[:-1])).all()


def test_offline_samples_all_come_at_once_and_workers_share_them(session):
    seen = run(session, library(2, each=4, batched=True), LoadPlan("offline", PLAN, samples=4, workers=2), 20)
    assert (len(seen.latencies_ns), len(session.calls)) == (20, 20)
    assert set(seen.arrivals_ns) == {0}
    assert len({thread for _, thread in session.calls}) == 2
    assert max(seen.latencies_ns) >= 20 * PAUSE_S * 1e9 / 2


def test_server_queries_arrive_as_a_poisson_process_of_the_rate_asked_for(session):
    plan = LoadPlan("server", PLAN, workers=2, target_per_s=400.0, seed=3)
    seen = run(session, library(1), plan, 200)
    gaps = np.diff(seen.arrivals_ns) / 1e9
    assert len(seen.latencies_ns) == 200
    assert gaps.mean() == pytest.approx(1 / 400, rel=0.25)  # three and a half standard errors
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.3)  # an exponential distribution's are equal
    assert min(seen.latencies_ns) >= PAUSE_S * 1e9


def test_a_seed_gives_the_same_arrivals_again_and_another_gives_others(session):
    arrivals = [
        run(session, library(1), LoadPlan("server", PLAN, workers=2, target_per_s=2_000.0, seed=seed), 50).arrivals_ns
        for seed in (1, 1, 2)
    ]
    assert arrivals[0] == arrivals[1] != arrivals[2]


def test_waiting_in_the_queue_is_part_of_a_latency(session):
    seen = run(session, library(1), LoadPlan("server", PLAN, workers=1, target_per_s=5_000.0), 50)
    assert max(seen.latencies_ns) > 10 * PAUSE_S * 1e9


@pytest.mark.parametrize("scenario", ["multi_stream", "offline", "server"])
def test_meters_are_read_meanwhile_and_the_threads_that_answered_are_watched_to_the_end(session, scenario, tmp_path):
    monitor = NotingMonitor()
    plan = LoadPlan(scenario, PLAN, workers=2, target_per_s=1_000.0)
    conditions = drive(session, library(1), plan, 200, tmp_path, monitor)
    assert conditions.wall_ns >= 200 * PAUSE_S * 1e9 / 2
    assert monitor.ticks >= 1
    assert {thread for _, thread in session.calls} <= monitor.threads


def test_a_trace_that_tells_of_fewer_samples_than_were_asked_for_is_refused(session, tmp_path):
    plan = LoadPlan("multi_stream", PLAN, samples=2)
    drive(session, library(1), plan, 10, tmp_path, SystemMonitor())
    with pytest.raises(BackendError, match=r"trace holds 20 samples, and 22 were asked for"):
        read(tmp_path, plan, library(1), 11)
    trace = tmp_path / "mlperf_log_trace.json"
    trace.write_text(trace.read_text().replace("complete_ns", "completed_ns"))
    with pytest.raises(BackendError, match=r"trace holds 0 samples.*install that release"):
        read(tmp_path, plan, library(1), 10)


@pytest.mark.parametrize("scenario", ["multi_stream", "offline", "server"])
def test_what_an_inference_raises_ends_the_run_and_comes_through(session, scenario, tmp_path):
    session.fails_at = 5
    plan = LoadPlan(scenario, PLAN, workers=2, target_per_s=1_000.0)
    with pytest.raises(BackendError, match="the accelerator is gone"):
        drive(session, library(1), plan, 100, tmp_path, SystemMonitor())
    assert len(session.calls) <= 8  # the rest was waved through
