"""Instructions that this process retired, by Linux's performance counters (perf_event_open(2))."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

from runtimes.errors import UnsupportedError

_CALL_NUMBERS = {"x86_64": 298, "aarch64": 241}  # of perf_event_open, in asm/unistd.h
_HARDWARE, _INSTRUCTIONS = 0, 1  # PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS
_ATTRIBUTES_BYTES, _FLAGS_AT = 112, 40  # PERF_ATTR_SIZE_VER5, and where its bit field begins
_INHERIT, _NO_KERNEL, _NO_HYPERVISOR = 1 << 1, 1 << 5, 1 << 6
_CLOSE_ON_EXEC = 1 << 3


class PerfCounter:
    """A counter of user-space instructions of this thread, and of all threads that start after it was opened.

    Raises:
        UnsupportedError: the kernel or the processor does not let this process count; says why.
    """

    def __init__(self) -> None:
        number = _CALL_NUMBERS.get(platform.machine())
        if number is None:
            raise UnsupportedError(f"perf_event_open is not known on {platform.machine()}")
        attributes = bytearray(_ATTRIBUTES_BYTES)
        struct.pack_into("=IIQ", attributes, 0, _HARDWARE, _ATTRIBUTES_BYTES, _INSTRUCTIONS)
        struct.pack_into("=Q", attributes, _FLAGS_AT, _INHERIT | _NO_KERNEL | _NO_HYPERVISOR)
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
        self._file: int = libc.syscall(number, buffer, 0, -1, -1, _CLOSE_ON_EXEC)
        if self._file < 0:
            error = ctypes.get_errno()
            hint = "; the processor shows no counters, as in most virtual machines" if error == 2 else ""
            hint = "; see /proc/sys/kernel/perf_event_paranoid" if error in (1, 13) else hint
            raise UnsupportedError(f"perf_event_open: {os.strerror(error)}{hint}")

    def read(self) -> int:
        """Return the instructions so far."""
        return int.from_bytes(os.read(self._file, 8), "little")

    def close(self) -> None:
        """Close the counter."""
        os.close(self._file)
