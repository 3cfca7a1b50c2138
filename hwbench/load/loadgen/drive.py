"""Driver of LoadGen, which sends queries to a session, and reader of the trace that LoadGen writes."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlperf_loadgen as mlperf
import numpy as np

from hwbench.load.loadgen.load_plan import LoadPlan
from hwbench.load.loadgen.sample_library import Library
from runtimes.errors import BackendError
from runtimes.inference.session import Session
from runtimes.sampling.system_conditions import Conditions, SystemMonitor

_SCENARIOS = {
    "multi_stream": mlperf.TestScenario.MultiStream,
    "offline": mlperf.TestScenario.Offline,
    "server": mlperf.TestScenario.Server,
}
_TRACE = "mlperf_log_trace.json"
_INDICES = 1_024  # number of samples that LoadGen knows; they stand for the library's few samples in turn
# Groups: the time when a sample was due, in us since the trace began; its number; its latency, in ns.
_SAMPLE = re.compile(r'"ts":([\d.]+),"args":{"sample_seq":(\d+),.*?"complete_ns":(\d+)}')


@dataclass(frozen=True)
class TraceRecord:
    """LoadGen's record of each query, or of each inference of offline, in order.

    Attributes:
        latencies_ns: time from a query's due time until its last sample was done.
        arrivals_ns: due time of a query, since the first one.
    """

    latencies_ns: tuple[int, ...]
    arrivals_ns: tuple[int, ...]


def drive(
    session: Session, library: Library, plan: LoadPlan, queries: int, folder: Path, monitor: SystemMonitor
) -> Conditions:
    """Run LoadGen to its end, with a number of queries (inferences for offline). Its trace is left in the folder.

    Returns:
        The conditions during the run. They are read before the answering threads end, since Linux then forgets how long
        a thread waited for a processor.

    Raises:
        EdgewrightError: the first error that the session raised.
    """
    settings = mlperf.TestSettings()
    settings.scenario, settings.mode = _SCENARIOS[plan.scenario], mlperf.TestMode.PerformanceOnly
    settings.min_duration_ms = 0
    settings.sample_index_rng_seed = settings.schedule_rng_seed = plan.seed
    settings.min_query_count = settings.max_query_count = queries
    if plan.scenario == "multi_stream":
        settings.multi_stream_samples_per_query = _width(plan, library)
    elif plan.scenario == "offline":  # one query, whose samples LoadGen counts as queries
        settings.min_query_count = settings.max_query_count = queries * library.stride
    else:
        settings.server_target_qps = plan.target_per_s
    answers = _Answers(session, library)
    at_once = plan.scenario == "multi_stream"
    with _Workers(answers, 0 if at_once else plan.workers) as workers:
        with monitor.ticking():
            _run(settings, answers.at_once if at_once else workers.issue, folder)
        conditions = monitor.conditions()
    if answers.failure is not None:
        raise answers.failure
    return conditions


def read(folder: Path, plan: LoadPlan, library: Library, queries: int) -> TraceRecord:
    """Read LoadGen's record of the queries from the trace that it left in a folder.

    Raises:
        BackendError: the trace holds another number of samples.
    """
    trace, width = (folder / _TRACE).read_text(), _width(plan, library)
    samples = sorted((int(number), float(due), int(done)) for due, number, done in _SAMPLE.findall(trace))
    if len(samples) != queries * width:
        raise BackendError(
            f"LoadGen's trace holds {len(samples):,} samples, and {queries * width:,} were asked for; it is read "
            "in the form that mlcommons-loadgen 6.0.17 writes, so install that release."
        )
    columns = np.asarray(samples).reshape(-1, width, 3)
    arrivals = np.rint((columns[:, 0, 1] - columns[0, 0, 1]) * 1_000).astype(np.int64)
    latencies = columns[:, :, 2].max(axis=1).astype(np.int64)
    return TraceRecord(tuple(latencies.tolist()), tuple(arrivals.tolist()))


def _width(plan: LoadPlan, library: Library) -> int:
    """Count LoadGen's samples in a query, or in one inference of offline."""
    return library.stride * plan.inferences(library.each)


class _Answers:
    """Answers to LoadGen, from inferences. An error of an inference is stored: none may pass through LoadGen."""

    def __init__(self, session: Session, library: Library) -> None:
        self.failure: BaseException | None = None
        self._session, self._library = session, library

    def at_once(self, samples: Sequence[mlperf.QuerySample]) -> None:
        """Answer in LoadGen's own thread, one inference after the other."""
        for part in self.split(samples):
            self.answer(part)

    def split(self, samples: Sequence[mlperf.QuerySample]) -> list[list[tuple[int, int]]]:
        """Group LoadGen's samples as (id, index), an inference's together."""
        known = [(sample.id, sample.index) for sample in samples]  # LoadGen frees them when its call returns
        stride = self._library.stride
        return [known[start : start + stride] for start in range(0, len(known), stride)]

    def answer(self, part: Sequence[tuple[int, int]]) -> None:
        """Infer once, and answer. After a failure all further samples are answered without inference, so that LoadGen
        ends.
        """
        try:
            if self.failure is None:
                self._session.run(self._library.feed(part[0][1]))
        except BaseException as error:
            self.failure = self.failure or error
        mlperf.QuerySamplesComplete([mlperf.QuerySampleResponse(identity, 0, 0) for identity, _ in part])


class _Workers:
    """Threads that answer while LoadGen goes on issuing."""

    def __init__(self, answers: _Answers, count: int) -> None:
        self._answers = answers
        self._waiting: queue.SimpleQueue[list[tuple[int, int]] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]

    def issue(self, samples: Sequence[mlperf.QuerySample]) -> None:
        """Take LoadGen's samples."""
        for part in self._answers.split(samples):
            self._waiting.put(part)

    def __enter__(self) -> _Workers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (part := self._waiting.get()) is not None:
            self._answers.answer(part)


def _run(settings: mlperf.TestSettings, issue: object, folder: Path) -> None:
    log = mlperf.LogSettings()
    log.log_output.outdir, log.enable_trace = str(folder), True
    sut = mlperf.ConstructSUT(issue, lambda: None)
    qsl = mlperf.ConstructQSL(_INDICES, _INDICES, lambda indices: None, lambda indices: None)
    try:
        mlperf.StartTestWithLogSettings(sut, qsl, settings, log)
    finally:
        mlperf.DestroyQSL(qsl)
        mlperf.DestroySUT(sut)
