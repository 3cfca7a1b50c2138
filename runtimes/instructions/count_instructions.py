"""Instructions of single inferences: a figure that other programs, the clock and the caches do not change."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Sequence
from pathlib import Path

from runtimes.bundles.bundle import Bundle
from runtimes.errors import UnsupportedError
from runtimes.inference.load import open_session
from runtimes.instructions.callgrind import Callgrind
from runtimes.instructions.perf_instructions import PerfCounter
from runtimes.sample_arrays import Rows
from runtimes.sampling.closed_loop import distinct_feeds
from runtimes.tensors import Array

_Run = Callable[[dict[str, Array]], object]

_WARM_UP, _TURNS = 3, 2  # runs of each feed: before, and counted


def count_instructions(bundle: Bundle, inputs: dict[str, Rows], dumps: Path | None) -> list[int]:
    """Count the instructions of inferences, those of the caller in Python included, on one thread of the runtime.

    Args:
        bundle: the bundle to run.
        inputs: samples, of which the first few are run in turn.
        dumps: the file of callgrind that this process runs under; None to ask the processor.

    Returns:
        One number per inference.

    Raises:
        UnsupportedError: nothing counts here, or the model runs on a GPU.
        UsageError: the model has states.
    """
    counter = PerfCounter() if dumps is None else None  # before the session starts threads
    settings = dataclasses.replace(bundle.manifest.artifact.settings, threads=1)
    with open_session(bundle, settings=settings, any_machine=True) as session:
        if session.on_gpu:
            raise UnsupportedError("the instructions of a GPU are not counted")
        feeds = distinct_feeds(session, inputs)
        _run(session.run, feeds * _WARM_UP)
        gc.disable()  # or it would count as part of the one inference that it falls into
        if counter is not None:
            return _perf(session.run, feeds * _TURNS, counter)
        assert dumps is not None
        return _callgrind(session.run, feeds, Callgrind(dumps))


def _perf(run: _Run, feeds: Sequence[dict[str, Array]], counter: PerfCounter) -> list[int]:
    counts = []
    for feed in feeds:
        before = counter.read()
        run(feed)
        counts.append(counter.read() - before)
    counter.close()
    return counts


def _callgrind(run: _Run, feeds: list[dict[str, Array]], counter: Callgrind) -> list[int]:
    _run(run, feeds)
    counter.mark()
    for feed in feeds * _TURNS:
        run(feed)
        counter.mark()
    return counter.counts()[1:]  # the counts are read last, since reading them takes instructions, too


def _run(run: _Run, feeds: Sequence[dict[str, Array]]) -> None:
    for feed in feeds:
        run(feed)
