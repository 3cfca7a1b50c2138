"""A board that is this machine: OpenSSH's server on the loopback interface, with its own keys and configuration."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
_START_S = 20.0


@dataclass
class LoopbackBoard:
    """A running server.

    Attributes:
        folder: its keys and configuration.
        cache: the folder that stands for the board's cache.
        server: its process.
    """

    folder: Path
    cache: Path
    port: int
    server: subprocess.Popen[bytes]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The address of the board, which the client's configuration calls `board`."""
        return f"ssh://board:{self.port}"

    def sessions(self) -> list[psutil.Process]:
        """List the processes that serve connections, and all that they started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.server.pid).children(recursive=True)
        return []

    def hang_up(self) -> None:
        """Kill the processes that serve connections, but not what they started, nor the server."""
        for process in self.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name().startswith("sshd"):
                    process.kill()

    def is_measuring(self) -> bool:
        """Whether a process of the board measures at this moment."""
        for process in self.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "sample" in process.cmdline():
                    return True
        return False

    def files(self) -> set[str]:
        """List what is in the board's cache beside files, code and locks."""
        found = (path.relative_to(self.cache / "board") for path in (self.cache / "board").rglob("*"))
        return {str(path) for path in found if path.parts[0] not in ("files", "code") and path.suffix != ".lock"}


def start(folder: Path, python: Path | str = sys.executable, **variables: str) -> LoopbackBoard:
    """Start a server, or skip the test where there is none.

    Args:
        folder: an empty folder.
        python: the interpreter that the board has as `python3`.
        variables: more variables of the board's processes.
    """
    if _SSHD is None:
        pytest.skip("there is no sshd; Debian's openssh-server brings it (make sshd)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # which the system's own service makes at its start
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=30
        )
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    cache, programs = folder / "cache", folder / "programs"
    programs.mkdir()
    _write_program(programs / "python3", f'exec {python} "$@"')
    port = _free_port()
    values = {"EDGEWRIGHT_CACHE": str(cache), "PATH": f"{programs}:/usr/bin:/bin", "OMP_NUM_THREADS": "1", **variables}
    # The user's own login scripts run before it, and may change PATH and more.
    lines = [f"export {name}='{value}'" for name, value in values.items()]
    _write_program(folder / "command", *lines, 'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin prohibit-password\nForceCommand {folder}/command\n"
    )
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([_SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    board = LoopbackBoard(folder, cache, port, server)
    _wait_for(port, server, folder / "log")
    return board


def stop(board: LoopbackBoard) -> None:
    """Stop the server, and all that it started."""
    sessions = board.sessions()
    board.server.send_signal(signal.SIGTERM)
    board.server.wait(10)
    for process in sessions:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def client(board: LoopbackBoard, **options: str) -> Iterator[None]:
    """Have `ssh` take a configuration that knows the board as `board`, in place of the user's own."""
    known = board.folder / "known_hosts"
    key = (board.folder / "host.pub").read_text().split(None, 2)[:2]
    known.write_text(f"[127.0.0.1]:{board.port} {' '.join(key)}\n")
    settings = {
        "HostName": "127.0.0.1",
        "User": getpass.getuser(),
        "IdentityFile": str(board.folder / "user"),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        **options,
    }
    (board.folder / "ssh_config").write_text(
        "\n".join(["Host board", *(f"  {k} {v}" for k, v in settings.items()), ""])
    )
    clients = board.folder / "clients"
    clients.mkdir(exist_ok=True)
    _write_program(clients / "ssh", f'exec {shutil.which("ssh")} -F {board.folder}/ssh_config "$@"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(clients), prepend=os.pathsep)
        yield


def wait_until(holds: Callable[[], bool], limit_s: float = 30.0) -> bool:
    """Whether a condition came to hold before the time was over."""
    end = time.monotonic() + limit_s
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return held


def _write_program(file: Path, *lines: str) -> None:
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as opened:
            if opened.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    pytest.skip(f"sshd does not start here: {log.read_text().strip()[-200:]}")
