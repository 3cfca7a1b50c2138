"""Boards of a rack: the workers of a Dask scheduler, each called by itself, since blocks of two do not compare."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, Future, KilledWorker
from distributed.comm import CommClosedError

import runtimes
from hwbench.boards.faults import BoardLostError
from hwbench.machine.identity import Machine
from hwbench.rack import dispatch, worker_files, worker_tasks
from runtimes.codec import decode
from runtimes.errors import BackendError, EdgewrightError, NotInstalledError, UsageError

R = TypeVar("R")

_PART_BYTES = 4 << 20  # Dask warns about arguments above 10 MB
_POLL_S = 1.0


class StoppedError(BackendError):
    """The caller has asked to stop."""


@dataclass(frozen=True)
class Description:
    """A board's description of itself.

    Attributes:
        can_build: the toolchain's packages are installed there.
    """

    machine: Machine
    can_build: bool


@dataclass(frozen=True)
class Board:
    """One worker of a rack.

    Attributes:
        address: the worker's address, which a restarted worker does not keep.
        name: its name for people.
        kinds: its resources, such as rpi5.
        stopping: set to have calls that wait raise StoppedError.
    """

    client: Client
    address: str
    name: str
    kinds: frozenset[str]
    stopping: threading.Event = field(default_factory=threading.Event)
    _names: dict[tuple[Path, int, int], str] = field(default_factory=dict, compare=False, repr=False)
    _sent: set[str] = field(default_factory=set, compare=False, repr=False)

    def call(self, function: Callable[..., R], *arguments: Any, kind: str | None = None, **keywords: Any) -> R:
        """Call a function on the worker.

        Args:
            function: a function of a module that is installed there.
            arguments: its arguments, of less than 10 MB.
            kind: the resource that it takes while it runs.
            keywords: its keyword arguments.

        Raises:
            BoardLostError: the worker is gone, or the scheduler.
            StoppedError: `stopping` was set.
            NotHeldError: the function asked for a file that has not come there.
            EdgewrightError: the function's own error.
            NotInstalledError: edgewright is missing there.
            BackendError: the function failed in another way.
        """
        done = threading.Event()
        try:
            future = self.client.submit(
                dispatch.call,
                dispatch.name_of(function),
                arguments,
                keywords,
                key=f"edgewright-{function.__name__}-{os.urandom(8).hex()}",
                workers=[self.address],
                allow_other_workers=False,  # Dask waits for this one, so its end is looked for below
                resources={kind: 1} if kind else None,
                pure=False,
            )
            future.add_done_callback(lambda _: done.set())
            try:
                while not done.wait(_POLL_S):
                    self._check_alive()
                result: R = self._result(future)
                return result
            finally:
                future.cancel()  # no effect on one that has ended
        except BoardLostError:
            raise
        except (CommClosedError, CancelledError, KilledWorker, TimeoutError, OSError) as error:
            raise BoardLostError(f"The board {self.name} was lost: {_reason(error)}") from None

    def _check_alive(self) -> None:
        if self.stopping.is_set():
            raise StoppedError(f"The work on {self.name} was stopped.")
        if self.address not in self.client.nthreads():
            raise BoardLostError(f"The board {self.name} was lost: its worker left the scheduler.")

    def _result(self, future: Future) -> Any:
        try:
            return future.result()
        except (EdgewrightError, worker_files.NotHeldError, CancelledError, KilledWorker, CommClosedError):
            raise
        except ImportError as error:
            raise NotInstalledError(
                f"The board {self.name} lacks a package ({error}); install edgewright {runtimes.__version__} there, "
                "with the extras hwbench, dask and that of the bundle's runtime."
            ) from None
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise BackendError(f"The board {self.name} failed: {_reason(error)}") from None
            raise NotInstalledError(
                f"The scheduler's machine or the board {self.name} lacks edgewright; install edgewright "
                f"{runtimes.__version__} there, on the board with the extras hwbench and dask."
            ) from None
        except Exception as error:  # whatever the worker met: its disk may be full
            raise BackendError(f"The board {self.name} failed: {_reason(error)}") from None

    def call_with(
        self, function: Callable[..., R], files: dict[str, Path], *arguments: Any, kind: str, tries: int = 3
    ) -> R:
        """Call a function on the worker with the names of files, which are sent there unless they are there already.

        Args:
            function: takes the names by keyword, and the arguments.
            files: files here by keyword.
            arguments: further arguments.
            kind: the resource that it takes while it runs.
            tries: how often the files may be sent.

        Raises:
            As in `call`.
        """
        names = {keyword: self._name(file) for keyword, file in files.items()}
        paths = {names[keyword]: file for keyword, file in files.items()}
        if unsent := [name for name in paths if name not in self._sent]:
            for name in self.call(worker_files.missing, unsent):
                self._send(name, paths[name])
            self._sent.update(unsent)
        try:
            return self.call(function, *arguments, kind=kind, **names)
        except worker_files.NotHeldError:  # the worker has made room for others since
            self._sent.difference_update(paths)
            if tries == 1:
                most = f"{worker_files.LIMIT_BYTES:,} bytes"
                raise BackendError(
                    f"The board {self.name} cannot hold the files at a time; {most} are the most."
                ) from None
            return self.call_with(function, files, *arguments, kind=kind, tries=tries - 1)

    def describe(self) -> Description:
        """Have the board describe itself, after a check that edgewright there is this release.

        Raises:
            UsageError: it is another release, which might measure otherwise.
        """
        found = self.call(worker_tasks.describe)
        if found["version"] != runtimes.__version__:
            raise UsageError(
                f"The board {self.name} has edgewright {found['version']}, and this is {runtimes.__version__}; install "
                "the same release on both."
            )
        return Description(decode(Machine, found["machine"], f"the board {self.name}"), bool(found["can_build"]))

    def _name(self, file: Path) -> str:
        status = file.stat()
        key = (file, status.st_size, status.st_mtime_ns)
        if key not in self._names:
            with file.open("rb") as content:
                digest = hashlib.sha256()
                while part := content.read(1 << 20):
                    digest.update(part)
            self._names[key] = digest.hexdigest() + file.suffix
        return self._names[key]

    def _send(self, name: str, file: Path) -> None:
        upload, left = os.urandom(8).hex(), file.stat().st_size
        with file.open("rb") as content:
            while True:
                part = content.read(_PART_BYTES)
                left -= len(part)
                self.call(worker_files.append, name, upload, part, is_last=left <= 0)
                if left <= 0:
                    return


def find_boards(client: Client, kind: str | None = None) -> list[Board]:
    """List the workers of a scheduler, or those that offer a resource, by name.

    Raises:
        BoardLostError: the scheduler is gone.
    """
    try:
        workers = client.scheduler_info(n_workers=-1)["workers"]
    except (OSError, RuntimeError) as error:
        raise BoardLostError(f"The scheduler was lost: {_reason(error)}") from None
    found = [
        Board(
            client, address, str(worker["name"]), frozenset(name for name, n in worker["resources"].items() if n >= 1)
        )
        for address, worker in workers.items()
    ]
    return sorted((board for board in found if kind is None or kind in board.kinds), key=lambda board: board.name)


def choose_board(client: Client, kind: str, worker: str = "") -> Board:
    """Choose a board of a kind, one that works on nothing if there is one.

    Args:
        client: the scheduler.
        kind: the resource that it offers.
        worker: the address of the worker to take; any, if empty.

    Raises:
        UsageError: no worker offers it; the message lists what is offered.
        BoardLostError: the worker is gone.
    """
    found = [board for board in find_boards(client, kind) if worker in ("", board.address)]
    if not found:
        offered = sorted({kind for board in find_boards(client) for kind in board.kinds})
        if worker:
            raise BoardLostError(f"The board at {worker} was lost: its worker left the scheduler.")
        raise UsageError(
            f"No worker of the scheduler offers '{kind}' (offered: {', '.join(offered) or 'nothing'}); start one on "
            f"the board with: dask worker SCHEDULER --nthreads 1 --resources {kind}=1"
        )
    busy = client.processing()
    return min(found, key=lambda board: len(busy.get(board.address, ())))


def stoppable(board: Board, stopping: threading.Event) -> Board:
    """Return the board, whose calls end when the event is set."""
    return dataclasses.replace(board, stopping=stopping)


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}{': ' + lines[0] if lines else ''}"
