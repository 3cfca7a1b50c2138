"""The two kinds of meters: a counter of energy, and a gauge of power."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


class Counter:
    """A meter that counts energy itself. It may wrap around to zero, and must be read more often than it wraps."""

    def __init__(self, name: str, read_uj: Callable[[], int], range_uj: int | None = None) -> None:
        self.name, self._read_uj, self._range_uj = name, read_uj, range_uj
        self._last, self._drawn = read_uj(), 0

    def drawn_uj(self) -> int:
        """Return the microjoules since the meter was opened.

        Raises:
            ValueError: the count went back, and the largest count of this meter is not known.
        """
        now = self._read_uj()
        step = now - self._last
        if step < 0:
            if self._range_uj is None:
                raise ValueError(f"{self.name} went back by {-step} uJ")
            step += self._range_uj
        self._last, self._drawn = now, self._drawn + step
        return self._drawn


class Gauge:
    """A meter that shows power. Energy is the integral by trapezoids, so the meter must be read often."""

    def __init__(
        self, name: str, read_uw: Callable[[], int], clock_ns: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self.name, self._read_uw, self._clock_ns = name, read_uw, clock_ns
        self._at_ns, self._power_uw, self._drawn = clock_ns(), read_uw(), 0.0

    def drawn_uj(self) -> int:
        """Return the microjoules since the meter was opened."""
        now_ns, power_uw = self._clock_ns(), self._read_uw()
        self._drawn += (power_uw + self._power_uw) / 2 * (now_ns - self._at_ns) / 1e9
        self._at_ns, self._power_uw = now_ns, power_uw
        return round(self._drawn)


Meter = Counter | Gauge


def number(path: Path) -> int:
    """Read the number in a file of sysfs.

    Raises:
        OSError: the file does not exist or cannot be read.
        ValueError: the file holds no number.
    """
    return int(path.read_text())
