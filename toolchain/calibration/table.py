"""A calibration table: the range each tensor is to be quantized over, as a file that people can read and edit."""

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
    """Ranges by tensor name; a tensor that no sample reached has none.

    Attributes:
        method: what chose them.
        samples: how many samples they come from.
        complete: whether those were all; an interrupted run's table holds what it had seen.
        unreached: tensors without a range, as no sample put anything into them.
    """

    method: str
    samples: int
    ranges: Mapping[str, Range]
    complete: bool = True
    unreached: tuple[str, ...] = ()

    def of(self, tensors: Collection[str]) -> CalibrationTable:
        """The part of a table that is about some tensors.

        Raises:
            UsageError: it lacks one; says which.
        """
        missing = [name for name in tensors if name not in self.ranges and name not in self.unreached]
        if missing:
            raise UsageError(
                f"The calibration table has no range for the tensor {_some(missing)}; calibrate this model again, "
                "or add it to the table."
            )
        ranges = {name: self.ranges[name] for name in tensors if name in self.ranges}
        unreached = tuple(name for name in tensors if name not in ranges)
        return dataclasses.replace(self, ranges=ranges, unreached=unreached)

    def check_known(self, tensors: Collection[str]) -> None:
        """Refuse a table of another model, or with a misspelt name.

        Raises:
            UsageError: it names a tensor that is not among `tensors`; says which.
        """
        unknown = [name for name in self.ranges if name not in tensors]
        if unknown:
            raise UsageError(
                f"The calibration table names the tensor {_some(unknown)}, which this model does not have; "
                "is it another model's?"
            )


def write(table: CalibrationTable, path: Path) -> None:
    """Write a table as JSON, or leave the file that was there.

    Raises:
        UsageError: the path cannot be written.
    """
    with replacing(path) as beside:
        beside.write_text(json.dumps(encode(table), indent=1) + "\n")


def read(path: Path) -> CalibrationTable:
    """Read a table.

    Raises:
        UsageError: the file is missing, or not a calibration table; says which key.
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
