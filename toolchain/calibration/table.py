"""Calibration table: the range of each tensor, in a file that people can read and edit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtimes.codec import decode, encode
from runtimes.errors import UsageError
from runtimes.files import replacing
from toolchain.graphs.value_range import Range


@dataclass(frozen=True)
class CalibrationTable:
    """Ranges by tensor name.

    Attributes:
        method: the calibration method that chose the ranges.
        samples: the number of samples that were observed.
        complete: false if Ctrl-C interrupted the calibration before the last sample.
        unobserved: tensors without a range, since no sample reached them.
    """

    method: str
    samples: int
    ranges: Mapping[str, Range]
    complete: bool = True
    unobserved: tuple[str, ...] = ()

    def of(self, tensors: Collection[str]) -> CalibrationTable:
        """Select the ranges of some tensors.

        Raises:
            UsageError: the table lacks one of them.
        """
        missing = [name for name in tensors if name not in self.ranges and name not in self.unobserved]
        if missing:
            raise UsageError(
                f"The calibration table has no range for the tensor {_some(missing)}; calibrate this model again, "
                "or add it to the table."
            )
        ranges = {name: self.ranges[name] for name in tensors if name in self.ranges}
        unobserved = tuple(name for name in tensors if name not in ranges)
        return dataclasses.replace(self, ranges=ranges, unobserved=unobserved)

    def check_known(self, tensors: Collection[str]) -> None:
        """Check that a table names only known tensors, and so neither is another model's nor has a misspelt name.

        Raises:
            UsageError: the table names a tensor that is not among `tensors`.
        """
        unknown = [name for name in self.ranges if name not in tensors]
        if unknown:
            raise UsageError(
                f"The calibration table names the tensor {_some(unknown)}, which this model does not have; "
                "is it another model's?"
            )


def write(table: CalibrationTable, path: Path) -> None:
    """Write a table as JSON, atomically.

    Raises:
        UsageError: the path cannot be written.
    """
    with replacing(path) as beside:
        beside.write_text(json.dumps(encode(table), indent=1) + "\n")


def read(path: Path) -> CalibrationTable:
    """Read a table.

    Raises:
        UsageError: the file is missing, or is not a calibration table (the message names the key).
    """
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"Calibration table '{path}' cannot be read: {error}.") from None
    return decode(CalibrationTable, data, str(path))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"'{names[0]}'{more}"
