"""Device that an artifact is built for."""

from __future__ import annotations

from dataclasses import dataclass

from runtimes.profile import HardwareProfile
from toolchain.engines.shape_ranges import DimensionRanges


@dataclass(frozen=True)
class BuildTarget:
    """A device, with the sizes that a compiling builder needs.

    Attributes:
        profile: the device's hardware profile.
        ranges: the sizes of dynamic dimensions, one mapping per optimization profile.
    """

    profile: HardwareProfile
    ranges: tuple[DimensionRanges, ...] = ()
