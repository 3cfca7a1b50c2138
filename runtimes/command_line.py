"""What the command lines that measure share: exit codes, and plans that come as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TypeVar

from runtimes.codec import decode
from runtimes.errors import EdgewrightError, UsageError, one_line

T = TypeVar("T")


def exit_code(run: Callable[[], int]) -> int:
    """Run a command.

    Returns:
        Its own exit code; 2 where it failed, with a sentence on stderr; 130 where it was interrupted.
    """
    try:
        return run()
    except EdgewrightError as error:
        sys.stderr.write(f"Error: {one_line(str(error))}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"Error: {error.strerror or error}; nothing was left half-written.\n")
        return 2
    except MemoryError as error:
        sys.stderr.write(f"Error: There is too little memory{f': {error}' if str(error) else ''}.\n")
        return 2
    except KeyboardInterrupt:
        return 130


def read_plan(cls: type[T], text: str) -> T:
    """What `--plan` holds.

    Raises:
        UsageError: it is not JSON, or not such a plan.
    """
    try:
        return decode(cls, json.loads(text), "--plan")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--plan is not JSON: {error}.") from None
