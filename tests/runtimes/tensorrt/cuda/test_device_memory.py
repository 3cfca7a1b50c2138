"""The bindings of CUDA: which is used, what is said where there is none, and that the genuine one takes our calls."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes import plugins
from runtimes.errors import BackendError, NotInstalledError, UnsupportedError, UsageError
from runtimes.tensorrt.cuda import _choice
from runtimes.tensorrt.cuda._protocol import DeviceMemory, Pinned

PINNED = Pinned(4096, np.zeros(4, np.uint8))
CALLS = {
    "allocate": (16,),
    "free": (4096,),
    "pin": (16,),
    "unpin": (PINNED,),
    "copy_in": (4096, PINNED, 4, 1),
    "copy_out": (PINNED, 4096, 4, 1),
    "stream": (),
    "destroy_stream": (1,),
    "synchronize": (1,),
    "event": (),
    "destroy_event": (1,),
    "record": (1, 1),
    "elapsed_ms": (1, 1),
    "begin_capture": (1,),
    "end_capture": (1,),
    "launch": (1, 1),
    "destroy_graph": (1,),
}


def test_there_are_two():
    assert plugins.names("runtimes.tensorrt.cuda") == ("cuda-bindings", "pycuda")


def test_every_method_of_the_protocol_is_called_below():
    assert set(CALLS) == {name for name in vars(DeviceMemory) if not name.startswith("_") and name != "can_capture"}


@pytest.fixture
def no_gpu():
    """cuda-bindings, installed on a machine without a driver."""
    binding = pytest.importorskip("runtimes.tensorrt.cuda.cuda_bindings", reason="cuda-bindings is not installed")
    try:
        binding.open_memory()
    except UnsupportedError:
        return binding
    return pytest.skip("There is a GPU here.")


def test_no_driver_is_a_sentence(no_gpu):
    with pytest.raises(UnsupportedError, match=r"^There is no NVIDIA GPU to run on: .*\(\d+\)\.$"):
        _choice.open_memory()


@pytest.mark.parametrize("name", CALLS)
def test_cuda_takes_our_arguments_and_its_errors_are_ours(no_gpu, name):
    memory = no_gpu.CudaBindings.__new__(no_gpu.CudaBindings)
    with pytest.raises(BackendError, match=r"^cuda\w+ failed: .*driver.* \(\d+\)\.$"):
        getattr(memory, name)(*CALLS[name])


def test_one_that_is_not_there(monkeypatch):
    with pytest.raises(UsageError, match="Unknown device memory 'opencl'; choose from cuda-bindings, pycuda"):
        _choice.open_memory("opencl")

    def missing(package: str, name: str, kind: str):
        raise NotInstalledError(f"no {name}")

    monkeypatch.setattr(plugins, "load", missing)
    with pytest.raises(NotInstalledError, match=r"needs cuda-bindings or pycuda; install one with: pip install"):
        _choice.open_memory()
    with pytest.raises(NotInstalledError, match="no pycuda"):
        _choice.open_memory("pycuda")
