"""Times on a GPU, and the warnings that go with them."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench.machine.gpu_timing import Condition, GpuTimes, measure
from runtimes.errors import UsageError
from runtimes.tensorrt.engine_session import DeviceTimes


def times(compute=(1.0,) * 10, transfer=0.1, enqueue=0.1, **rest):
    return GpuTimes(
        tuple(DeviceTimes(transfer, c, transfer, enqueue) for c in compute), **{"cuda_graph": False, **rest}
    )


def test_latency_is_the_sum_of_its_parts():
    assert times(transfer=0.25).of("latency").tolist() == [1.5] * 10
    assert times().warnings == ()


def test_bound_by_enqueueing():
    (warning,) = times(enqueue=0.81).warnings
    assert warning.startswith("bound by enqueueing: 0.81 ms of it for 1 ms of compute; try fixed shapes")
    assert times(enqueue=0.81, cuda_graph=True).warnings[0].endswith("try larger batches")
    assert times(enqueue=0.79).warnings == ()


def test_bound_by_transfers():
    (warning,) = times(transfer=0.51).warnings
    assert warning.startswith("bound by transfers: 1.02 ms of copies")


def test_unstable_and_throttled():
    (warning,) = times(compute=[1.0, 1.06] * 5).warnings
    assert warning.startswith("unstable: compute varies by 2.9%; lock the clocks")
    assert times(compute=[1.0, 1.04] * 5).warnings == ()
    assert "throttled" in times(conditions=(Condition(throttled=False), Condition(throttled=True))).warnings[0]


class Session:
    """An engine's session, as far as measuring sees it."""

    uses_cuda_graph = True

    def __init__(self):
        self.calls = []

    def run(self, feeds):
        self.calls.append(("run", int(feeds["x"])))

    def timed(self, feeds):
        self.calls.append(("timed", int(feeds["x"])))
        return DeviceTimes(1, 2, 3, 4)


def test_feeds_are_taken_in_turn_after_the_warmup():
    session = Session()
    condition = Condition(sm_clock_mhz=1000)
    measured = measure(session, [{"x": np.int64(i)} for i in range(2)], 3, warmup=1, probe=lambda: condition)
    assert session.calls == [("run", 0), ("timed", 0), ("timed", 1), ("timed", 0)]
    assert len(measured.samples) == 3
    assert measured.cuda_graph
    assert set(measured.conditions) == {condition}


def test_nothing_to_measure():
    with pytest.raises(UsageError, match="0 inputs, 5 runs"):
        measure(Session(), [], 5)


def test_a_machine_without_a_driver_has_no_condition():
    nvml = pytest.importorskip(
        "hwbench.machine.gpu_state", reason="nvidia-ml-py is not installed", exc_type=ImportError
    )
    with nvml.probe() as read:
        condition = read()
    assert condition is None or condition.memory_used_bytes is None or condition.memory_used_bytes > 0
