"""Calibration methods, one per file: each chooses a tensor's range from its histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from runtimes import plugins

if TYPE_CHECKING:
    from toolchain.calibration.histogram import Histogram
    from toolchain.graphs.value_range import Range


class Method(Protocol):
    """A module of this folder.

    Attributes:
        NEEDS_DISTRIBUTION: the method uses the histogram's counts, and not only its extremes.
    """

    NEEDS_DISTRIBUTION: bool

    def choose(self, histogram: Histogram) -> Range:
        """Choose the range to quantize a tensor over."""


def method(name: str) -> Method:
    """Load a calibration method.

    Raises:
        UsageError: there is no such method; the message lists all.
    """
    return cast(Method, plugins.load(__name__, name, "calibration method"))
