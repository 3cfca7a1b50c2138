"""A server among clients that are slow, huge, half and many: it answers the others, and its health, and ends in time.

All wait for what the server does, and for nothing else; its own limits are short so that this does not take long.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from served import Server, answer_of, as_json, demanding_bundle, get, post, served

from runtimes.profile import HardwareProfile

pytest.importorskip("starlette", reason="the extra `serve` is not installed")

HEALTH = get("/v2/health/live")
ONE = as_json(x=np.ones((2, 1, 7), np.float32), rounds=np.array([1]))
ENDLESS = as_json(x=np.ones((2, 1, 7), np.float32), rounds=np.array([10**12]))


@pytest.fixture(scope="module")
def demanding(here: HardwareProfile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demanding_bundle(tmp_path_factory.mktemp("demanding"), here)


@pytest.fixture(scope="module")
def server(demanding: Path) -> Iterator[Server]:
    numbers = ["--max-requests", "2", "--max-waiting", "8", "--max-connections", "12", "--max-json-mib", "1"]
    times = ["--idle-timeout", "1", "--request-timeout", "20", "--grace", "1"]
    with served(demanding, *numbers, *times) as running:
        yield running


def infers(server: Server) -> bool:
    status, body = server.ask(post("demanding", ONE))
    return status == 200 and b'"count"' in body


def worker_of(server: Server) -> psutil.Process:
    (worker,) = psutil.Process(server.process.pid).children()
    return worker


def infers_with_another_worker(server: Server, former: psutil.Process) -> bool:
    """Wait until another worker is ready, and let it infer."""
    while former in psutil.Process(server.process.pid).children() or server.ask(get("/v2/health/ready"))[0] != 200:
        time.sleep(0.05)
    return infers(server)


def test_an_empty_batch_does_not_reach_the_runtime(server: Server) -> None:
    worker = worker_of(server)
    body = as_json(x=np.ones((2, 0, 7), np.float32), rounds=np.array([1]))
    status, answer = server.ask(post("demanding", body))
    assert (status, b"Dimension N is 0" in answer) == (400, True)
    assert worker_of(server) == worker


def test_sizes_of_thousands_of_digits(server: Server) -> None:
    sizes = ",".join(["9" * 4000] * 200).encode()
    body = b'{"inputs": [{"name": "x", "datatype": "FP32", "data": [], "shape": [' + sizes + b"]}]}"
    assert server.ask(post("demanding", body))[0] == 400
    assert infers(server)


def test_huge_bodies_are_refused_before_they_are_read(server: Server) -> None:
    for request in (post("demanding", b"", 2 << 20), post("demanding", b"", 10**18)):
        status, answer = server.ask(request)
        assert (status, b"at most" in answer) == (413, True)
    chunked = b"POST /v2/models/demanding/infer HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    assert server.ask(chunked)[0] == 411


def test_half_a_body_is_answered_and_half_the_headers_are_closed(server: Server) -> None:
    status, answer = server.ask(post("demanding", ONE[:10], len(ONE)))
    assert (status, b"stopped half-way" in answer) == (408, True)
    assert server.ask(b"POST /v2/mod") == (0, b"")
    assert server.ask(b"") == (0, b"")
    assert infers(server)


def test_an_answer_that_nobody_reads_frees_its_place(server: Server) -> None:
    """The answers, raw, are larger than what the system holds for a socket."""
    rows = np.ones((1 << 20, 1, 1), np.float32)
    head = b'{"parameters": {"binary_data_output": true}, "inputs": [{"name": "x", "shape": [%d, 1, 7], ' % len(rows)
    head += b'"datatype": "FP32", "parameters": {"binary_data_size": %d}}, ' % (28 * len(rows))
    head += b'{"name": "rounds", "shape": [1], "datatype": "INT64", "data": [1]}]}'
    body = head + bytes(28 * len(rows))
    request = post("demanding", body).replace(
        b"\r\n\r\n", b"\r\nInference-Header-Content-Length: %d\r\n\r\n" % len(head), 1
    )
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(server.connect())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request)
        assert infers(server)


def test_health_is_answered_while_all_places_are_taken_and_connections_used_up(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(server.connect()) for _ in range(2)]
        for connection in busy:
            connection.sendall(post("demanding", ENDLESS))
        assert server.ask(HEALTH)[0] == 200  # which came later, so that these are read
        halves = [stack.enter_context(server.connect()) for _ in range(20)]
        for connection in halves:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /v2/health")
        assert server.ask(HEALTH) == (200, b'{"live":true}')
        with contextlib.suppress(ConnectionError):
            assert answer_of(halves[0]) == (0, b"")  # closed to make room
        worker = worker_of(server)
        worker.kill()
        assert {answer_of(connection)[0] for connection in busy} == {503}
    assert infers_with_another_worker(server, worker)


def test_connections_that_come_all_at_once_are_no_more_than_may_be_open(demanding: Path) -> None:
    options = ["--max-connections", "12", "--idle-timeout", "100"]
    with served(demanding, *options) as server, contextlib.ExitStack() as stack:
        server.process.send_signal(signal.SIGSTOP)
        many = [stack.enter_context(server.connect()) for _ in range(40)]
        server.process.send_signal(signal.SIGCONT)
        assert server.ask(HEALTH)[0] == 200  # which came last
        closed, _, _ = select.select(many, [], [], 0)
        assert len(many) - len(closed) < 12


def test_bodies_that_arrive_slowly_take_no_place_and_the_slowest_makes_room(demanding: Path) -> None:
    """Ten may run or wait; an eleventh body displaces the first, once that is slow."""
    options = ("--max-requests", "2", "--max-waiting", "8", "--idle-timeout", "60")
    with served(demanding, *options) as server, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(10)]
        for connection in slow:
            connection.sendall(post("demanding", ONE[:10], len(ONE)))
        while not infers(server):
            time.sleep(0.1)
        status, answer = answer_of(slow[0])
        assert (status, b"others took its place" in answer) == (408, True)
        for connection in slow[1:]:
            connection.sendall(ONE[10:])
        assert [answer_of(connection)[0] for connection in slow[1:]] == [200] * 9


def test_more_requests_than_may_wait_are_refused(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(server.connect()) for _ in range(11)]
        for connection in many:
            connection.sendall(post("demanding", ENDLESS))
        (refused, *_), _, _ = select.select(many, [], [], 20)
        status, answer = answer_of(refused)
        assert (status, b"Too many requests" in answer) == (503, True), answer
        worker = worker_of(server)
        worker.kill()
    assert infers_with_another_worker(server, worker)


def test_an_inference_that_takes_too_long_is_ended(demanding: Path) -> None:
    with served(demanding, "--request-timeout", "1") as server:
        worker = worker_of(server)
        status, answer = server.ask(post("demanding", ENDLESS))
        assert (status, b"took more than 1 s" in answer) == (504, True)
        assert server.ask(HEALTH)[0] == 200
        assert infers_with_another_worker(server, worker)


@pytest.mark.usefixtures("hangup_ends")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_was_asked_is_answered_at_the_end_and_what_is_half_is_not(demanding: Path, number: int) -> None:
    with served(demanding, "--grace", "2", "--idle-timeout", "100") as server, contextlib.ExitStack() as stack:
        half, header, asked, endless = (stack.enter_context(server.connect()) for _ in range(4))
        half.sendall(post("demanding", ONE[:10], len(ONE)))
        header.sendall(b"GET /v2")
        endless.sendall(post("demanding", ENDLESS))
        slow = as_json(x=np.ones((2, 1, 7), np.float32), rounds=np.array([100_000]))
        asked.sendall(post("demanding", slow))
        while server.ask(HEALTH)[0] != 200:
            pass
        worker = worker_of(server)
        os.kill(server.process.pid, number)
        assert answer_of(asked)[0] == 200
        assert server.process.wait(timeout=60) == 0
        assert not worker.is_running()


def test_the_end_while_another_worker_loads_the_bundle(demanding: Path) -> None:
    with served(demanding) as server:
        former = worker_of(server)
        former.kill()
        while (workers := psutil.Process(server.process.pid).children()) in ([], [former]):
            pass
        server.process.terminate()
        assert server.process.wait(timeout=60) == 0
        assert not any(worker.is_running() for worker in workers)


def test_a_worker_ends_with_its_server(demanding: Path) -> None:
    with served(demanding) as server:
        worker = worker_of(server)
        server.process.kill()
        server.process.wait()
        worker.wait(timeout=60)


def test_a_bundle_that_cannot_be_loaded(demanding: Path, tmp_path: Path) -> None:
    from runtimes.__main__ import main

    (tmp_path / "x.edge").write_bytes(demanding.read_bytes()[:-100])
    assert main(["serve", str(tmp_path / "x.edge"), "--port", "0"]) == 2
    assert main(["serve", str(demanding), "--port", "0", "--idle-timeout", "0"]) == 2


def test_an_address_that_cannot_be_listened_on(
    demanding: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtimes.__main__ import main

    # uvicorn configures logging, which ends all handlers, and that of absl, which Keras brings, closes pytest's stderr.
    monkeypatch.setattr("logging.config._clearExistingHandlers", lambda: None)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], 99_999):
            assert main(["serve", str(demanding), "--port", str(port)]) == 2
            assert f"cannot listen at 127.0.0.1, port {port}; choose others" in capsys.readouterr().err
