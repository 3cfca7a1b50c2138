"""Faults of a board and of the way to it: each is one sentence, and the next run goes on."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path

import loopback_board
import numpy as np
import onnxruntime
import psutil
import pytest

from hwbench.boards import calls, connection
from hwbench.boards.faults import BoardLostError
from hwbench.targets.ssh import open_ssh
from runtimes.errors import UnsupportedError, UsageError
from runtimes.sampling.closed_loop import SamplingPlan

PLAN = SamplingPlan(min_runs=20, max_runs=25, duration_s=0.05)
LONG = SamplingPlan(min_runs=10**9, max_runs=10**9, duration_s=60.0, time_limit_s=60.0)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    started = loopback_board.start(tmp_path_factory.mktemp("board"))
    yield started
    loopback_board.stop(started)


@pytest.fixture
def other(tmp_path):
    """Starts a board with properties of its own."""
    started = []

    def start(*arguments, **variables):
        (folder := tmp_path / "other").mkdir()
        started.append(loopback_board.start(folder, *arguments, **variables))
        return started[-1]

    yield start
    for one in started:
        loopback_board.stop(one)


@pytest.fixture
def inputs(tmp_path):
    np.savez(tmp_path / "inputs.npz", x=np.ones((3, 4), np.float32))
    return tmp_path / "inputs.npz"


def refusal(kind, address, words):
    with pytest.raises(kind) as caught, open_ssh(address):
        pass
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_host_key_is_not_accepted(board):
    with loopback_board.client(board, UserKnownHostsFile="/dev/null"):
        refusal(UsageError, board.address, ("is not known here", f"ssh -p {board.port} board"))


def test_a_changed_host_key_is_not_accepted(board):
    with loopback_board.client(board):
        known = board.folder / "known_hosts"
        kind, key = (board.folder / "user.pub").read_text().split()[:2]
        known.write_text(f"[127.0.0.1]:{board.port} {kind} {key}\n")
        refusal(UsageError, board.address, ("another host key than before", "ssh-keygen -R"))


def test_a_key_that_the_board_does_not_know_is_refused(board):
    with loopback_board.client(board, IdentityFile=str(board.folder / "host")):
        refusal(UsageError, board.address, ("refuses the login", "ssh-copy-id board"))


def test_a_board_that_is_off_cannot_be_reached(board):
    with loopback_board.client(board):
        refusal(BoardLostError, "ssh://board:1", ("cannot be reached", "Connection refused"))
        refusal(BoardLostError, "ssh://no-such-host.invalid", ("cannot be reached", "no-such-host.invalid"))


def test_a_board_without_python_is_told(board):
    with loopback_board.client(board):
        refusal(UnsupportedError, f"{board.address}/no/python", ("has no '/no/python'", "Python 3.10 or later"))


def test_an_old_python_is_told(board, monkeypatch):
    monkeypatch.setattr(calls, "_OLDEST", (99, 0))
    with loopback_board.client(board):
        refusal(UnsupportedError, board.address, (f"has Python {sys.version.split()[0]}", "99.0 or later"))


def test_what_login_scripts_print_is_no_answer(other, pack_linear, inputs, tmp_path):
    board = other()
    command = board.folder / "command"
    command.write_text(command.read_text().replace("exec", "printf 'welcome'; exec"))
    with loopback_board.client(board), open_ssh(board.address) as target:
        assert len(target.sample(pack_linear(tmp_path / "linear.edge"), inputs, PLAN).samples_ns) >= 20


def wheel(folder: Path, name: str, source: Path) -> None:
    """A wheel that leads to the packages of a folder."""
    info = f"{name}-{onnxruntime.__version__}.dist-info"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}_there.pth", f"{source}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {onnxruntime.__version__}\n"
        )
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")


def test_a_missing_runtime_is_installed_once_and_what_pip_says_is_told(other, pack_linear, inputs, tmp_path):
    (index := tmp_path / "index").mkdir()
    packages = Path(onnxruntime.__file__).parents[1]
    wheel(index, "numpy", packages)
    board = other(f"{sys.executable} -S", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    bundle = pack_linear(tmp_path / "linear.edge")

    def samples() -> int:
        with open_ssh(board.address) as target:
            return len(target.sample(bundle, inputs, PLAN).samples_ns)

    with loopback_board.client(board):
        with pytest.raises(UsageError, match=r"cannot install onnxruntime .*No matching distribution found"):
            samples()
        wheel(index, "onnxruntime", packages)
        assert samples() >= 20
        shutil.rmtree(index)
        assert samples() >= 20


def test_a_python_that_makes_no_environments_is_told(board, pack_linear, inputs, tmp_path):
    with loopback_board.client(board), open_ssh(board.address) as target:
        target.board.description["modules"]["onnxruntime"] = False
        target.board.description["can_install"] = False
        with pytest.raises(UnsupportedError, match=r"has no onnxruntime, and its Python .* python3-venv"):
            target.sample(pack_linear(tmp_path / "linear.edge"), inputs, PLAN)


def test_a_full_disk_is_told_and_the_next_run_goes_on(other, pack_linear, inputs, tmp_path):
    (disk := tmp_path / "disk").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "none", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this user cannot mount a small disk")
    try:
        board = other(EDGEWRIGHT_CACHE=str(disk))
        bundle = pack_linear(tmp_path / "linear.edge")
        with loopback_board.client(board), open_ssh(board.address) as target:
            with pytest.raises(OSError, match="No space left") as caught:
                target.sample(bundle, inputs, PLAN)
            assert caught.value.filename == f"{board.address}: {disk}/board"
            assert list(disk.glob("board/work*")) == list(disk.glob("board/files/*/.*")) == []
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            assert len(target.sample(bundle, inputs, PLAN).samples_ns) >= 20
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_board_that_was_restarted_is_told(board, pack_linear, inputs, tmp_path):
    with loopback_board.client(board), open_ssh(board.address) as target:
        _ = target.machine
        target.board.description["boot"] = "another"
        board.hang_up()
        with pytest.raises(BoardLostError, match="was restarted while it ran a model"):
            target.sample(pack_linear(tmp_path / "linear.edge"), inputs, PLAN)


def test_a_host_that_is_killed_leaves_nothing_running(board, pack_linear, inputs, tmp_path):
    bundle = pack_linear(tmp_path / "linear.edge")
    program = textwrap.dedent(f"""
        from pathlib import Path
        from hwbench.targets.ssh import open_ssh
        from runtimes.sampling.closed_loop import SamplingPlan
        with open_ssh({board.address!r}) as target:
            plan = SamplingPlan(min_runs=10**9, max_runs=10**9, duration_s=60.0, time_limit_s=60.0)
            target.sample(Path({str(bundle)!r}), Path({str(inputs)!r}), plan)
    """)
    with loopback_board.client(board):
        host = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[3])
        assert loopback_board.wait_until(board.is_measuring)
        host.send_signal(signal.SIGKILL)
        host.wait()
        assert loopback_board.wait_until(lambda: not board.sessions())
    assert loopback_board.wait_until(lambda: board.files() == set())


RELAY = """
import os, socket, sys, threading, time
rate, port = float(sys.argv[1]), int(sys.argv[2])
link = socket.create_connection(("127.0.0.1", port))
def pump(read, write):
    while data := read(4096):
        time.sleep(len(data) / rate)
        write(data)
