"""Connection to a board: OpenSSH's own client with the user's configuration and keys, one connection for all calls.

A master (`ControlMaster` in ssh_config(5)) holds the connection and ends with this process, however that ends: its
session is a `cat` on a pipe of ours. Calls are sessions of it, so that none of them has to log in. No password is asked
for, and an unknown host key is refused, unless the user's configuration says otherwise.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hwbench.boards import faults
from hwbench.boards.address import Address
from runtimes.errors import NotInstalledError

_SAID_BYTES = 1 << 16  # the last of what a board wrote
_READY = b"edgewright-ready"
_LONGEST_PARENT = 60  # of the 107 bytes that Linux allows; our folder takes 20, and ssh 21 while it makes the socket
_OPTIONS = {
    "BatchMode": "yes",  # no questions
    "ClearAllForwardings": "yes",
    "ConnectTimeout": "15",
    "ControlPersist": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "ERROR",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ServerAliveCountMax": "3",
    "ServerAliveInterval": "5",
}


@dataclass
class Connection:
    """An open connection.

    Attributes:
        folder: the folder of the master's socket, which nobody else may enter.
    """

    address: Address
    folder: Path
    master: subprocess.Popen[bytes]

    def open_session(self, command: list[str], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a command on the board, by its login shell; stdin and stdout are pipes.

        The process ends with 255 if the connection is lost.
        """
        # A session does not connect by itself if the master is gone.
        asked = [*_client(self.folder), "-o", "ControlMaster=no", "-o", "ProxyCommand=false"]
        return _start([*asked, *self.address.options, f"exec {shlex.join(command)}"], stderr)


@contextlib.contextmanager
def connect(address: Address) -> Iterator[Connection]:
    """Open a connection.

    Raises:
        NotInstalledError: there is no ssh.
        UsageError: the board refuses the login, or its key is not known.
        BoardLostError: it cannot be reached.
    """
    if shutil.which("ssh") is None:
        raise NotInstalledError(
            f"{address} is reached by OpenSSH, and there is no ssh; install Debian's openssh-client."
        )
    with _socket_folder() as folder, tempfile.TemporaryFile() as stderr:
        asked = [*_client(folder), "-o", "ControlMaster=yes"]
        # The shell may be any; all know echo and exec.
        master = _start([*asked, *address.options, f"echo; echo {_READY.decode()}; exec cat"], stderr)
        try:
            assert master.stdout is not None
            if not any(line.strip() == _READY for line in iter(master.stdout.readline, b"")):
                master.wait()
                raise faults.refused(address, said(stderr))
            yield Connection(address, folder, master)
        finally:
            close(master)


def close(process: subprocess.Popen[bytes]) -> None:
    """End a session, or the master, and wait for it."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not written yet cannot be any more
                pipe.close()
    process.wait()


def said(stderr: IO[bytes]) -> str:
    """Read the last of what ssh, and the board, wrote to a file that was their stderr."""
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _SAID_BYTES))
    return stderr.read().decode("utf-8", "replace")


def _client(folder: Path) -> list[str]:
    options = {**_OPTIONS, "ControlPath": str(folder / "ssh")}
    return ["ssh", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]


def _start(command: list[str], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    # In a session of its own, Ctrl-C ends a search and not the connection, which its last steps need.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
    )


@contextlib.contextmanager
def _socket_folder() -> Iterator[Path]:
    # A path of a socket is short, and in an option, ssh expands some characters and splits at others.
    parent = tempfile.gettempdir()
    is_plain = len(parent) <= _LONGEST_PARENT and re.fullmatch(r"[A-Za-z0-9_./-]+", parent)
    with tempfile.TemporaryDirectory(prefix="edgewright-", dir=None if is_plain else "/tmp") as name:
        yield Path(name)
