"""Address of a board: ssh://[user@]host[:port][/python], which can never be taken for an option of ssh."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from runtimes.errors import UsageError

SCHEME = "ssh://"
_FORM = re.compile(r"(?:(?P<user>[^@/]*)@)?(?P<host>\[[^\]/]*\]|[^:@/\[\]]*)(?::(?P<port>[^/]*))?(?P<python>/.*)?")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # no hyphen first, and nothing that a shell or ssh's %-signs expand
_PATH = re.compile(r"/[A-Za-z0-9_./+-]*")
_MAX_LENGTH = 255  # of a host's name, in DNS


@dataclass(frozen=True)
class Address:
    """A board's address; what is None comes from the user's own configuration of ssh.

    Attributes:
        host: a name, an alias in the user's configuration, or an IP address.
        python: the board's interpreter, a path or the name of a program.
    """

    host: str
    user: str | None = None
    port: int | None = None
    python: str = "python3"

    @property
    def options(self) -> tuple[str, ...]:
        """The arguments of ssh that name the board, the last of them its host."""
        user = () if self.user is None else ("-l", self.user)
        port = () if self.port is None else ("-p", str(self.port))
        return (*user, *port, "--", self.host)

    @property
    def command(self) -> str:
        """The command by which a person reaches the board."""
        port = "" if self.port is None else f"-p {self.port} "
        return f"ssh {port}{self.login}"

    @property
    def login(self) -> str:
        """The user and the host, as people and ssh-copy-id write them."""
        return self.host if self.user is None else f"{self.user}@{self.host}"

    def __str__(self) -> str:
        """Write the address as it was typed, without the interpreter."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = "" if self.user is None else f"{self.user}@"
        return f"{SCHEME}{user}{host}" + ("" if self.port is None else f":{self.port}")


def parse(text: str) -> Address:
    """Read an address.

    Raises:
        UsageError: it is none, holds a password, or has a part that ssh or a shell might take for something else.
    """
    form = _FORM.fullmatch(text.removeprefix(SCHEME)) if text.startswith(SCHEME) else None
    if form is None:
        raise _refused(text, "it is no ssh://[user@]host[:port][/python]")
    user, host, port = form["user"], form["host"], form["port"]
    if user is not None and not _WORD.fullmatch(user):
        raise _refused(text, f"{user!r} cannot be a user's name (ssh asks for no password here; use a key)")
    if host.startswith("["):
        host = host[1:-1]
        if not _is_ipv6(host):
            raise _refused(text, f"{host!r} is no IPv6 address")
    elif not _WORD.fullmatch(host) or len(host) > _MAX_LENGTH:
        raise _refused(text, f"{host!r} cannot be a host's name")
    if port is not None and not (port.isascii() and port.isdecimal() and 1 <= int(port[:6]) <= 65535):
        raise _refused(text, f"{port!r} is no port")
    python = (form["python"] or "").rstrip("/")
    if python and not _PATH.fullmatch(python):
        raise _refused(text, f"{python!r} cannot be the path of an interpreter")
    return Address(host, user, None if port is None else int(port), python or Address.python)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host  # a zone, which ssh would expand


def _refused(text: str, why: str) -> UsageError:
    return UsageError(f"--target {text!r}: {why}; write it like ssh://pi@raspberrypi.local or ssh://pi@10.0.0.7:2222.")
