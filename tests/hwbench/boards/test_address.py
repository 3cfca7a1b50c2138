"""Addresses of boards, and what must not be taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.boards.address import Address, parse
from runtimes.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://board", Address("board")),
        ("ssh://pi@raspberrypi.local", Address("raspberrypi.local", "pi")),
        ("ssh://pi@10.0.0.7:2222", Address("10.0.0.7", "pi", 2222)),
        ("ssh://pi@10.0.0.7:2222/", Address("10.0.0.7", "pi", 2222)),
        ("ssh://[fe80::1]:22", Address("fe80::1", None, 22)),
        ("ssh://pi@board/home/pi/venv/bin/python", Address("board", "pi", None, "/home/pi/venv/bin/python")),
    ],
)
def test_an_address_names_user_host_port_and_interpreter(text, address):
    assert parse(text) == address
    assert parse(str(address)).options == address.options


@pytest.mark.parametrize(
    "text",
    [
        *("ssh://", "ssh:board", "board", "http://board", "ssh://user@", "ssh://@board", "ssh://user:secret@board"),
        *("ssh://-oProxyCommand=touch", "ssh://-board", "ssh://-u@board", "ssh://board:", "ssh://board:0"),
        *("ssh://board:99999", "ssh://board:22x", "ssh://board:²", "ssh://bo ard", "ssh://board;id", "ssh://$(id)"),
        *("ssh://board%h", "ssh://[::1%eth0]", "ssh://[board]", "ssh://::1", "ssh://a@b@c", "ssh://board/bin/a b"),
        *("ssh://board/bin/$(id)", "ssh://board?x=1", "ssh://board\n", "ssh://" + "a" * 256),
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match="write it like ssh://"):
        parse(text)


@given(st.text(max_size=40) | st.text("-@:/[]%$ab1.", max_size=20))
def test_no_part_of_an_address_can_be_an_option_or_a_command(text):
    try:
        found = parse(f"ssh://{text}")
    except UsageError:
        return
    *options, end, host = found.options
    assert end == "--"
    assert not host.startswith("-")
    assert options == [*(["-l", found.user] if found.user else []), *(["-p", str(found.port)] if found.port else [])]
    assert not (found.user or "").startswith("-")
    assert not set(f"{found.user}{host}{found.python}") & set(" \n\t'\"`$;&|<>%\\*?(){}!")
