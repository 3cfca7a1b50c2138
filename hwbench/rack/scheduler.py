"""Connection to a Dask scheduler, which is encrypted, on this machine, or asked for in so many words."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import dask
from distributed import Client, Security

from runtimes.errors import BackendError, UsageError

DEFAULT_PORT = 8786
"""The port that `dask scheduler` listens on."""

_FORM = "dask://HOST:8786, or tls://HOST:8786"
_CONNECT_S = 10.0


@dataclass(frozen=True)
class Address:
    """The address of a scheduler.

    Attributes:
        is_encrypted: the connection is by TLS, with the certificates of Dask's own configuration.
        kind: the resource of the workers to use; empty for the name of a bundle's profile.
    """

    host: str
    port: int
    is_encrypted: bool
    kind: str = ""

    @property
    def uri(self) -> str:
        """The address as Dask writes it: "tcp://127.0.0.1:8786"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.is_encrypted else 'tcp'}://{host}:{self.port}"


def parse(text: str) -> Address:
    """Read an address such as dask://scheduler:8786, tls://scheduler:8786 or dask://scheduler/rpi5.

    Dask's setting `distributed.comm.require-encryption` makes TLS of either.

    Raises:
        UsageError: the text has another form.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:  # the port is no number, or a bracket is left open
        host = None
    kind = parts.path.strip("/") if host else ""
    if not host or parts.scheme not in ("dask", "tls") or "/" in kind or parts.query or parts.username:
        raise UsageError(f"'{text}' is no address of a Dask scheduler; write it like {_FORM}.")
    is_encrypted = parts.scheme == "tls" or bool(dask.config.get("distributed.comm.require-encryption", None))
    return Address(host, port, is_encrypted, kind)


def check_secured(address: Address, *, allow_insecure: bool = False) -> None:
    """Refuse a scheduler that is neither encrypted nor on this machine.

    Whoever reaches an unsecured scheduler can run code on its workers, and on the machines that ask it for results.

    Args:
        address: the scheduler.
        allow_insecure: the user vouches for the network.

    Raises:
        UsageError: it is not secured, or its name is unknown.
    """
    if address.is_encrypted or allow_insecure or _is_loopback(address):
        return
    raise UsageError(
        f"The scheduler at {address.host} is not secured: whoever reaches it can run code on its boards and here. Give "
        f"tls://{address.host}:{address.port}, with certificates in Dask's own configuration, or --insecure-scheduler "
        "on a network that you trust."
    )


@contextlib.contextmanager
def connect(address: Address, *, allow_insecure: bool = False) -> Iterator[Client]:
    """Connect to a scheduler.

    Args:
        address: the scheduler.
        allow_insecure: take one that is not secured, and not on this machine.

    Raises:
        UsageError: it is not secured, or Dask's configuration lacks the certificates for TLS.
        BackendError: nothing answers there.
    """
    check_secured(address, allow_insecure=allow_insecure)
    with _quiet(), contextlib.ExitStack() as stack:
        try:
            security = Security(require_encryption=True) if address.is_encrypted else None
            client = Client(address.uri, timeout=_CONNECT_S, security=security, set_as_default=False)
        except (TypeError, RuntimeError, FileNotFoundError) as error:  # what Dask's TLS says of a missing certificate
            raise UsageError(
                f"There is no TLS to {address.host} ({error}); name the certificates in Dask's configuration, under "
                "distributed.comm.tls."
            ) from None
        except OSError as error:
            raise BackendError(
                f"No Dask scheduler answers at {address.uri} within {_CONNECT_S:g} s ({_first_line(error)}); start one "
                "there with: dask scheduler"
            ) from None
        stack.callback(_close, client)
        yield client


def _close(client: Client) -> None:
    with contextlib.suppress(Exception):  # the scheduler may be gone, which its caller has been told
        client.close(timeout=2)


def _is_loopback(address: Address) -> bool:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"The scheduler's host '{address.host}' is unknown: {error.strerror or error}.") from None
    return all(ipaddress.ip_address(str(each[4][0]).partition("%")[0]).is_loopback for each in found)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from logging tracebacks about connections that end, of which the user is told in one sentence."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    levels = {name: logging.getLogger(name).level for name in ("distributed.client", "distributed.core")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
