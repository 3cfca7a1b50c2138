"""Memory bandwidth of this machine, by the size of the working set: a set that fits into a cache is read from there.

A model's weights are read once in every inference, so the bandwidth that bounds it is that of a working set of its size
(the cache-aware roofline: Ilic, Pratas and Sousa, 2014, Cache-aware Roofline Model: Upgrading the Loft).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

import numpy as np

from hwbench.machine.identity import Machine
from runtimes.tensors import Array

_SMALLEST_BYTES = 1 << 19  # per thread; below it, the calls themselves take a noticeable share of the time
_DEFAULT_CACHE_BYTES = 1 << 25  # of a machine that does not show its caches
_CACHES = 4  # the largest array is four times the last caches, as STREAM requires of its arrays
_SHARE = 16  # an array takes at most this fraction of the machine's memory
_CALL_BYTES = 1 << 25  # read by a thread in one call, which takes a millisecond or less
_MIN_TRIES, _MIN_S = 5, 0.06  # for each size, since the best of several tries counts

_Call = tuple[Callable[[], object], int]  # a call and the bytes that it moves


@dataclass(frozen=True)
class Bandwidth:
    """The bandwidth of reading a working set of `bytes` bytes, all threads together."""

    bytes: int
    bytes_per_s: float


def measure(machine: Machine, threads: int) -> tuple[Bandwidth, ...]:
    """Read arrays of growing size again and again, each thread its own part.

    The largest array lies well beyond the last cache, and is also copied. The faster of reading and copying counts;
    for copies, bytes read and bytes written are added (STREAM: McCalpin, 1995).

    Returns:
        Bandwidths by size, ascending.
    """
    largest = _largest_bytes(machine, threads)
    source, copy = (np.ones(largest // 4, np.int32) for _ in range(2))  # NumPy's fastest reader takes integers
    sizes = [largest]
    while sizes[0] // 2 >= _SMALLEST_BYTES * threads:
        sizes.insert(0, sizes[0] // 2)
    bandwidths = []
    for size in sizes:
        parts = np.array_split(source[: size // 4], threads)
        bandwidths.append(Bandwidth(size, _fastest([_reader(part) for part in parts])))
    copies = [_copier(*pair) for pair in zip(np.array_split(source, threads), np.array_split(copy, threads))]
    return best(bandwidths, [Bandwidth(largest, _fastest(copies))])


def best(*measured: Sequence[Bandwidth]) -> tuple[Bandwidth, ...]:
    """Take the highest bandwidth of each size from several measurements. No set is faster than a smaller one."""
    known: dict[int, float] = {}
    for each in (each for series in measured for each in series):
        known[each.bytes] = max(known.get(each.bytes, 0.0), each.bytes_per_s)
    top, bandwidths = 0.0, []
    for size in sorted(known, reverse=True):
        top = max(top, known[size])
        bandwidths.append(Bandwidth(size, top))
    return tuple(reversed(bandwidths))


def bound(memory: Sequence[Bandwidth], size: int) -> float | None:
    """Return the largest bandwidth of a working set of a size, in bytes per second; None below the smallest
    measured.
    """
    return next((each.bytes_per_s for each in reversed(memory) if each.bytes <= size), None)


def _largest_bytes(machine: Machine, threads: int) -> int:
    """Choose the largest size. Threads may use as many last caches as the machine has, and one each at most."""
    caches = min(threads, machine.last_caches) * max(machine.caches_bytes.values(), default=_DEFAULT_CACHE_BYTES)
    wanted = min(max(_CACHES * caches, 2 * _SMALLEST_BYTES), machine.memory_bytes // _SHARE)
    return 1 << (wanted.bit_length() - 1)


def _reader(part: Array) -> _Call:
    """Make a call that reads the part several times, so that the cost of the call is shared by many bytes."""
    turns = max(1, _CALL_BYTES // part.nbytes)
    again = np.broadcast_to(part, (turns, part.size))
    out = np.empty(turns, part.dtype)
    return (lambda: np.maximum.reduce(again, axis=1, out=out)), turns * part.nbytes


def _copier(source: Array, copy: Array) -> _Call:
    return (lambda: np.copyto(copy, source)), source.nbytes + copy.nbytes


def _fastest(calls: Sequence[_Call]) -> float:
    """Return bytes per second of the best of several tries; in each try all threads make their calls at once."""
    moved = sum(size for _, size in calls)
    begin = Barrier(len(calls))

    def one(call: Callable[[], object]) -> tuple[int, int]:
        begin.wait()
        start = time.perf_counter_ns()
        call()  # NumPy lets other threads run meanwhile
        return start, time.perf_counter_ns()

    fastest_ns, tries = float("inf"), 0
    end = time.perf_counter() + _MIN_S
    with ThreadPoolExecutor(len(calls)) as pool:
        while tries < _MIN_TRIES or time.perf_counter() < end:
            times = list(pool.map(one, [call for call, _ in calls]))
            fastest_ns = min(fastest_ns, max(stop for _, stop in times) - min(start for start, _ in times))
            tries += 1
    return moved * 1e9 / fastest_ns
