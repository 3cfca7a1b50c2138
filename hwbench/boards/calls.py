"""Calls of a board's agent, whose protocol `agent` describes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hwbench.boards import agent, faults
from hwbench.boards.connection import Connection, close, said
from hwbench.child_process import tracked
from hwbench.progress import say
from hwbench.targets import CrashError
from runtimes.errors import UnsupportedError, UsageError

ALIVE_S, SILENCE_S = 5.0, 30.0
"""Seconds between our signs of life, and those without one after which an agent gives up."""

_OLDEST = (3, 10)
_TOO_OLD = "edgewright-python"
_NOT_FOUND = 127  # of shells: there is no such program
_CLEANING_S = 10.0  # that an agent may need to clean up after its answer
_CHUNK = 1 << 20
_MAX_LINE = 16 << 20  # of an answer, which holds what a process printed


@dataclass(frozen=True)
class SentFile:
    """A file that a call needs on the board."""

    path: Path
    sha256: str
    name: str


def sent_file(path: Path, name: str) -> SentFile:
    """Digest a file that a call needs on the board, where it gets this name."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while part := file.read(_CHUNK):
            digest.update(part)
    return SentFile(path, digest.hexdigest(), name)


def call(
    connection: Connection,
    command: str,
    files: Mapping[str, SentFile] = {},
    outputs: Mapping[str, Path] = {},
    **arguments: Any,
) -> dict[str, Any]:
    """Have the agent do something, and wait for its answer.

    Args:
        connection: the connection.
        command: the agent's command.
        files: what it needs, by the names in the command's arguments; a file that is on the board is not sent again.
        outputs: the files to write here, by the names of those that it may write there.
        arguments: the command's own.

    Returns:
        The answer; "outputs" holds the sizes of the files that were written.

    Raises:
        UnsupportedError: the board has no Python, or one that is too old.
        BoardLostError: the connection was lost.
        CrashError: the agent itself was killed.
        UsageError: the board cannot write its cache.
        OSError: a disk is full.
    """
    request = {
        "command": command,
        "silence_s": SILENCE_S,
        "files": {
            name: {"sha256": file.sha256, "name": file.name, "bytes": file.path.stat().st_size}
            for name, file in files.items()
        },
        "outputs": list(outputs),
        **arguments,
    }
    with _agent(connection) as (process, stderr):
        try:
            return _talk(connection, process, request, files, outputs)
        except (EOFError, BrokenPipeError):
            raise _ended(connection, process.wait(), said(stderr)) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(f"{connection.address} answered what is no answer of our agent.") from None


@contextlib.contextmanager
def _agent(connection: Connection) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Start the agent, whose text goes before the call."""
    text = Path(agent.__file__).read_bytes()
    start = (
        f"import sys; sys.version_info < {_OLDEST} and sys.exit('{_TOO_OLD} ' + sys.version.split()[0]); "
        f"exec(compile(sys.stdin.buffer.read({len(text)}), 'agent', 'exec'))"
    )
    with tempfile.TemporaryFile() as stderr:
        process = connection.open_session([connection.address.python, "-c", start], stderr)
        with tracked(process):
            try:
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError):  # what it wrote tells why
                    process.stdin.write(text)
                yield process, stderr
            finally:
                close(process)


def _talk(
    connection: Connection,
    process: subprocess.Popen[bytes],
    request: Mapping[str, Any],
    files: Mapping[str, SentFile],
    outputs: Mapping[str, Path],
) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    _send(process.stdin, json.dumps(request).encode() + b"\n")
    while process.stdout.readline() not in (agent.MARK, b""):
        pass
    if files:
        for name in _answer(connection, process.stdout)["send"]:
            with contextlib.suppress(BrokenPipeError), files[name].path.open("rb") as file:
                shutil.copyfileobj(file, process.stdin, _CHUNK)
        with contextlib.suppress(BrokenPipeError):  # the answer tells why
            process.stdin.flush()
    with _alive(process.stdin):  # until all has come: an agent that hears nothing gives up
        done: dict[str, Any] = _answer(connection, process.stdout)["done"]
        for name, size in done.get("outputs", {}).items():
            if name not in outputs:
                raise UsageError(f"{connection.address} answered with a file '{name}' that nobody asked for.")
            _receive(process.stdout, outputs[name], size)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_CLEANING_S)
    return done


def _answer(connection: Connection, stream: IO[bytes]) -> dict[str, Any]:
    while True:
        line = stream.readline(_MAX_LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        answer: dict[str, Any] = json.loads(line)
        if "waiting" not in answer:
            break
        say(f"Another process uses {connection.address}; waiting until it is free.")
    if "failed" not in answer:
        return answer
    place = f"{connection.address}: {answer['file']}"
    if answer["errno"] == errno.ENOSPC:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
    raise UsageError(f"The board's cache cannot be used: {answer['failed']} ({place}).")


@contextlib.contextmanager
def _alive(stream: IO[bytes]) -> Iterator[None]:
    """Show the agent, again and again, that we live."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(ALIVE_S):
            try:
                _send(stream, b"\n")
            except (OSError, ValueError):  # the process ended, which the reader of its answer sees, too
                return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _send(stream: IO[bytes], data: bytes) -> None:
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes], path: Path, size: int) -> None:
    if size < 0:
        raise ValueError("a file has a negative size")
    with path.open("wb") as file:
        while size:
            part = stream.read(min(size, _CHUNK))
            if not part:
                raise EOFError
            file.write(part)
            size -= len(part)


def _ended(connection: Connection, code: int, stderr: str) -> Exception:
    """Make the error of an agent that ended without an answer."""
    address = connection.address
    if _TOO_OLD in stderr:
        version = stderr.partition(_TOO_OLD)[2].strip()[:20].partition("\n")[0]
        return UnsupportedError(
            f"{address} has Python {version}, and bundles take {'.'.join(map(str, _OLDEST))} or later; install it "
            "there."
        )
    if code == _NOT_FOUND:
        return UnsupportedError(f"{address} has no '{address.python}'; install Python 3.10 or later there.")
    if code == 255 or agent.GONE in stderr:  # ssh's own exit code; or it was the agent that saw the link broken
        return faults.lost(address, stderr)
    lines = stderr.strip().splitlines()[-3:]
    return CrashError(
        f"The process on {address} that runs the model died (exit code {code}), perhaps for lack of memory."
        + (f" It said: {' | '.join(lines)}" if lines else "")
    )
