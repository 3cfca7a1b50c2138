"""Where an artifact is to run."""

from __future__ import annotations

from dataclasses import dataclass

from runtimes.profile import HardwareProfile
from toolchain.engines.shape_ranges import DimensionRanges


@dataclass(frozen=True)
class BuildTarget:
    """The device, for builders that compile for one.

    Attributes:
        ranges: the sizes that dynamic dimensions take there, once per optimization profile.
    """

    profile: HardwareProfile
    ranges: tuple[DimensionRanges, ...] = ()
