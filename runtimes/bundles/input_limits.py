"""Limits of a model's inputs beyond their types and shapes, such as the length of a position table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runtimes.errors import FeedError
from runtimes.tensors import Feeds


@dataclass(frozen=True)
class InputLimits:
    """Sizes and values beyond which the source refuses to compute, as far as they are known.

    A session refuses them for every runtime, since not each does: OpenVINO 2026.4 reads past the end of a table,
    returns what an earlier call left in memory, or ends the process.

    Attributes:
        sizes: the largest size of a dynamic dimension.
        rows: of an integer input, the number of rows of the table that it indexes.
        may_be_empty: dynamic dimensions that may be 0 although outputs hold values then, as the length of a cache.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    may_be_empty: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(limit < 1 for limit in (*self.sizes.values(), *self.rows.values())):
            raise ValueError("has a limit of an input below 1")

    def __bool__(self) -> bool:
        return bool(self.sizes or self.rows or self.may_be_empty)

    def check(self, feeds: Feeds, sizes: Mapping[str, int]) -> None:
        """Check arrays that fit the declared types and shapes.

        Args:
            feeds: the arrays.
            sizes: the sizes that they give to the dynamic dimensions.

        Raises:
            FeedError: a size or a value is beyond its limit.
        """
        for name, most in self.sizes.items():
            if sizes.get(name, 0) > most:
                raise FeedError(f"Dimension {name} is {sizes[name]}; the model takes {most} at most.")
        for name, rows in self.rows.items():
            array = feeds[name]
            if array.size and not -rows <= array.min() <= array.max() < rows:
                wrong = int(array.max() if array.max() >= rows else array.min())
                raise FeedError(f"Input '{name}' holds {wrong}, and the table that it indexes has {rows:,} rows.")
