"""Parts that the command lines of measuring processes share: exit codes, and plans given as JSON."""

from __future__ import annotations

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
    try:
        return run()
    except EdgewrightError as error:
        sys.stderr.write(f"Error: {one_line(str(error))}\n")
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough; Python would complain again at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
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
