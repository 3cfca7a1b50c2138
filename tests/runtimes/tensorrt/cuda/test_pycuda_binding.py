"""Calls of our PyCUDA binding into PyCUDA, on a stand-in with the names and the ownership of its 2026.1 sources."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from runtimes.errors import BackendError, UnsupportedError


class Error(Exception):
    pass


class Owned:
    """Memory that PyCUDA frees when nobody holds it."""

    live = 0

    def __init__(self):
        Owned.live += 1
        self.freed = False

    def __int__(self):
        return id(self)

    def free(self):
        assert not self.freed
        self.freed = True
        Owned.live -= 1


@pytest.fixture
def driver():
    Owned.live = 0
    calls = []

    class Stream:
        handle = 7

        def synchronize(self):
            calls.append("synchronize")

    class Event:
        def record(self, stream):
            assert isinstance(stream, Stream)

        def time_since(self, start):
            assert isinstance(start, Event)
            return 1.5

    class Host(Owned):
        def __init__(self, n):
            super().__init__()
            self.data = np.zeros(n, np.uint8)
            self.__array_interface__ = self.data.__array_interface__

    def mem_alloc(nbytes):
        if nbytes > 1000:
            raise Error("out of memory")
        return Owned()

    context = SimpleNamespace(push=lambda: calls.append("push"))
    device = SimpleNamespace(
        retain_primary_context=lambda: context, name=lambda: "Orin", compute_capability=lambda: (8, 7)
    )
    return SimpleNamespace(
        Error=Error,
        init=lambda: calls.append("init"),
        Device=type("Device", (), {"count": staticmethod(lambda: 1), "__new__": lambda cls, index: device}),
        Stream=Stream,
        Event=Event,
        get_version=lambda: (12, 6, 0),
        mem_alloc=mem_alloc,
        pagelocked_empty=lambda n, dtype: np.asarray(Host(n)),
        memcpy_htod_async=lambda address, array, stream: calls.append(("in", address, array.nbytes, stream.handle)),
        memcpy_dtoh_async=lambda array, address, stream: calls.append(("out", address, array.nbytes, stream.handle)),
        calls=calls,
    )


@pytest.fixture
def binding(driver, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycuda", SimpleNamespace(driver=driver))
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    monkeypatch.delitem(sys.modules, "runtimes.tensorrt.cuda.pycuda", raising=False)
    yield importlib.import_module("runtimes.tensorrt.cuda.pycuda")
    sys.modules.pop("runtimes.tensorrt.cuda.pycuda")


def test_it_retains_the_primary_context(binding, driver):
    memory = binding.open_memory()
    assert driver.calls == ["init", "push"]
    assert (memory.name, memory.compute_capability, memory.cuda) == ("Orin", "8.7", "12.6")
    assert not memory.can_capture


def test_what_is_allocated_lives_until_it_is_freed(binding):
    memory = binding.open_memory()
    address, pinned = memory.allocate(16), memory.pin(8)
    assert Owned.live == 2
    assert (pinned.array.nbytes, pinned.address) == (8, pinned.array.ctypes.data)
    memory.free(address)
    memory.unpin(pinned)
    assert Owned.live == 0


def test_copies_and_times_go_through_its_objects(binding, driver):
    memory = binding.open_memory()
    stream, address, pinned = memory.stream(), memory.allocate(16), memory.pin(16)
    memory.copy_in(address, pinned, 12, stream)
    memory.copy_out(pinned, address, 4, stream)
    start, end = memory.event(), memory.event()
    memory.record(start, stream)
    memory.synchronize(stream)
    assert driver.calls[2:] == [("in", address, 12, 7), ("out", address, 4, 7), "synchronize"]
    assert memory.elapsed_ms(start, end) == 1.5
    for give_back, handle in (
        (memory.destroy_event, start),
        (memory.destroy_event, end),
        (memory.destroy_stream, stream),
    ):
        give_back(handle)


def test_its_errors_are_ours(binding, driver, monkeypatch):
    memory = binding.open_memory()
    with pytest.raises(BackendError, match=r"^mem_alloc failed: out of memory\.$"):
        memory.allocate(2000)
    with pytest.raises(UnsupportedError, match="PyCUDA cannot capture CUDA graphs"):
        memory.begin_capture(1)

    def no_driver():
        raise Error("cuInit failed: no CUDA-capable device is detected")

    monkeypatch.setattr(driver, "init", no_driver)
    with pytest.raises(UnsupportedError, match=r"^There is no NVIDIA GPU to run on: cuInit failed"):
        binding.open_memory()
