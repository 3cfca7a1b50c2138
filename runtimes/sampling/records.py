"""Records of a measuring loop: numbers in memory of a fixed size, so that a long loop does not itself grow."""

from __future__ import annotations

from array import array


class Records:
    """Integers below 2**63 in the order they were added. Once there is no room, every second one goes, and from then on
    half as many are kept, so that they are evenly spaced.

    Attributes:
        count: how many were added.
    """

    def __init__(self, capacity: int) -> None:
        self._values = array("q", [1]) * (capacity + capacity % 2)  # written now, or memory would grow page by page
        self._kept = 0
        self._every = 1
        self.count = 0

    @property
    def nbytes(self) -> int:
        """The memory that the numbers take, in bytes."""
        return self._values.itemsize * len(self._values)

    def add(self, value: int) -> None:
        """Add a number."""
        if self.count % self._every == 0:
            if self._kept == len(self._values):
                self._thin()
            self._values[self._kept] = value
            self._kept += 1
        self.count += 1

    def values(self) -> tuple[int, ...]:
        """Return the numbers that were kept."""
        return tuple(self._values[: self._kept])

    def _thin(self) -> None:
        self._kept = len(self._values) // 2
        self._every *= 2
        for index in range(self._kept):  # in place, for a copy would be a step in the memory that is looked at
            self._values[index] = self._values[2 * index]
