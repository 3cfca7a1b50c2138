"""Parent's death: a child that measures for its parent ends with it, also if the parent was killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

_VARIABLE = "EDGEWRIGHT_PARENT"
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def child_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child that calls `end_with_parent`.

    The thread that starts the child has to wait for it: to Linux, that thread is the parent.

    Args:
        variables: the child's other variables; those of this process, if None.
    """
    return {**(os.environ if variables is None else variables), _VARIABLE: str(os.getpid())}


def end_with_parent() -> None:
    """Have the system kill this process when its parent ends, if the parent asked for it by `child_environment`.

    Elsewhere than on Linux this does nothing.
    """
    parent = os.environ.pop(_VARIABLE, "")  # it is not the parent of this process's children
    if not parent.isdecimal() or not sys.platform.startswith("linux"):
        return
    import ctypes  # which takes longer to import than the rest of this module

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it ended before this process asked
        os.kill(os.getpid(), signal.SIGKILL)
