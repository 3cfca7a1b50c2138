"""Power rails of a Jetson: Texas Instruments' INA3221, as Linux's hwmon shows it (Documentation/hwmon/ina3221.rst).

Boards with a rail at the module's input (VDD_IN; POM_5V_IN on the first Nano) are metered there. AGX boards have no
such rail, so their rails are added up. Reading a register takes half a millisecond, since it is behind an I2C bus.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from runtimes.files import read_or_empty
from runtimes.meters._kinds import Gauge, number

_INPUTS = ("VDD_IN", "POM_5V_IN")
_NO_RAILS = ("NC", "sum of shunt voltages")  # channels that are not connected, and a sum that is no channel

Rail = tuple[Path, Path]
"""The files of a rail's voltage in mV and of its current in mA."""


def open_meters(sys: Path) -> list[Gauge]:
    """Open one gauge of the power of the whole module.

    Args:
        sys: the folder of sysfs.

    Raises:
        LookupError: there is no such monitor, or it cannot be read.
    """
    rails = dict(sorted(_rails(sys)))
    inputs = [name for name in _INPUTS if name in rails]
    metered = inputs[:1] or list(rails)
    if not metered:
        raise LookupError("no power monitor (INA3221)")
    try:
        return [Gauge("+".join(metered), functools.partial(_power_uw, [rails[name] for name in metered]))]
    except (OSError, ValueError) as error:
        raise LookupError(f"the power monitor cannot be read: {error}") from None


def _rails(sys: Path) -> list[tuple[str, Rail]]:
    found = []
    for chip in (sys / "class/hwmon").glob("hwmon*"):
        for label in chip.glob("in[0-9]_label"):
            name, channel = read_or_empty(label).strip(), label.name[2]
            current = chip / f"curr{channel}_input"
            if read_or_empty(chip / "name").strip() == "ina3221" and current.exists() and name not in _NO_RAILS:
                found.append((name, (chip / f"in{channel}_input", current)))
    return found


def _power_uw(rails: Sequence[Rail]) -> int:
    return sum(number(voltage) * number(current) for voltage, current in rails)
