"""Series of a history: the course of one figure of a model on a device, and the changes of its level."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.results.current_commit import commit_range
from hwbench.results.history import Point
from hwbench.stats.change_points import Level, change, levels


@dataclass(frozen=True)
class Change:
    """A change of a series' level.

    Attributes:
        index: the first run of the new level.
        size: the level relative to the one before, as in "+4.2%".
        commits: the commits between the two runs, as in "1a2b3c4d5..6e7f8a9b0"; "" if they are not known.
    """

    index: int
    size: str
    commits: str

    def __str__(self) -> str:
        return f"{self.size}, {self.commits}" if self.commits else self.size


def by_device(points: Sequence[Point]) -> list[list[Point]]:
    """Divide points by model, profile and device; each series stays in the order of its points."""
    ordered = sorted(points, key=_key)
    return [list(group) for _, group in itertools.groupby(ordered, key=_key)]


def changes(points: Sequence[Point]) -> tuple[tuple[Level, ...], tuple[Change, ...]]:
    """Find the levels of a series, and the changes between them."""
    found = levels([point.value for point in points])
    return found, tuple(
        Change(
            after.start,
            change(before, after),
            commit_range(points[after.start - 1].commit, points[after.start].commit),
        )
        for before, after in itertools.pairwise(found)
    )


def _key(point: Point) -> tuple[str, str, str]:
    return point.model, point.profile, point.device
