"""Board: a device that ssh reaches, and that runs `python -m runtimes` on files that are sent there once."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwbench.boards import calls, environments, faults
from hwbench.boards.address import Address
from hwbench.boards.calls import SentFile, sent_file
from hwbench.boards.connection import Connection, connect
from hwbench.boards.faults import BoardLostError
from hwbench.boards.own_code import pack_runtimes
from hwbench.child_process import check_ended, hung_error
from hwbench.machine.identity import Machine
from runtimes.codec import decode
from runtimes.errors import EdgewrightError
from runtimes.sampling.system_conditions import Conditions

DIFFERS = 1
"""Exit code of `python -m runtimes` for outputs that differ from the golden ones; see there."""

_FACTS_LIMIT_S = 60.0


@dataclass(frozen=True)
class Finished:
    """A process that ended well, or whose outputs differ from the golden ones.

    Attributes:
        code: its exit code, 0 or `DIFFERS`.
        printed: what it wrote to stdout.
        warned: what it wrote to stderr.
    """

    code: int
    printed: str
    warned: str


@dataclass(frozen=True)
class Introduction:
    """The description of a board by itself.

    Attributes:
        conditions: the state of its system, such as its temperature, while nothing was measured.
        copy_bytes_per_s: speed of its memory; None if it was not measured.
        installed: the runtimes that its own Python has.
        installable: the runtimes that pip could bring.
    """

    machine: Machine
    conditions: Conditions
    copy_bytes_per_s: float | None
    installed: tuple[str, ...]
    installable: tuple[str, ...]


@dataclass
class Board:
    """An open board; see `open_board`.

    Attributes:
        description: the description of that interpreter; see `environments.describe`.
        code: our own code, as the board gets it.
    """

    address: Address
    connection: Connection
    connections: contextlib.ExitStack
    description: dict[str, Any]
    code: SentFile
    _interpreters: dict[tuple[str, str | None], str | EdgewrightError] = field(default_factory=dict)
    _digests: dict[tuple[Path, int, int], SentFile] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)  # a board runs one model at a time

    @property
    def folder(self) -> str:
        """The folder of the board's cache, in words."""
        return f"{self.address}: {self.description['folder']}"

    def introduce(self, *, memory_speed: bool = False) -> Introduction:
        """Have the board describe itself.

        Args:
            memory_speed: measure how fast its memory is, too.

        Raises:
            BackendError: its Python failed.
            BoardLostError: the connection was lost.
        """
        python = self.address.python if self.description["modules"]["numpy"] else self._interpreter("onnxruntime", None)
        asked = ["machine", *(["--memory-speed"] if memory_speed else [])]
        said = json.loads(self._run(python, asked, {}, {}, _FACTS_LIMIT_S).printed)
        where = str(self.address)
        return Introduction(
            machine=decode(Machine, said["facts"], where),
            conditions=decode(Conditions, said["conditions"], where),
            copy_bytes_per_s=said["copy_bytes_per_s"],
            installed=tuple(name for name in environments.MODULES if environments.can_run(self.description, name)),
            installable=tuple(name for name in environments.MODULES if environments.can_get(self.description, name)),
        )

    def run(
        self,
        runtime: tuple[str, str | None],
        arguments: Sequence[str],
        files: Mapping[str, Path],
        outputs: Mapping[str, Path],
        limit_s: float,
        besides: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run `python -m runtimes ARGUMENTS` there.

        A call whose connection was lost is made a second time, unless the board was restarted meanwhile.

        Args:
            runtime: the runtime that it needs, and the version to install where it is missing.
            arguments: its arguments; "file:NAME" and "work:NAME" stand for the files' paths there.
            files: the files that it reads, by name.
            outputs: the files to write here, by the names of those that it writes.
            limit_s: the time after which it is killed.
            besides: outputs that it writes beside one of its files, whose names they are given with.

        Raises:
            BackendError: the process failed; the message is the error that it wrote.
            CrashError: it died or hung.
            UnsupportedError: the board cannot run the runtime.
            UsageError: something could not be installed there.
            BoardLostError: the connection was lost, or the board was restarted.
            OSError: a disk is full.
        """
        sent = {name: self._sent(path) for name, path in files.items()}
        connection = self.connection
        try:
            return self._run(self._interpreter(*runtime), arguments, sent, outputs, limit_s, besides)
        except BoardLostError:
            self._reconnect(connection)
            return self._run(self._interpreter(*runtime), arguments, sent, outputs, limit_s, besides)

    def _run(
        self,
        python: str,
        arguments: Sequence[str],
        files: Mapping[str, SentFile],
        outputs: Mapping[str, Path],
        limit_s: float,
        besides: Mapping[str, str] | None = None,
    ) -> Finished:
        sent = {"code": self.code, **files}
        asked = {"arguments": list(arguments), "limit_s": limit_s, "besides": dict(besides or {})}
        interpreter = None if python == self.address.python else python
        with self._turn:
            done = calls.call(self.connection, "run", sent, outputs, interpreter=interpreter, **asked)
        if done["hung"]:
            raise hung_error(limit_s, done["stderr"])
        # An exception that nothing caught leaves the exit code of outputs that differ.
        if done["returncode"] != DIFFERS or "Traceback (most recent call last)" in done["stderr"]:
            check_ended(done["returncode"], done["stderr"], self.folder)
        return Finished(done["returncode"], done["stdout"], done["stderr"])

    def _interpreter(self, runtime: str, version: str | None) -> str:
        key = (runtime, version)
        if key not in self._interpreters:
            found: str | EdgewrightError
            try:
                found = environments.interpreter(self.connection, self.description, runtime, version)
            except EdgewrightError as error:  # what cannot be installed is not tried again for each candidate
                found = error
            self._interpreters[key] = found
        known = self._interpreters[key]
        if isinstance(known, EdgewrightError):
            raise known
        return known

    def _sent(self, path: Path) -> SentFile:
        status = path.stat()
        key = (path, status.st_mtime_ns, status.st_size)
        if key not in self._digests:
            self._digests[key] = sent_file(path, path.name)
        return self._digests[key]

    def _reconnect(self, lost: Connection) -> None:
        """Connect anew, unless another thread did that already.

        Raises:
            BoardLostError: that fails, or the board was restarted.
        """
        with self._lock:
            if self.connection is not lost:
                return
            self.connections.close()
            self.connection = self.connections.enter_context(connect(self.address))
            before, self.description = self.description, environments.describe(self.connection)
            if self.description["boot"] != before["boot"]:
                raise faults.rebooted(self.address)


@contextlib.contextmanager
def open_board(address: Address, folder: Path) -> Iterator[Board]:
    """Connect to a board, until the end.

    Args:
        address: the board.
        folder: a folder for temporary files of this machine.

    Raises:
        NotInstalledError: there is no ssh.
        UsageError: the board refuses the login, or its key is not known.
        UnsupportedError: it has no Python that runs bundles.
        BoardLostError: it cannot be reached.
    """
    with contextlib.ExitStack() as connections:
        connection = connections.enter_context(connect(address))
        description = environments.describe(connection)
        code = pack_runtimes(folder / "runtimes.zip")
        yield Board(address, connection, connections, description, code)
