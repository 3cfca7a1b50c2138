"""Parts that the command lines of measuring processes share: exit codes, and plans given as JSON."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

from runtimes.codec import decode
from runtimes.errors import EdgewrightError, UsageError, one_line

T = TypeVar("T")


def exit_code(run: Callable[[], int]) -> int:
    """Run a command and turn its exceptions into an exit code.

    Returns:
        The command's own exit code; 2 if it failed, with a sentence on stderr; 130 if it was interrupted,
        141 if the reader of its output is gone, as shells count signals.
    """
    return unless_unread(lambda: _exit_code(run))


def escape_unknown_characters() -> None:
    """Have stdout write what its encoding lacks as escapes, as stderr does, where Python would raise an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def unless_unread(run: Callable[[], int]) -> int:
    """Run a command that returns its exit code; return 141 if the reader of stdout or stderr is gone before its end.

    Whoever closed the pipe has seen enough, which says nothing about budgets: 1 would be taken for a broken one.
    """
    try:
        return run()
    except BrokenPipeError:
        pass
    except SystemExit as end:  # rich exits with 1 when it finds a closed pipe
        if not isinstance(end.__context__, BrokenPipeError):
            raise
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:  # Python would complain again at its exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 128 + signal.SIGPIPE


def _exit_code(run: Callable[[], int]) -> int:
    try:
        code = run()
        if sys.stdout is not None:
            sys.stdout.flush()  # or Python would find a closed pipe or a full disk at its exit, and exit with 120
        return code
    except EdgewrightError as error:
        sys.stderr.write(f"Error: {one_line(str(error))}\n")
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stderr.write(f"Error: {error.strerror or error}; nothing was left half-written.\n")
        return 2
    except MemoryError as error:
        sys.stderr.write(f"Error: There is too little memory{f': {error}' if str(error) else ''}.\n")
        return 2
    except KeyboardInterrupt:
        return 130


def read_plan(cls: type[T], text: str) -> T:
    """Decode the value of `--plan`.

    Raises:
        UsageError: the text is not JSON, or is not a plan of this class.
    """
    try:
        return decode(cls, json.loads(text), "--plan")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--plan is not JSON: {error}.") from None
