"""A board over ssh: a real server on the loopback interface runs bundles, and its samples come back."""

from __future__ import annotations

import dataclasses
import fcntl
import threading
from concurrent.futures import ThreadPoolExecutor

import loopback_board
import numpy as np
import psutil
import pytest

from hwbench.boards.faults import BoardLostError
from hwbench.machine.identity import this_machine
from hwbench.targets import CrashError
from hwbench.targets.ssh import open_ssh
from runtimes.errors import BackendError, UnsupportedError
from runtimes.sampling.closed_loop import SamplingPlan

PLAN = SamplingPlan(min_runs=20, max_runs=25, duration_s=0.05)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    started = loopback_board.start(tmp_path_factory.mktemp("board"))
    with loopback_board.client(started):
        yield started
    loopback_board.stop(started)


@pytest.fixture(scope="module")
def target(board):
    with open_ssh(board.address) as opened:
        yield opened


@pytest.fixture
def inputs(tmp_path):
    np.savez(tmp_path / "inputs.npz", x=np.ones((3, 4), np.float32))
    return tmp_path / "inputs.npz"


def test_a_board_describes_itself(target):
    assert target.machine == this_machine()


def test_run_brings_the_outputs_back(target, pack_linear, inputs, tmp_path):
    target.run(pack_linear(tmp_path / "linear.edge"), inputs, tmp_path / "outputs.npz")
    with np.load(tmp_path / "outputs.npz") as archive:
        assert archive["y"].tolist() == [[2, 2, 2]] * 3


def test_sample_brings_the_raw_samples_and_the_conditions_back(target, board, pack_linear, inputs, tmp_path):
    block = target.sample(pack_linear(tmp_path / "linear.edge"), inputs, PLAN)
    assert 20 <= len(block.samples_ns) <= 25
    assert block.conditions.wall_ns > 0
    assert board.files() == set()


def long_plan(seconds: float) -> SamplingPlan:
    return dataclasses.replace(PLAN, min_runs=10**9, max_runs=10**9, duration_s=seconds, time_limit_s=seconds)


def measuring_processes(board) -> list[int]:
    """The processes anywhere on this machine that run our code from the board's cache."""
    found = psutil.process_iter(["cmdline", "cwd"])
    return [one.pid for one in found if str(board.cache) in f"{one.info['cmdline']} {one.info['cwd']}"]


def test_a_connection_that_is_lost_once_costs_one_repetition(target, board, pack_linear, inputs, tmp_path):
    bundle = pack_linear(tmp_path / "linear.edge")
    killer = threading.Thread(target=lambda: loopback_board.wait_until(board.is_measuring) and board.hang_up())
    killer.start()
    block = target.sample(bundle, inputs, long_plan(3.0))
    killer.join()
    assert len(block.samples_ns) > 25
    assert loopback_board.wait_until(lambda: measuring_processes(board) == [])
    assert board.files() == set()


def test_nothing_is_left_running_once_the_connection_is_lost_for_good(tmp_path, pack_linear, inputs):
    (tmp_path / "board").mkdir()
    board = loopback_board.start(tmp_path / "board")
    bundle = pack_linear(tmp_path / "linear.edge")

    def end() -> None:
        loopback_board.wait_until(board.is_measuring)
        sessions = board.sessions()
        board.server.kill()
        for process in sessions:
            if process.is_running() and process.name().startswith("sshd"):
                process.kill()

    killer = threading.Thread(target=end)
    with loopback_board.client(board), open_ssh(board.address) as target:
        killer.start()
        with pytest.raises(BoardLostError, match="cannot be reached"):
            target.sample(bundle, inputs, long_plan(60.0))
    killer.join()
    board.server.wait()
    assert loopback_board.wait_until(lambda: measuring_processes(board) == [])
    assert loopback_board.wait_until(lambda: board.files() == set())


def test_a_host_that_falls_silent_is_taken_for_gone(target, board, pack_linear, inputs, tmp_path, monkeypatch):
    _ = target.machine
    monkeypatch.setattr("hwbench.boards.calls.SILENCE_S", 0.5)
    with pytest.raises(BoardLostError, match="The host is gone, or silent"):
        target.sample(pack_linear(tmp_path / "linear.edge"), inputs, long_plan(60.0))
    assert loopback_board.wait_until(lambda: measuring_processes(board) == [])
    assert board.files() == set()


def test_a_process_that_hangs_is_killed(target, board, pack_linear, inputs, tmp_path):
    quick = dataclasses.replace(target, run_limit_s=0.01)
    with pytest.raises(CrashError, match=r"hung: no answer in 0\.01 s"):
        quick.run(pack_linear(tmp_path / "linear.edge"), inputs, tmp_path / "outputs.npz")
    assert measuring_processes(board) == []


def test_an_error_there_is_the_error_here(target, pack_linear, inputs, tmp_path):
    with pytest.raises(BackendError, match="ONNX Runtime"):
        target.run(pack_linear(tmp_path / "broken.edge", model=b"no model"), inputs, tmp_path / "outputs.npz")


def test_a_bundle_of_another_architecture_is_not_run(target, pack_linear, local_profile, inputs, tmp_path):
    other = "aarch64" if local_profile.arch == "x86_64" else "x86_64"
    bundle = pack_linear(tmp_path / "linear.edge", profile=dataclasses.replace(local_profile, arch=other))
    with pytest.raises(UnsupportedError, match=f"architecture is {other}, and ssh://board:"):
        target.sample(bundle, inputs, PLAN)


def test_what_is_there_is_not_sent_again(target, board, pack_linear, inputs, tmp_path):
    bundle = pack_linear(tmp_path / "linear.edge")
    target.sample(bundle, inputs, PLAN)
    files = {path: path.stat().st_mtime_ns for path in (board.cache / "board/files").glob("*/*")}
    target.sample(bundle, inputs, PLAN)
    assert {path: path.stat().st_mtime_ns for path in (board.cache / "board/files").glob("*/*")} == files


def test_two_that_measure_at_once_take_turns(target, board, pack_linear, inputs, tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr("hwbench.boards.calls.say", said.append)
    bundle = pack_linear(tmp_path / "linear.edge")
    with (board.cache / "board/measuring.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Thread(target=lambda: target.sample(bundle, inputs, PLAN))
        other.start()
        assert loopback_board.wait_until(lambda: bool(said))
        assert not board.is_measuring()
    other.join()
    assert said == [f"Another process uses {board.address}; waiting until it is free."]


def test_threads_of_one_build_take_turns_without_a_word(target, pack_linear, inputs, tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr("hwbench.boards.calls.say", said.append)
    bundle = pack_linear(tmp_path / "linear.edge")

    def run(number: int) -> float:
        target.run(bundle, inputs, tmp_path / f"{number}.npz")
        with np.load(tmp_path / f"{number}.npz") as archive:
            return float(archive["y"].sum())

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(run, range(3))) == [18.0] * 3
    assert said == []
