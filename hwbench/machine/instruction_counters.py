"""Counting of instructions: by the processor's counters where a process may read them, else under valgrind."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from runtimes.errors import UnsupportedError, UsageError
from runtimes.instructions.perf_instructions import PerfCounter

PERF, VALGRIND = "the processor's counters", "valgrind"


@dataclass(frozen=True)
class Counting:
    """The means of counting.

    Attributes:
        by: its name, with a version where the figure depends on it.
        valgrind: the program to run under; None for the processor's own counters.
    """

    by: str
    valgrind: Path | None = None

    def command(self, dumps: Path) -> tuple[str, ...]:
        """Return what precedes the interpreter in a command; callgrind writes its counts beside `dumps`."""
        if self.valgrind is None:
            return ()
        options = ("--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={dumps}", "-q")
        return (str(self.valgrind), *options)


def find_counting() -> Counting:
    """Find a means of counting on this machine.

    Raises:
        UsageError: there is none; says why, and what to install.
    """
    try:
        PerfCounter().close()
        return Counting(PERF)
    except UnsupportedError as error:
        why = str(error)
    program = shutil.which("valgrind")
    if program is None or not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        raise UsageError(
            f"Instructions cannot be counted here: {why}. On x86-64, valgrind counts them without counters; install it "
            "(apt install valgrind), or leave the budget out."
        )
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, env=os.environ).stdout
    return Counting(f"{VALGRIND} {said.strip().rpartition('-')[2]}".strip(), Path(program))
