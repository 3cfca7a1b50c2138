"""Boards of a rack as targets: a real scheduler and workers, files that travel once, and boards that die."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dask_rack import ROOT, Rack

from hwbench.boards.faults import BoardLostError
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.targets.dask import open_dask
from hwbench.targets.local import LocalTarget
from runtimes.errors import BackendError, UnsupportedError, UsageError
from runtimes.sampling.closed_loop import UNLIMITED_RUNS, SamplingPlan

LONG = SamplingPlan(max_runs=UNLIMITED_RUNS, duration_s=60, time_limit_s=120)


@pytest.fixture(scope="module")
def rack(tmp_path_factory):
    rack = Rack(tmp_path_factory.mktemp("rack"))
    rack.join("first", rpi5=1)
    yield rack
    rack.close()


@pytest.fixture
def inputs(images, tmp_path) -> Path:
    np.savez(tmp_path / "inputs.npz", image=images)
    return tmp_path / "inputs.npz"


def measuring(rack: Rack, name: str) -> list[psutil.Process]:
    """The processes that measure on a worker."""
    children = psutil.Process(rack.workers[name].pid).children(recursive=True)
    return [child for child in children if "runtimes" in child.cmdline()]


def wait_until(is_so) -> None:
    end_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_a_board_computes_and_measures_and_each_file_travels_once(rack, bundle, inputs, tmp_path):
    with open_dask(rack.target, "rpi5") as board:
        assert board.machine == this_machine()
        board.run(bundle, inputs, tmp_path / "there.npz")
        LocalTarget().run(bundle, inputs, tmp_path / "here.npz")
        with np.load(tmp_path / "there.npz") as there, np.load(tmp_path / "here.npz") as here:
            assert np.array_equal(there["scores"], here["scores"])
        (folder,) = rack.folder.rglob("worker-*/edgewright")
        held = {file.name: file.stat().st_ctime_ns for file in folder.iterdir()}
        assert {name.rpartition(".")[2] for name in held} == {"edge", "npz"}
        block = board.sample(bundle, inputs, SamplingPlan(min_runs=5, max_runs=5, warmup_limit_s=0.1))
        assert len(block.samples_ns) == 5
        with pytest.raises(UnsupportedError, match=r"The board first .* offers 'rpi5' and is no Raspberry Pi 5"):
            board.check_is(device_profiles.load("rpi5"))
    with open_dask(rack.target + "/rpi5") as again:
        for file in folder.iterdir():  # a file that was removed there is sent again
            file.unlink() if file.suffix == ".npz" else None
        again.run(bundle, inputs, tmp_path / "there.npz")
        assert {file.name for file in folder.iterdir()} == set(held)


def test_an_error_of_the_model_is_the_boards_own_words(rack, inputs, bundle, tmp_path):
    np.savez(tmp_path / "wrong.npz", picture=np.zeros((2, 3), np.float32))
    with open_dask(rack.target, "rpi5") as board, pytest.raises(BackendError, match="'image'"):
        board.run(bundle, tmp_path / "wrong.npz", tmp_path / "out.npz")


def test_two_workers_of_one_machine_measure_in_turn_and_a_client_that_ends_leaves_nothing(rack, bundle, inputs):
    rack.join("second", rpi5=1)
    program = f"""
import sys
from pathlib import Path
from hwbench.targets.dask import open_dask
from runtimes.sampling.closed_loop import SamplingPlan, UNLIMITED_RUNS
with open_dask({rack.target!r}, "rpi5") as board:
    board.sample(Path({str(bundle)!r}), Path({str(inputs)!r}),
                 SamplingPlan(max_runs=UNLIMITED_RUNS, duration_s=60, time_limit_s=120))
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    clients = [subprocess.Popen([sys.executable, "-c", program], env=env) for _ in range(2)]
    try:
        wait_until(lambda: measuring(rack, "first") or measuring(rack, "second"))
        time.sleep(1)
        assert len(measuring(rack, "first") + measuring(rack, "second")) == 1
    finally:
        for client in clients:
            client.kill()
            client.wait()
    wait_until(lambda: not measuring(rack, "first") and not measuring(rack, "second"))


def test_a_board_that_dies_in_the_middle_is_told_and_leaves_no_process(rack, bundle, inputs):
    rack.join("third", rpi4=1)
    caught: list[BaseException] = []

    def measure() -> None:
        with open_dask(rack.target, "rpi4") as board:
            try:
                board.sample(bundle, inputs, LONG)
            except BaseException as error:
                caught.append(error)

    client = threading.Thread(target=measure)
    client.start()
    wait_until(lambda: measuring(rack, "third"))
    left = measuring(rack, "third")
    rack.kill("third")
    client.join()
    assert isinstance(caught[0], BoardLostError)
    assert "The board third was lost" in str(caught[0])
    wait_until(lambda: not any(process.is_running() and process.status() != "zombie" for process in left))


def test_what_is_not_there_is_told(rack, monkeypatch):
    monkeypatch.setattr("hwbench.rack.scheduler._CONNECT_S", 1.0)
    with pytest.raises(UsageError, match=r"No worker of the scheduler offers 't4' \(offered: rpi5.*--resources t4=1"):
        open_dask(rack.target, "t4").__enter__()
    with pytest.raises(UsageError, match="names no kind of board"):
        open_dask(rack.target).__enter__()
    with pytest.raises(BoardLostError, match=r"No Dask scheduler answers at tcp://127.0.0.1:9"):
        open_dask("dask://127.0.0.1:9", "rpi5").__enter__()
    with pytest.raises(UsageError, match="There is no TLS to localhost"):
        open_dask("tls://localhost", "rpi5").__enter__()