threading.Thread(target=pump, args=(link.recv, lambda data: os.write(1, data)), daemon=True).start()
pump(lambda size: os.read(0, size), link.sendall)
"""


@pytest.fixture
def relay(tmp_path):
    (tmp_path / "relay.py").write_text(RELAY)
    return lambda board, rate: f"{sys.executable} {tmp_path}/relay.py {rate} {board.port}"


def test_a_slow_link_brings_the_same(board, pack_linear, inputs, tmp_path, relay):
    bundle = pack_linear(tmp_path / "linear.edge")
    with loopback_board.client(board, ProxyCommand=relay(board, 200_000)), open_ssh(board.address) as target:
        assert len(target.sample(bundle, inputs, PLAN).samples_ns) >= 20


def test_a_link_that_falls_silent_is_taken_for_lost_on_both_ends(
    board, pack_linear, inputs, tmp_path, relay, monkeypatch
):
    monkeypatch.setitem(connection._OPTIONS, "ServerAliveInterval", "1")
    monkeypatch.setitem(connection._OPTIONS, "ServerAliveCountMax", "1")
    monkeypatch.setattr(calls, "SILENCE_S", 2.0)
    monkeypatch.setattr(calls, "ALIVE_S", 0.5)
    stopped: list[psutil.Process] = []

    def stop() -> None:
        loopback_board.wait_until(board.is_measuring)
        for process in psutil.process_iter(["cmdline"]):
            if str(tmp_path / "relay.py") in (process.info["cmdline"] or ()):
                process.suspend()
                stopped.append(process)

    stopper = threading.Thread(target=stop)
    bundle = pack_linear(tmp_path / "linear.edge")
    with loopback_board.client(board, ProxyCommand=relay(board, 10**9)), open_ssh(board.address) as target:
        try:
            stopper.start()
            block = target.sample(bundle, inputs, dataclasses.replace(LONG, duration_s=3.0, time_limit_s=3.0))
        finally:
            stopper.join()
            for process in stopped:
                process.kill()
    assert stopped
    assert len(block.samples_ns) > 25
