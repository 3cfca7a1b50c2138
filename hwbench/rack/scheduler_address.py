"""Address of a Dask scheduler: tls://host:8786, or dask://host:8786 on this machine; a kind of board may follow."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from runtimes.errors import UsageError

SCHEMES = ("dask://", "tls://", "dask+insecure://")
"""The forms of an address: as Dask's configuration says, encrypted, and in the clear though on another machine."""

DEFAULT_PORT = 8786
"""The port that `dask scheduler` listens on."""


@dataclass(frozen=True)
class SchedulerAddress:
    """The address of a scheduler.

    Attributes:
        is_encrypted: the connection is by TLS, with the certificates of Dask's own configuration.
        is_trusted: the user vouches for the network, so that TLS is not asked for.
        kind: the resource of the workers to use; empty for the name of a bundle's profile.
    """

    host: str
    port: int
    is_encrypted: bool = False
    is_trusted: bool = False
    kind: str = ""

    @property
    def uri(self) -> str:
        """The address as Dask writes it: "tcp://127.0.0.1:8786"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.is_encrypted else 'tcp'}://{host}:{self.port}"


def parse_scheduler(text: str) -> SchedulerAddress:
    """Read an address such as dask://localhost:8786, tls://rack:8786 or tls://rack/rpi5.

    Raises:
        UsageError: the text has another form.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:  # the port is no number, or a bracket is left open
        host, port = None, 0
    kind = parts.path.strip("/") if host else ""
    extra = bool(host) and (parts.query or parts.fragment or parts.username is not None or "/" in kind)
    if not host or extra or f"{parts.scheme}://" not in SCHEMES:
        raise UsageError(
            f"'{text}' is no address of a Dask scheduler; write it like tls://HOST:{DEFAULT_PORT}, or "
            f"dask://localhost:{DEFAULT_PORT}."
        )
    return SchedulerAddress(host, port, parts.scheme == "tls", parts.scheme == "dask+insecure", kind)
