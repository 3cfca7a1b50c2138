"""The HTTP server: a bundle over the Open Inference Protocol (KServe v2), and /metrics for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn

from runtimes.bundles.bundle import Bundle
from runtimes.errors import UsageError
from runtimes.processes.end_signals import end_signals
from runtimes.serving.application import application
from runtimes.serving.connections import Connection, check_often
from runtimes.serving.limits import Limits
from runtimes.serving.worker import Worker
from runtimes.serving.worker_process import WorkerPlan

_BACKLOG = 128  # connections that asyncio accepts at once, between two answers


def serve(
    path: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    limits: Limits | None = None,
    any_machine: bool = False,
    public_key: Path | None = None,
    at_least: int = 0,
    state: Path | None = None,
) -> None:
    """Answer requests until the process is told to stop (SIGINT, SIGTERM, SIGHUP).

    Args:
        path: the .edge file; its stem is the model's name in the paths.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free port, which uvicorn logs.
        limits: limits of requests and connections; None takes the defaults.
        any_machine: as in `load`.
        public_key: as in `load`.
        at_least: as in `load`.
        state: as in `load`.

    Raises:
        EdgewrightError: the bundle cannot be loaded; see `load`.
        UsageError: the address or the port cannot be listened on.
    """
    limits = limits or Limits()
    plan = WorkerPlan(path, path.stem, limits.requests, limits.json_bytes, any_machine, public_key, at_least, state)
    asyncio.run(_serve(plan, host, port, limits))


async def _serve(plan: WorkerPlan, host: str, port: int, limits: Limits) -> None:
    with Bundle(plan.bundle, plan.public_key) as bundle:
        artifact = bundle.manifest.artifact
    worker = Worker(plan)
    await worker.start()
    server = _Server(application(worker, artifact, plan.name, limits), host, port, limits, worker)
    answering = asyncio.create_task(worker.run())
    answering.add_done_callback(server.exit)
    checking = asyncio.create_task(check_often(server.server_state.connections, limits))
    try:
        await server.serve()
    finally:
        await worker.stop()
        checking.cancel()
        await answering  # raises what kept another worker from starting


class _Server(uvicorn.Server):
    """uvicorn with our connections, whose last ones it closes when the time to finish is over."""

    def __init__(self, app: object, host: str, port: int, limits: Limits, worker: Worker) -> None:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]  # Starlette's own type of an application differs in names of arguments
            host,
            port,
            http=type("LimitedConnection", (Connection,), {"limits": limits}),  # uvicorn makes the connections
            ws="none",
            lifespan="off",
            access_log=False,
            backlog=_BACKLOG,
            timeout_keep_alive=math.ceil(limits.idle_s),
            timeout_graceful_shutdown=math.ceil(limits.grace_s) + 1,
        )
        super().__init__(config)
        self._grace_s, self._worker = limits.grace_s, worker

    def exit(self, _: object = None) -> None:
        """Begin to stop: take no new connections, and answer what was asked."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen.

        Raises:
            UsageError: the address or the port cannot be listened on.
        """
        try:
            await super().startup(sockets)
        except (SystemExit, OverflowError):  # uvicorn logs why, and its exit codes have other meanings here
            where = f"{self.config.host}, port {self.config.port}"
            raise UsageError(f"The server cannot listen at {where}; choose others by --host and --port.") from None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests finish, and end those that do not in time."""
        end = asyncio.get_running_loop().call_later(self._grace_s, self._end)
        await super().shutdown(sockets)
        end.cancel()

    def _end(self) -> None:
        self._ended = asyncio.create_task(self._worker.stop())  # the requests that it has are refused
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop at each of the signals that ask for it, with exit code 0: what was asked was done."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, *end_signals())
        for number in signals:
            loop.add_signal_handler(number, self.exit)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
