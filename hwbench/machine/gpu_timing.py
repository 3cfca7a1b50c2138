"""Where an inference's time goes on a GPU: to the device, computing, back, and enqueueing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.errors import UsageError
from runtimes.tensorrt.engine_session import DeviceTimes, EngineSession
from runtimes.tensors import Array, Feeds

_ENQUEUE_SHARE = 0.8  # of compute: trtexec warns above it
_UNSTABLE_CV = 0.025  # trtexec's, of compute
_CONDITIONS = 20  # readings per measurement: NVML takes a millisecond


@dataclass(frozen=True)
class Condition:
    """A GPU at one moment. What a board does not tell is None: a Jetson has no NVML for its memory clock.

    Attributes:
        throttled: whether something other than idling holds the clock down.
    """

    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    power_w: float | None = None
    temperature_c: int | None = None
    memory_used_bytes: int | None = None
    throttled: bool | None = None


@dataclass(frozen=True)
class GpuTimes:
    """Raw times, one entry per inference; statistics derive.

    Attributes:
        cuda_graph: whether compute was one launch of a captured graph.
        conditions: the GPU's, read between inferences; empty without NVML.
    """

    samples: tuple[DeviceTimes, ...]
    cuda_graph: bool
    conditions: tuple[Condition, ...] = ()

    def of(self, part: str) -> Array:
        """The times of a part in ms: "h2d", "compute", "d2h", "enqueue", or "latency", the sum of the first three."""
        if part == "latency":
            return self.of("h2d") + self.of("compute") + self.of("d2h")
        return np.array([getattr(sample, f"{part}_ms") for sample in self.samples])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What keeps these times from being the engine's, and what to try; the thresholds are trtexec's."""
        median = {part: float(np.median(self.of(part))) for part in ("h2d", "compute", "d2h", "enqueue")}
        compute, transfer = median["compute"], median["h2d"] + median["d2h"]
        variation = float(np.std(self.of("compute")) / np.mean(self.of("compute")))
        found = []
        if median["enqueue"] > _ENQUEUE_SHARE * compute:
            remedy = (
                "larger batches" if self.cuda_graph else "fixed shapes, which run as a CUDA graph, or larger batches"
            )
            found.append(
                f"bound by enqueueing: {median['enqueue']:.3g} ms of it for {compute:.3g} ms of compute; try {remedy}"
            )
        if transfer > compute:
            found.append(
                f"bound by transfers: {transfer:.3g} ms of copies for {compute:.3g} ms of compute; keep data on the "
                "GPU, or send it in a smaller type"
            )
        if variation > _UNSTABLE_CV:
            found.append(
                f"unstable: compute varies by {variation:.1%}; lock the clocks (nvidia-smi --lock-gpu-clocks, or "
                "jetson_clocks), or measure for longer"
            )
        if any(condition.throttled for condition in self.conditions):
            found.append("the GPU was throttled while measuring; cool it, or raise its power limit")
        return tuple(found)


def measure(
    session: EngineSession,
    feeds: Sequence[Feeds],
    runs: int,
    warmup: int = 20,
    probe: Callable[[], Condition | None] = lambda: None,
) -> GpuTimes:
    """Time inferences one after the other.

    Args:
        session: the engine.
        feeds: inputs, taken in turn.
        runs: how many inferences.
        warmup: inferences before, which are not kept.
        probe: reads the GPU's condition; see `nvml.probe`.

    Raises:
        UsageError: there is nothing to feed, or nothing to time.
    """
    if not feeds or runs < 1:
        raise UsageError(f"Nothing to measure: {len(feeds)} inputs, {runs} runs.")
    for feed in itertools.islice(itertools.cycle(feeds), warmup):
        session.run(feed)
    every = max(1, runs // _CONDITIONS)
    samples, conditions = [], []
    for index, feed in enumerate(itertools.islice(itertools.cycle(feeds), runs)):
        samples.append(session.timed(feed))
        if index % every == 0 and (condition := probe()) is not None:
            conditions.append(condition)
    return GpuTimes(tuple(samples), session.uses_cuda_graph, tuple(conditions))
