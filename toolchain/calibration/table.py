"""A calibration table: the range each tensor is to be quantized over, as a file that people can read and edit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtimes.codec import decode, encode
from runtimes.errors import UsageError


@dataclass(frozen=True)
class Range:
    """What a tensor's values are taken to lie in."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"is no range: low {self.low}, high {self.high}")

    def join(self, other: Range) -> Range:
        """The smallest range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class CalibrationTable:
    """Ranges by tensor name; a tensor that no sample reached has none.

    Attributes:
        method: what chose them.
        samples: how many samples they come from.
    """

    method: str
    samples: int
    ranges: Mapping[str, Range]


def write(table: CalibrationTable, path: Path) -> None:
    """Write a table as JSON."""
    path.write_text(json.dumps(encode(table), indent=1))


def read(path: Path) -> CalibrationTable:
    """Read a table.

    Raises:
        UsageError: the file is missing, or not a calibration table; says which key.
    """
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"Calibration table '{path}' cannot be read: {error}.") from None
    return decode(CalibrationTable, data, str(path))
