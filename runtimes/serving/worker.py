"""The server's side of its worker: starting it, asking it, and starting another one after its end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import signal
import socket
import sys

from runtimes.codec import encode
from runtimes.errors import BackendError
from runtimes.processes.parent_death import child_environment
from runtimes.serving import frames
from runtimes.serving.frames import Frame
from runtimes.serving.worker_process import WorkerPlan

_READ_BYTES = 1 << 20
_STOP_S = 5


class WorkerGoneError(Exception):
    """A request that gets no answer, because the worker ended or has not started yet; its text says which."""


class Worker:
    """A worker that is started anew whenever it ends.

    Attributes:
        is_ready: whether it has loaded the bundle and takes requests.
    """

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Frame]] = {}
        self._writing = asyncio.Lock()
        self._is_stopping = False
        self.is_ready = False

    async def start(self) -> None:
        """Start a process, and wait until it has loaded the bundle.

        Raises:
            BackendError: it cannot load the bundle, and says why; or it ended.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "runtimes.serving.worker_process"),
                *(str(theirs.fileno()), json.dumps(encode(self._plan))),
                stdin=asyncio.subprocess.DEVNULL,
                env=child_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the server alone
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=_READ_BYTES)
        if self._is_stopping:  # `stop` did not know of this process
            self.kill()
        first = await frames.read(self._reader)
        if first is None or first.code != 200:
            self._writer.close()
            end = _end(await self._process.wait())
            raise BackendError(first.content.decode() if first else f"The worker {end} while it loaded the bundle.")
        self.is_ready = True

    async def run(self) -> None:
        """Pass answers on, and start another process when one ends, until `stop`.

        Raises:
            BackendError: as in `start`; another process cannot load the bundle.
        """
        while True:
            while (frame := await frames.read(self._reader)) is not None:
                future = self._pending.pop(frame.id, None)
                if future is not None and not future.done():
                    future.set_result(frame)
            self.is_ready = False
            self._writer.close()
            end = _end(await self._process.wait())
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(WorkerGoneError(f"The runtime's process {end}."))
            self._pending.clear()
            if self._is_stopping:
                return
            logging.getLogger("uvicorn.error").error("The worker %s; another one is started.", end)
            try:
                await self.start()
            except BackendError:
                if self._is_stopping:  # which ends a worker that loads, too
                    return
                raise

    async def ask(self, code: int, content: bytes = b"", json_bytes: int | None = None) -> Frame:
        """Send a request and wait for its answer.

        Raises:
            WorkerGoneError: there is no worker now, or it ended before it answered.
        """
        if not self.is_ready:
            raise WorkerGoneError("The runtime's process is being started.")
        request = Frame(next(self._numbers), code, content, json_bytes)
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = future
        try:
            async with self._writing:
                with contextlib.suppress(ConnectionError):  # `run` learns of it, too, and fails the future
                    self._writer.writelines((request.head(), content))
                    await self._writer.drain()
            return await future
        finally:
            self._pending.pop(request.id, None)  # it is still there if nobody waits any longer

    def kill(self) -> None:
        """End the process at once; `run` starts another one."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self) -> None:
        """End the process for good."""
        self._is_stopping = True
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except asyncio.TimeoutError:
            self.kill()


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
