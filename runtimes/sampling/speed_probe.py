"""The speed probe: a fixed piece of work whose time shows how fast this machine is, independent of the model."""

from __future__ import annotations

import time

import numpy as np

from runtimes.sampling.records import Records

_SIZE = 8_192  # float32 values, which fit in the first cache, so that the clock decides
_REPEATS = 8
_COPIED = 1 << 19  # float32 values, 2 MiB: more than most second caches, so that use of a shared third cache shows
_EVERY_NS = 20_000_000


class SpeedProbe:
    """The probe, which runs every 20 ms between a model's runs and takes about a tenth of a millisecond.

    Half of the work computes and half copies, since other processes slow down both the clock and the caches. It is
    elementwise, so that no library spreads it over threads.

    Attributes:
        times_ns: time of each run in ns.
        nbytes: the memory that the probe takes, in bytes.
    """

    def __init__(self, capacity: int) -> None:
        self._x = np.linspace(-1, 1, _SIZE, dtype=np.float32)
        self._y = np.empty_like(self._x)
        self._from = np.ones(_COPIED, np.float32)
        self._to = np.ones_like(self._from)
        self._next_ns = 0
        self.times_ns = Records(1)
        self.run()
        self.times_ns = Records(capacity)  # the first run has cold caches
        arrays = (self._x, self._y, self._from, self._to)
        self.nbytes = sum(array.nbytes for array in arrays) + self.times_ns.nbytes

    def tick(self, now_ns: int) -> bool:
        """Run the probe if 20 ms have passed; tell whether it ran."""
        if now_ns < self._next_ns:
            return False
        self.run()
        self._next_ns = time.perf_counter_ns() + _EVERY_NS
        return True

    def run(self) -> None:
        """Run the probe and record its time."""
        start = time.perf_counter_ns()
        for _ in range(_REPEATS):
            np.exp(self._x, out=self._y)
            np.sqrt(self._y, out=self._y)
        np.copyto(self._to, self._from)
        self.times_ns.add(time.perf_counter_ns() - start)
