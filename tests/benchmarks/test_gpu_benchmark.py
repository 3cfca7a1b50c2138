"""The one command for everything that needs a card: what it says without one, and each of its parts on a fake one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fake_tensorrt
import numpy as np
from fake_cuda import FakeMemory

from benchmarks import gpu
from benchmarks.zoo import ZooModel
from runtimes.errors import NotInstalledError, UnsupportedError

ROOT = Path(__file__).parents[2]


def test_without_a_card_it_is_one_sentence(capsys, monkeypatch):
    def nothing():
        raise UnsupportedError("There is no NVIDIA driver here.")

    monkeypatch.setattr(gpu, "open_memory", nothing)
    assert gpu.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "needs an NVIDIA GPU: There is no NVIDIA driver here." in printed.err


def test_its_tests_are_found_and_run_or_say_what_they_lack():
    code = "import sys; from benchmarks import gpu; sys.exit(gpu.run_tests())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "test_it_computes_the_model" in ran.stdout
    assert "failed" not in ran.stdout


def test_each_rival_is_timed_on_the_card(capsys, monkeypatch, tmp_path, tiny_onnx):
    memory = FakeMemory()
    samples = tmp_path / "samples.npz"
    np.savez(samples, image=np.zeros((4, 3, 8, 8), np.float32), labels=np.zeros(4, np.int64))
    zoo = ZooModel("tiny", tiny_onnx, samples, samples, "top1", 1.0, "")
    backend = SimpleNamespace(trt=_Module(vars(fake_tensorrt.make(memory))), version=lambda: "10.3.0")
    monkeypatch.setattr(gpu, "open_memory", lambda: memory)
    monkeypatch.setattr(gpu, "run_tests", lambda: 0)
    monkeypatch.setattr(gpu, "_installed", lambda: ("tensorrt", backend))
    monkeypatch.setattr(gpu, "_RUNS", 3)
    monkeypatch.setattr(gpu, "_WARMUP", 1)
    monkeypatch.setitem(sys.modules, "benchmarks.zoo.tiny", SimpleNamespace(prepare=lambda: zoo))
    assert gpu.main(["tiny"]) == 0
    printed = capsys.readouterr().out
    for row in ("edgewright", "bare execute_async_v3", "h2d", "compute", "d2h", "enqueue"):
        assert any(line.startswith("tiny") and row in line for line in printed.splitlines()), row
    assert "again with the kernel times" in printed
    assert "torch eager: tiny is no torch module." in printed
    assert not memory.live


def test_another_tensorrt_is_taken_where_the_first_is_not_installed(capsys, monkeypatch):
    def load(package, name, kind):
        if name == "tensorrt":
            raise NotInstalledError("tensorrt is not installed.")
        return "the backend"

    monkeypatch.setattr(gpu.plugins, "load", load)
    assert gpu._installed() == ("tensorrt-rtx", "the backend")
    assert capsys.readouterr().out == "tensorrt is not installed.\n"


class _Module(SimpleNamespace):
    """A module, which can be a key."""

    def __init__(self, names):
        super().__init__(**names)

    __hash__ = object.__hash__
