"""Speed of memory: bytes read and written per second while a large array is copied (STREAM: McCalpin, 1995)."""

from __future__ import annotations

import time

import numpy as np

from runtimes.sampling.system_facts import SystemFacts

_CACHES = 4  # the array is four times the last caches, as STREAM requires
_DEFAULT_CACHE_BYTES = 1 << 25  # of a machine that does not show its caches
_SHARE = 16  # it takes at most this fraction of the memory, and so does its copy
_TRIES = 7


def copy_bytes_per_s(facts: SystemFacts) -> float:
    """Copy an array that no cache holds, on one thread, several times; return the bytes per second of the fastest.

    Bytes read and bytes written are added.
    """
    caches = facts.last_caches * max(facts.caches_bytes.values(), default=_DEFAULT_CACHE_BYTES)
    size = min(_CACHES * caches, facts.memory_bytes // _SHARE)
    source, copy = np.ones(size // 4, np.int32), np.ones(size // 4, np.int32)
    fastest_ns = 0
    for _ in range(_TRIES):
        start = time.perf_counter_ns()
        np.copyto(copy, source)
        passed_ns = time.perf_counter_ns() - start
        fastest_ns = min(passed_ns, fastest_ns or passed_ns)
    return 2 * source.nbytes * 1e9 / fastest_ns
