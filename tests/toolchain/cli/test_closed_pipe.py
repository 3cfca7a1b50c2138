"""A closed pipe is no verdict: whoever read enough of the output is not told that a budget is broken."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

EDGEWRIGHT = "from toolchain.cli import main; main()"
DEVICE = "import sys; from runtimes.__main__ import main; sys.exit(main())"


@pytest.mark.parametrize(
    ("program", "stream", "words"),
    [
        (EDGEWRIGHT, "stdout", ["--help"]),
        (EDGEWRIGHT, "stdout", ["profiles"]),
        (EDGEWRIGHT, "stderr", ["gate", "nothing.edge"]),
        (EDGEWRIGHT, "stderr", ["profiles", "--no-such-option"]),
        (DEVICE, "stdout", ["info", "{bundle}"]),
        (DEVICE, "stderr", ["info", "nothing.edge"]),
    ],
)
def test_a_command_whose_reader_is_gone_ends_as_by_sigpipe(built_bundle, program, stream, words):
    ran = without_reader(program, [word.format(bundle=built_bundle) for word in words], stream)
    assert ran.returncode == 141
    assert not ran.stdout and not ran.stderr


def test_a_gate_whose_budget_holds_does_not_exit_with_1(built):
    words = ["gate", str(built / "report.json"), "--budget", "accuracy>=0.1"]
    assert without_reader(EDGEWRIGHT, words, "stdout").returncode == 141
    assert without_reader(EDGEWRIGHT, words, None).returncode == 0


def without_reader(program, words, stream):
    """Run a program whose `stream` is a pipe that nobody reads, and catch the other one."""
    read, write = os.pipe()
    os.close(read)
    try:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | ({stream: write} if stream else {})
        return subprocess.run([sys.executable, "-c", program, *words], **streams, timeout=60)
    finally:
        os.close(write)
