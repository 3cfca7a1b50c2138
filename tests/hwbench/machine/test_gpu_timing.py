"""Times on a GPU, and the warnings that go with them."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench.machine.gpu_timing import GpuState, GpuTimes, measure
from runtimes.errors import UsageError
from runtimes.tensorrt.engine_session import DeviceTimes, EngineSession


def times(compute=(1.0,) * 10, transfer=0.1, enqueue=0.1, **rest):
    return GpuTimes(
        tuple(DeviceTimes(transfer, c, transfer, enqueue) for c in compute), **{"cuda_graph": False, **rest}
    )


def test_latency_is_the_sum_of_its_parts():
    assert times(transfer=0.25).of("latency").tolist() == [1.5] * 10
    assert times().warnings == ()


def test_bound_by_enqueueing():
    (warning,) = times(enqueue=0.81).warnings
    assert warning.startswith("bound by enqueueing: 0.81 ms to enqueue for 1 ms of computing; try fixed shapes")
    assert times(enqueue=0.81, cuda_graph=True).warnings[0].endswith("try larger batches")
    assert times(enqueue=0.79).warnings == ()


def test_bound_by_transfers():
    (warning,) = times(transfer=0.51).warnings
    assert warning.startswith("bound by transfers: 1.02 ms of copies")


def test_unstable_and_throttled():
    (warning,) = times(compute=[1.0, 1.06] * 5).warnings
    assert warning.startswith("unstable: computing varies by 2.9%; lock the clocks")
    assert times(compute=[1.0, 1.04] * 5).warnings == ()
    assert "throttled" in times(states=(GpuState(throttled=False), GpuState(throttled=True))).warnings[0]


class Engine(EngineSession):
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
    session = Engine()
    state = GpuState(sm_clock_mhz=1000)
    measured = measure(session, [{"x": np.int64(i)} for i in range(2)], 3, warmup=1, read_state=lambda: state)
    assert session.calls == [("run", 0), ("timed", 0), ("timed", 1), ("timed", 0)]
    assert len(measured.samples) == 3
    assert measured.cuda_graph
    assert set(measured.states) == {state}


def test_a_runtime_without_parts_has_states_alone():
    class Other:
        runs = 0

        def run(self, feeds):
            self.runs += 1

    session = Other()
    measured = measure(session, [{}], 3, warmup=2, read_state=lambda: GpuState(power_w=31.0, throttled=True))
    assert (session.runs, measured.samples, measured.cuda_graph) == (5, (), False)
    assert measured.summary == "31 W"
    assert ["throttled" in warning for warning in measured.warnings] == [True]


def test_the_summary_names_every_part_and_the_state():
    states = (GpuState(1_900, power_w=300.0, temperature_c=60), GpuState(2_000, temperature_c=62))
    summary = times(compute=[2.0] * 3, transfer=0.25, enqueue=0.5, cuda_graph=True, states=states).summary
    for part in ("0.25 ms to the device", "2 ms computing", "0.25 ms back", "0.5 ms to enqueue", "CUDA graph"):
        assert part in summary
    assert summary.endswith("1,950 MHz; 300 W; 61 °C")


def test_nothing_to_measure():
    with pytest.raises(UsageError, match="0 inputs, 5 runs"):
        measure(Engine(), [], 5)


def test_a_machine_without_a_driver_has_no_state():
    nvml = pytest.importorskip(
        "hwbench.machine.gpu_state", reason="nvidia-ml-py is not installed", exc_type=ImportError
    )
    with nvml.state_reader() as read:
        state = read()
    assert state is None or state.memory_used_bytes is None or state.memory_used_bytes > 0
