"""Connection to a Dask scheduler, which is encrypted, on this machine, or asked for in so many words."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import logging
import socket
from collections.abc import Iterator

import dask
from distributed import Client, Security

from hwbench.boards.faults import BoardLostError
from hwbench.rack.scheduler_address import SchedulerAddress
from runtimes.errors import UsageError

_CONNECT_S = 10.0
_LOGGERS = ("distributed", "distributed.client", "distributed.core", "distributed.comm")


def secured(address: SchedulerAddress) -> SchedulerAddress:
    """Return an address that may be connected to: by TLS if Dask's setting `comm.require-encryption` asks for it.

    Whoever reaches an unsecured scheduler can run code on its workers, and on the machines that ask it for results.

    Raises:
        UsageError: it is neither encrypted nor on this machine, and the user does not vouch for it; or its name is
            unknown.
    """
    if dask.config.get("distributed.comm.require-encryption", None):
        return dataclasses.replace(address, is_encrypted=True)
    if address.is_encrypted or address.is_trusted or _is_loopback(address):
        return address
    raise UsageError(
        f"The scheduler at {address.host} is not secured: whoever reaches it can run code on its boards and here. Give "
        f"tls://{address.host}:{address.port}, with certificates in Dask's own configuration, or "
        f"dask+insecure://{address.host}:{address.port} on a network that you trust."
    )


@contextlib.contextmanager
def connect(address: SchedulerAddress) -> Iterator[Client]:
    """Connect to a scheduler.

    Raises:
        UsageError: it is not secured, or Dask's configuration lacks the certificates for TLS.
        BoardLostError: nothing answers there.
    """
    address = secured(address)
    with _quiet(), contextlib.ExitStack() as stack:
        try:
            security = Security(require_encryption=True) if address.is_encrypted else None
            client = Client(address.uri, timeout=_CONNECT_S, security=security, set_as_default=False)
        except (TypeError, RuntimeError, FileNotFoundError) as error:  # what Dask's TLS says of a missing certificate
            raise UsageError(
                f"There is no TLS to {address.host} ({_first_line(error)}); name the certificates in Dask's "
                "configuration, under distributed.comm.tls."
            ) from None
        except OSError as error:
            raise BoardLostError(
                f"No Dask scheduler answers at {address.uri} within {_CONNECT_S:g} s ({_first_line(error)}); start one "
                "there with: dask scheduler"
            ) from None
        stack.callback(_close, client)
        yield client


def _close(client: Client) -> None:
    with contextlib.suppress(Exception):  # the scheduler may be gone, which its caller has been told
        client.close(timeout=2)


def _is_loopback(address: SchedulerAddress) -> bool:
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
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
