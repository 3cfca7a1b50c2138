"""A fixed piece of work whose time says how fast this machine is just now, whatever the model does."""

from __future__ import annotations

import time

import numpy as np

_SIZE = 8_192  # of float32: in the first cache, where the clock decides
_REPEATS = 8
_COPIED = 1 << 19  # of float32: 2 MiB, more than most second caches, so that who shares the third is felt
_EVERY_NS = 20_000_000


class SpeedProbe:
    """Times the work every 20 ms, between a model's runs; it takes a tenth of a millisecond or so.

    Half of it computes and half copies, for neighbours take clock and caches alike. It is elementwise, so that no
    library spreads it over threads.
    """

    def __init__(self) -> None:
        self.times_ns: list[int] = []
        self._x = np.linspace(-1, 1, _SIZE, dtype=np.float32)
        self._y = np.empty_like(self._x)
        self._from = np.ones(_COPIED, np.float32)
        self._to = np.ones_like(self._from)
        self._next_ns = 0
        self.run()
        self.times_ns.clear()  # the first run pays for cold caches

    def tick(self, now_ns: int) -> bool:
        """Run, if it is time to; says whether it was."""
        if now_ns < self._next_ns:
            return False
        self.run()
        self._next_ns = time.perf_counter_ns() + _EVERY_NS
        return True

    def run(self) -> None:
        """Run and note the time."""
        start = time.perf_counter_ns()
        for _ in range(_REPEATS):
            np.exp(self._x, out=self._y)
            np.sqrt(self._y, out=self._y)
        np.copyto(self._to, self._from)
        self.times_ns.append(time.perf_counter_ns() - start)
