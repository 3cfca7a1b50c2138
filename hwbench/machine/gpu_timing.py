"""Parts of an inference's time on a GPU: copying to the device, computing, copying back, and enqueueing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.errors import UsageError
from runtimes.inference.session import Session
from runtimes.tensorrt.engine_session import DeviceTimes, EngineSession
from runtimes.tensors import Array, Feeds

_ENQUEUE_SHARE = 0.8  # of the time of computing; trtexec warns above it
_UNSTABLE_CV = 0.025  # trtexec's limit for the coefficient of variation of computing
_STATES = 20  # readings per measurement, since NVML takes a millisecond for each
_PARTS = ("h2d", "compute", "d2h", "enqueue")


@dataclass(frozen=True)
class GpuState:
    """A GPU's state at one moment. A figure that a board does not report is None: a Jetson has no NVML memory clock.

    Attributes:
        throttled: True if something other than idling holds the clock down.
    """

    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    power_w: float | None = None
    temperature_c: int | None = None
    memory_used_bytes: int | None = None
    throttled: bool | None = None


@dataclass(frozen=True)
class GpuTimes:
    """Raw times of inferences on a GPU and the GPU's states; statistics derive from them.

    Attributes:
        samples: times of the parts, one per inference; empty for a runtime that does not report them.
        cuda_graph: True if computing was one launch of a captured graph.
        states: the GPU's states, read between inferences; empty without NVML.
    """

    samples: tuple[DeviceTimes, ...]
    cuda_graph: bool
    states: tuple[GpuState, ...] = ()

    def of(self, part: str) -> Array:
        """List a part's times in ms: "h2d", "compute", "d2h", "enqueue", or "latency", the sum of the first three."""
        if part == "latency":
            return self.of("h2d") + self.of("compute") + self.of("d2h")
        return np.array([getattr(sample, f"{part}_ms") for sample in self.samples])

    @property
    def summary(self) -> str:
        """The medians of the parts and of the states, in one line."""
        words = []
        if self.samples:
            h2d, compute, d2h, enqueue = (float(np.median(self.of(part))) for part in _PARTS)
            words.append(f"{h2d:.3g} ms to the device, {compute:.3g} ms computing, {d2h:.3g} ms back")
            words.append(f"{enqueue:.3g} ms to enqueue{' as a CUDA graph' if self.cuda_graph else ''}")
        for name, unit in (("sm_clock_mhz", "MHz"), ("power_w", "W"), ("temperature_c", "°C")):
            known = [value for state in self.states if (value := getattr(state, name)) is not None]
            if known:
                words.append(f"{float(np.median(known)):,.0f} {unit}")
        return "; ".join(words) or "the driver reports nothing"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons why these times are not the engine's own, and remedies; the thresholds are trtexec's."""
        throttled = any(state.throttled for state in self.states)
        warnings = self._timing_warnings() if self.samples else []
        if throttled:
            warnings.append("the GPU was throttled during the measurement; cool it, or raise its power limit")
        return tuple(warnings)

    def _timing_warnings(self) -> list[str]:
        h2d, compute, d2h, enqueue = (float(np.median(self.of(part))) for part in _PARTS)
        variation = float(np.std(self.of("compute")) / np.mean(self.of("compute")))
        warnings = []
        if enqueue > _ENQUEUE_SHARE * compute:
            remedy = (
                "larger batches" if self.cuda_graph else "fixed shapes, which run as a CUDA graph, or larger batches"
            )
            warnings.append(
                f"bound by enqueueing: {enqueue:.3g} ms to enqueue for {compute:.3g} ms of computing; try {remedy}"
            )
        if h2d + d2h > compute:
            warnings.append(
                f"bound by transfers: {h2d + d2h:.3g} ms of copies for {compute:.3g} ms of computing; keep data on the "
                "GPU, or send it in a smaller type"
            )
        if variation > _UNSTABLE_CV:
            warnings.append(
                f"unstable: computing varies by {variation:.1%}; lock the clocks (nvidia-smi --lock-gpu-clocks, or "
                "jetson_clocks), or measure for longer"
            )
        return warnings


def measure(
    session: Session,
    feeds: Sequence[Feeds],
    runs: int,
    warmup: int = 20,
    read_state: Callable[[], GpuState | None] = lambda: None,
) -> GpuTimes:
    """Time inferences one after the other, and read the GPU's state meanwhile.

    Args:
        session: a session on a GPU; an engine's reports the parts of its time, others have states alone.
        feeds: inputs, taken in turn.
        runs: number of inferences.
        warmup: number of inferences before these, whose times are not recorded.
        read_state: reads the GPU's state; see `gpu_state.state_reader`.

    Raises:
        UsageError: there are no inputs, or no runs.
        BackendError: an inference failed.
    """
    if not feeds or runs < 1:
        raise UsageError(f"Nothing to measure: {len(feeds)} inputs, {runs} runs.")
    for feed in itertools.islice(itertools.cycle(feeds), warmup):
        session.run(feed)
    every = max(1, runs // _STATES)
    samples, states = [], []
    for index, feed in enumerate(itertools.islice(itertools.cycle(feeds), runs)):
        if isinstance(session, EngineSession):
            samples.append(session.timed(feed))
        else:
            session.run(feed)
        if index % every == 0 and (state := read_state()) is not None:
            states.append(state)
    is_graph = isinstance(session, EngineSession) and session.uses_cuda_graph
    return GpuTimes(tuple(samples), is_graph, tuple(states))
