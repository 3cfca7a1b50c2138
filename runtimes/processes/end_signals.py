"""The signals that end a process from outside, at which it leaves no more behind than at Ctrl-C."""

from __future__ import annotations

import signal
import sys


def end_signals() -> tuple[signal.Signals, ...]:
    """List SIGTERM, as of a CI job, and SIGHUP, of a terminal that closes; without those that are ignored (`nohup`)."""
    signals = (signal.SIGTERM, signal.SIGHUP)
    return tuple(number for number in signals if signal.getsignal(number) is not signal.SIG_IGN)


def end_orderly() -> None:
    """Have `end_signals` end this process by SystemExit, with the exit code of a shell."""
    for number in end_signals():
        signal.signal(number, lambda number, _: sys.exit(128 + number))
