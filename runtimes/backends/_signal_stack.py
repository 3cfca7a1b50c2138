"""The calling thread's stack for signal handlers, kept while a runtime compiles a model.

OpenVINO sets a stack of its own when it compiles, and puts the one before it back when the model is freed (openvino
2026.4, on x86). If models are freed in another order than the reverse, that is the memory of a model that is gone, and
the next signal, as of Ctrl-C, ends the process with a segmentation fault.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator


class _Stack(ctypes.Structure):
    """`stack_t` of sigaltstack(2) on Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Put back the thread's signal stack afterwards; elsewhere than on Linux, do nothing."""
    if not sys.platform.startswith("linux"):
        yield
        return
    set_stack, before = ctypes.CDLL(None).sigaltstack, _Stack()
    set_stack(None, ctypes.byref(before))
    try:
        yield
    finally:
        set_stack(ctypes.byref(before), None)
