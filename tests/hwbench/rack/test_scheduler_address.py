"""Addresses of schedulers: their forms, and which of them are refused for want of TLS."""

from __future__ import annotations

import pytest

from hwbench.rack.scheduler_address import SchedulerAddress, parse_scheduler
from runtimes.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address", "uri"),
    [
        ("dask://localhost", SchedulerAddress("localhost", 8786), "tcp://localhost:8786"),
        ("dask://[::1]:99/rpi5", SchedulerAddress("::1", 99, kind="rpi5"), "tcp://[::1]:99"),
        ("tls://rack:8787", SchedulerAddress("rack", 8787, is_encrypted=True), "tls://rack:8787"),
        ("dask+insecure://rack", SchedulerAddress("rack", 8786, is_trusted=True), "tcp://rack:8786"),
    ],
)
def test_reads_an_address(text, address, uri):
    assert parse_scheduler(text) == address
    assert parse_scheduler(text).uri == uri


@pytest.mark.parametrize(
    "text",
    ["dask://", "dask://rack:port", "dask://[::1", "dask://a/b/c", "dask://u@rack", "http://rack", "dask://a?b=1"],
)
def test_another_form_is_refused(text):
    with pytest.raises(UsageError, match=r"is no address of a Dask scheduler; write it like tls://HOST:8786"):
        parse_scheduler(text)


def test_only_this_machine_is_connected_to_in_the_clear():
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    from hwbench.rack.scheduler import secured

    for text in (
        "dask://127.0.0.1",
        "dask://[::1]",
        "dask://localhost",
        "tls://192.0.2.1",
        "dask+insecure://192.0.2.1",
    ):
        assert secured(parse_scheduler(text)) == parse_scheduler(text)
    with pytest.raises(UsageError, match=r"is not secured: .* tls://192\.0\.2\.1:8786"):
        secured(parse_scheduler("dask://192.0.2.1"))


def test_dasks_own_setting_asks_for_encryption():
    dask = pytest.importorskip("dask", reason="the extra dask is not installed")
    from hwbench.rack.scheduler import secured

    with dask.config.set({"distributed.comm.require-encryption": True}):
        assert secured(parse_scheduler("dask://192.0.2.1")).uri == "tls://192.0.2.1:8786"
