"""Instructions under valgrind's tool callgrind, which this process is told to start counting and to write its count.

A program talks to valgrind by a sequence of instructions that does nothing elsewhere (valgrind.h, "client request").
The numbers of the requests are those of callgrind.h.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import re
from pathlib import Path

from runtimes.errors import UnsupportedError

_BASE = ord("C") << 24 | ord("T") << 16
_DUMP, _START = _BASE, _BASE + 4  # DUMP_STATS, which also begins anew at zero, and START_INSTRUMENTATION
# mov rax, rdi; mov rdx, rsi; rol rdi by 3, 13, 61 and 51; xchg rbx, rbx; mov rax, rdx; ret
_X86_64 = bytes.fromhex("4889f8 4889f2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


class Callgrind:
    """A count of this process's instructions, in all threads.

    Args:
        dumps: the file that valgrind was told to write (`--callgrind-out-file`); each count is another one beside it.

    Raises:
        UnsupportedError: on another processor than x86-64.
    """

    def __init__(self, dumps: Path) -> None:
        if platform.machine() != "x86_64":
            raise UnsupportedError(f"instructions are counted under valgrind on x86-64, not on {platform.machine()}")
        self._dumps, self._marks = dumps, 0
        self._code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(_X86_64)
        signature = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64), ctypes.c_uint64)
        self._ask = signature(ctypes.addressof(ctypes.c_char.from_buffer(self._code)))
        self._request(_START)

    def mark(self) -> None:
        """End a count, and begin the next one."""
        self._request(_DUMP)
        self._marks += 1

    def counts(self) -> list[int]:
        """Return the instructions until each mark, since the one before it.

        Raises:
            UnsupportedError: this process does not run under callgrind.
        """
        files = [self._dumps.with_name(f"{self._dumps.name}.{number}") for number in range(1, self._marks + 1)]
        found = [_TOTAL.search(file.read_text("ascii", "replace")) for file in files if file.exists()]
        totals = [int(match[1]) for match in found if match is not None]
        if len(totals) < self._marks:
            raise UnsupportedError("this process does not run under callgrind")
        return totals

    def _request(self, number: int) -> None:
        self._ask((ctypes.c_uint64 * 6)(number), 0)
