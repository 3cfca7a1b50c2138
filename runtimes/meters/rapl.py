"""The processor packages' own counters, Intel's and AMD's: Running Average Power Limit, as Linux's powercap shows it.

Subdomains (core, dram) are not counted: a core's energy is part of its package's, and what of the memory's is differs
from processor to processor. Nor is psys, which holds the package once more.
"""

from __future__ import annotations

import functools
from pathlib import Path

from runtimes.meters._kinds import Counter, number


def open_meters(sys: Path) -> list[Counter]:
    """A counter per package.

    Args:
        sys: where sysfs is.

    Raises:
        LookupError: there is none, or it cannot be read.
    """
    zones = sorted((sys / "class/powercap").glob("intel-rapl:*"))
    try:
        packages = {
            name: zone for zone in zones if (name := (zone / "name").read_text().strip()).startswith("package-")
        }
        if not packages:
            raise LookupError("no processor shows its energy (RAPL)")
        return [_counter(name, zone) for name, zone in packages.items()]
    except PermissionError:
        raise LookupError("RAPL's counters are for root alone (since CVE-2020-8694)") from None
    except (OSError, ValueError) as error:
        raise LookupError(f"RAPL's counters cannot be read: {error}") from None


def _counter(name: str, zone: Path) -> Counter:
    """It goes from zero to `max_energy_range_uj`, then starts over: every few minutes to an hour."""
    return Counter(name, functools.partial(number, zone / "energy_uj"), number(zone / "max_energy_range_uj"))
